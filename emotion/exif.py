"""What a picture file says about itself besides its pixels: read here, before any decoder does.

Pillow parses metadata when it opens a file, and one of a few megabytes whose entries all point at
the same bytes keeps it busy for minutes (and its memory full). All that this project wants of it
is the orientation, which is two bytes at a known place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal

from emotion.errors import ImageError

MOST_ENTRIES = 512
"""Most entries of an image file directory (IFD) that are looked at; cameras write some 40."""
MOST_DIRECTORIES = 8
"""Most directories inside one another; a picture has up to four."""

_ORIENTATION = 0x0112
_JPEG = b"\xff\xd8\xff"
_APP1, _APPS, _COMMENT = 0xE1, range(0xE0, 0xF0), 0xFE
_NEEDED = (0xE0, 0xEE)  # JFIF and Adobe: how many channels mean what
_BARE = (0x01, *range(0xD0, 0xD9))  # markers without a length
_START_OF_SCAN = 0xDA
_FRAME_HEADERS = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive: what Pillow decodes
_EXIF = b"Exif\0\0"
_INNER = (0x8769, 0x8825, 0xA005)
"""Entries that point at a directory which Pillow parses too: Exif, GPS, interoperability."""
# Bytes of a value of each TIFF type, TIFF 6.0 p. 15; 13 is an offset, 16 is of BigTIFF.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}


def bare_jpeg(data: bytes) -> tuple[bytes, int]:
    """Return a JPEG without its metadata, and the orientation that was noted there, 1 to 8.

    What is no JPEG comes back as it is.

    Raises:
        ImageError: if it is damaged before its first scan.
    """
    if not data.startswith(_JPEG):
        return data, 1
    kept, orientation = [data[:2]], 1
    for marker, start, end in _segments(data):
        if marker == _APP1 and orientation == 1:
            orientation = orientation_of(data[start + 4 : end])
        if marker in _NEEDED or (marker not in _APPS and marker != _COMMENT):
            kept.append(data[start:end])
    return b"".join(kept), orientation


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a JPEG from its frame header, or None for anything else.

    Raises:
        ImageError: if it is damaged before its first scan.
    """
    if not data.startswith(_JPEG):
        return None
    for marker, start, end in _segments(data):
        if marker in _FRAME_HEADERS and end - start >= 9:
            height, width = struct.unpack_from(">HH", data, start + 5)
            return width, height
    return None


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Give marker, start and end of each segment (ITU-T T.81, B.1.1.4); the last is the rest."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in (0xFF, 0x00):  # fill bytes, and what some writers leave by mistake
            position += 1 if marker == 0xFF else 2
            continue
        if marker in _BARE:
            end = position + 2
        elif marker == _START_OF_SCAN:
            yield marker, position, len(data)
            return
        else:
            end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
            if end < position + 4 or end > len(data):
                break
        yield marker, position, end
        position = end
    raise ImageError("This JPEG is damaged before its picture begins; save or send it again.")


def orientation_of(exif: object) -> int:
    """Read the orientation from the bytes of an Exif block; 1, upright, where none is noted.

    Only the first directory is read, and only its fixed fields (Exif 2.32, 4.6.2 and 4.6.4).
    """
    if not isinstance(exif, bytes) or not exif:
        return 1
    block = exif.removeprefix(_EXIF)
    order = _byte_order(block[:4])
    if order is None or len(block) < 8:
        return 1
    start = struct.unpack_from(f"{order}L", block, 4)[0]
    if start + 2 > len(block):
        return 1
    count = struct.unpack_from(f"{order}H", block, start)[0]
    for index in range(min(count, MOST_ENTRIES)):
        entry = start + 2 + 12 * index
        if entry + 12 > len(block):
            return 1
        tag, kind, number = struct.unpack_from(f"{order}HHL", block, entry)
        if tag == _ORIENTATION and kind == 3 and number == 1:
            value = int(struct.unpack_from(f"{order}H", block, entry + 8)[0])
            return value if 1 <= value <= 8 else 1
    return 1


def check_tiff(file: BinaryIO, name: str) -> None:
    """Refuse a TIFF whose directories point at more bytes than the file has; leave others alone.

    Raises:
        ImageError: if its first directory, or one of those inside it that Pillow parses, has too
            many entries or they overlap by a lot.
    """
    start = file.tell()
    try:
        head = file.read(16)
        order = _byte_order(head[:4])
        if order is None or len(head) < 16:
            return
        big = head[2:4] in (b"\x2b\0", b"\0\x2b")
        places = [_unpack(f"{order}{'Q' if big else 'L'}", head[8:16] if big else head[4:8])[0]]
        size = file.seek(0, 2)
        seen: set[int] = set()
        while places:
            place = places.pop()
            if place >= size or place in seen:
                continue  # what Pillow says of it is soon said
            seen.add(place)
            file.seek(place)
            if len(seen) > MOST_DIRECTORIES or not _modest(file, order, big, size, places):
                raise ImageError(f"{name} is damaged (its directory is too large); save it again.")
    finally:
        file.seek(start)


def _modest(file: BinaryIO, order: str, big: bool, size: int, places: list[int]) -> bool:
    """Tell whether the directory at the file's position is plausible; note what it points at."""
    number, layout = (f"{order}Q", f"{order}HHQ8s") if big else (f"{order}H", f"{order}HHL4s")
    first = file.read(struct.calcsize(number))
    if len(first) < struct.calcsize(number):
        return True
    (count,) = _unpack(number, first)
    step = struct.calcsize(layout)
    if count > MOST_ENTRIES:
        return False
    entries = file.read(step * count)
    values = 0
    for tag, kind, many, value in struct.iter_unpack(
        layout, entries[: len(entries) // step * step]
    ):
        values += _SIZES.get(kind, 8) * many
        if tag in _INNER:
            places.append(_unpack(f"{order}{'Q' if big else 'L'}", value)[0])
    return values <= size + 8 * MOST_ENTRIES


def _unpack(layout: str, data: bytes) -> tuple[int, ...]:
    return struct.unpack(layout, data)


def _byte_order(head: bytes) -> Literal["<", ">"] | None:
    if head in (b"II\x2a\0", b"II\x2b\0"):
        return "<"
    return ">" if head in (b"MM\0\x2a", b"MM\0\x2b") else None
