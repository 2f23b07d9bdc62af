"""Every error that vivavoce raises on purpose.

    VivavoceError
    ├── SpecError        a stream on the wrong clock, in the wrong alphabet or of the wrong shape
    ├── ConfigError      a configuration that cannot be read or edited
    ├── PartError        weights that are missing, damaged or do not fit
    ├── AudioError       something that is not usable sound
    ├── TextError        text that cannot be read aloud or understood
    ├── VoiceError       a voice that is not known, or a clip that cannot be cloned
    ├── ConsentError     a cloned voice without a record of consent
    ├── ManifestError    a bad line in a manifest or a character sheet
    ├── TrainingError    a run that cannot go on: not finite, foreign checkpoint
    ├── MindError        a mind elsewhere that cannot be reached or does not answer as it should
    ├── ToolError        a tool whose schema or result cannot be used
    ├── CapacityError    every conversation that fits is taken
    ├── ProtocolError    an event that breaks the protocol; the session lives
    ├── StorageError     nothing can be written: full disk, no permission
    └── MissingExtra     an optional package or program that has to be installed first

A message says what came, what was wanted and what to do.
"""


class VivavoceError(Exception):
    """Root of all deliberate errors; the command line prints it as one sentence and exits with status 2."""


class SpecError(VivavoceError):
    """A stream on the wrong clock, in the wrong alphabet or of the wrong shape."""


class ConfigError(VivavoceError):
    """A configuration that cannot be read or edited."""


class PartError(VivavoceError):
    """Weights that are missing, damaged or do not fit their configuration."""


class AudioError(VivavoceError):
    """Something that is not usable sound."""


class TextError(VivavoceError):
    """Text that cannot be read aloud or understood."""


class VoiceError(VivavoceError):
    """A voice that is not known, or a clip that cannot be cloned."""


class ConsentError(VoiceError):
    """A cloned voice without a record of consent."""


class ManifestError(VivavoceError):
    """A bad line in a manifest or a character sheet."""


class TrainingError(VivavoceError):
    """A training run that cannot go on."""


class SpeakerError(VivavoceError):
    """A voice behind an address gave no sound, or not all of it."""


class MindError(VivavoceError):
    """A mind elsewhere that cannot be reached or does not answer as it should."""


class ToolError(VivavoceError):
    """A tool whose schema or result cannot be used."""


class CapacityError(VivavoceError):
    """Every conversation that fits on this engine is taken."""


class ProtocolError(VivavoceError):
    """An event that breaks the protocol; the session goes on. ``code`` is what clients look for."""

    def __init__(self, message: str, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.code = code


class StorageError(VivavoceError):
    """Nothing can be written here."""


class MissingExtra(VivavoceError):
    """An optional package or program that has to be installed first."""
