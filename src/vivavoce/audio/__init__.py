"""Functions of waveforms."""
