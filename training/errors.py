"""The errors that ``training`` raises on purpose; their messages are for its user."""


class TrainingError(Exception):
    """The base of this package's errors."""


class DataError(TrainingError):
    """The images can't be read or downloaded, or are not CIFAR-10's."""


class CheckpointError(TrainingError):
    """A file is no checkpoint of a training, or of another training than this one."""
