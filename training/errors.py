"""What can go wrong, in the user's terms."""


class TrainingError(Exception):
    """The base of this package's errors."""


class DataError(TrainingError):
    """The images can't be had, or are not what they should be."""


class CheckpointError(TrainingError):
    """A checkpoint is not one of this training."""
