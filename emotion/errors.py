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


class MemoryLackError(EmotionError):
    """A GPU or the machine has not enough memory for what was asked."""


@contextmanager
def memory_explained() -> Iterator[None]:
    """Turn a lack of memory into a sentence; torch's own is known by name, so it is not imported.

    Raises:
        MemoryLackError: if memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        gpu = "OutOfMemoryError" in {kind.__name__ for kind in type(error).__mro__}
        if not (gpu or isinstance(error, MemoryError) or "can't allocate memory" in str(error)):
            raise
        place = "The GPU" if gpu else "This machine"
        raise MemoryLackError(
            f"{place} has not enough memory for this; end what else runs there, or lower "
            "--batch-size. A stopped fit goes on with --resume."
        ) from None
