"""Text as it is written and as it is said: normalisation, pronunciation, byte pairs, JSON schemas."""
