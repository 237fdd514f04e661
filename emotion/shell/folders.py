"""Which files of a folder are pictures: by name or content, to any depth, links followed once."""

from __future__ import annotations

import os
import stat
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from emotion.errors import DataError
from emotion.files import is_folder
from emotion.images import FORMATS


@dataclass
class Listing:
    """What a folder holds.

    Attributes:
        pictures: files that are pictures by name or by content, in order of their paths; links
            that lead nowhere are among them, since reading them says so.
        left_out: files that are neither, and what is no file at all.
        remarks: sentences about folders that were not searched.
    """

    pictures: list[Path] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def list_pictures(folder: Path) -> Listing:
    """List a folder's pictures; each real folder is searched once, whatever links lead to it.

    Raises:
        DataError: if the folder itself cannot be read.
    """
    listing = Listing()
    seen: set[tuple[int, int]] = set()
    # Linked folders come last, so that a folder is listed under its own name where it has one here.
    waiting, linked = deque([folder]), deque[Path]()
    while waiting or linked:
        current = waiting.popleft() if waiting else linked.popleft()
        try:
            facts = current.stat()
            if (facts.st_dev, facts.st_ino) in seen:
                listing.remarks.append(f"{current}: leads to a folder that is read already.")
                continue
            seen.add((facts.st_dev, facts.st_ino))
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError as error:
            sentence = f"{current} cannot be read ({error.strerror})"
            if current == folder:
                raise DataError(f"{sentence}; check its permissions.") from None
            listing.remarks.append(f"{sentence}; its pictures are missing.")
            continue
        for entry in entries:
            path = current / entry.name
            if is_folder(path):
                (linked if entry.is_symlink() else waiting).append(path)
            elif is_picture(path):
                listing.pictures.append(path)
            else:
                listing.left_out.append(path)
    listing.pictures.sort()
    return listing


def is_picture(path: Path) -> bool:
    """Tell whether a file is a picture by its name or, whatever its name, by how it begins."""
    if path.name.startswith("._"):
        return False  # what macOS leaves beside a file on other systems' disks
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False  # a pipe would be waited for, for ever
    except OSError:
        return path.suffix.lower() in suffixes()  # a link that leads nowhere, or to itself
    if path.suffix.lower() in suffixes():
        return True
    try:
        with Image.open(path, formats=FORMATS):
            return True
    except UnidentifiedImageError:
        return False
    except Exception:
        return True  # it begins like one and is damaged; reading it says how


@lru_cache(maxsize=1)
def suffixes() -> frozenset[str]:
    """Return the endings, in lower case with their dot, of every format that is read."""
    Image.init()
    known = Image.registered_extensions().items()
    return frozenset(end for end, kind in known if kind in FORMATS)
