"""What the words of a command line stand for: pictures, folders, patterns, standard input."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from emotion.errors import DataError
from emotion.files import is_folder, shortened
from emotion.shell.folders import list_pictures

STDIN = "-"
"""Stands for the bytes of one picture on standard input."""


def is_address(word: str) -> bool:
    """Tell whether a word is an address, as ``https://host/file``, and no path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", word) is not None


def is_pattern(word: str) -> bool:
    """Tell whether a word is a pattern, and no file of that very name."""
    return glob.has_magic(word) and not os.path.lexists(word)


def expand(word: str, what: str) -> list[str]:
    """Return the paths that a pattern stands for, in order; another word stands for itself.

    Args:
        word: of the command line; ``**`` stands for folders at any depth.
        what: named in the sentence where nothing fits.

    Raises:
        DataError: if nothing fits.
    """
    if not is_pattern(word):
        return [word]
    found = sorted(glob.glob(word, recursive=True))
    if not found:
        raise DataError(f"No file fits {shortened(word)!r}; give {what}, or another pattern.")
    return found


def list_sources(words: Iterable[str], remark: Callable[[str], None]) -> list[str]:
    """List the pictures that words stand for, each once, folders searched to any depth.

    Args:
        words: paths of pictures and folders, patterns, or ``-``.
        remark: is given sentences about what was left out.

    Returns:
        Paths in the order of the words, those of a folder in order of name; and ``-``.

    Raises:
        DataError: if there is no picture among them, or an address.
    """
    words = list(words)
    found: dict[str, None] = {}  # a set that keeps its order
    for word in words:
        if is_address(word):
            name = shortened(word)
            raise DataError(
                f"{name} is an address, and only files are read; download it first, or pipe it: "
                f"curl -sL {name} | python -m emotion classify -"
            )
        for path in expand(word, "a picture or a folder of pictures"):
            found.update(dict.fromkeys(_pictures(path, remark)))
    if not found:
        names = ", ".join(words)
        raise DataError(
            f"There are no pictures in {shortened(names)}; give a picture or a folder of pictures."
        )
    return list(found)


def _pictures(path: str, remark: Callable[[str], None]) -> list[str]:
    if path == STDIN or not is_folder(Path(path)):
        return [path if path == STDIN else str(Path(path))]
    listing = list_pictures(Path(path))
    for sentence in listing.remarks:
        remark(sentence)
    if listing.left_out:
        names = ", ".join(sorted({file.suffix or file.name for file in listing.left_out})[:5])
        count = len(listing.left_out)
        remark(f"{path}: {count} files left out, they are no pictures ({names}).")
    return [str(picture) for picture in listing.pictures]
