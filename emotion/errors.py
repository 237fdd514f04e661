"""The errors that users see: one sentence that says what was wrong and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager


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


class InstallationError(EmotionError):
    """A library that is needed does not load on this machine."""


@contextmanager
def imports_explained() -> Iterator[None]:
    """Turn OpenCV's failure on a machine without a screen into a sentence with both ways out.

    Raises:
        InstallationError: if OpenCV's wheel lacks a library of the system; see
            docs/decisions/0006-opencv-wheel.md.
    """
    try:
        yield
    except ImportError as error:
        missing = re.match(r"(lib(?:GL|xcb|gthread|glib)[\w.-]*): cannot open", str(error))
        if missing is None:
            raise
        raise InstallationError(
            f"OpenCV cannot be loaded, since this machine has no {missing[1]}; either put the "
            "wheel on top that needs none (pip install --force-reinstall --no-deps "
            "opencv-python-headless), or install the system's libraries (apt install libgl1 "
            "libxcb1 libglib2.0-0)."
        ) from error
