"""The errors that users see: one sentence that says what was wrong and what to do."""

from __future__ import annotations


class EmotionError(Exception):
    """Base of every error whose message is meant for a user."""


class ImageError(EmotionError):
    """The input is not an image that can be read, or it exceeds a limit."""


class AlignmentError(EmotionError):
    """The landmarks do not describe a face that can be aligned."""


class WeightsError(EmotionError):
    """Weights are missing, damaged, or belong to another model."""


class DataError(EmotionError):
    """A corpus or a prepared dataset is missing, damaged, or laid out in an unknown way."""


class HubError(EmotionError):
    """The Hub cannot be reached, or refuses what was asked of it."""


class ConfigError(EmotionError):
    """An option has a value that cannot work."""
