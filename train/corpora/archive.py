"""One way to read a corpus, whether it is a zip or a folder, that hostile input cannot abuse.

Nothing is ever unpacked to disk. Names that leave the archive, encrypted members and zip bombs are
refused before the first member is read.
"""

from __future__ import annotations

import functools
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from emotion.errors import DataError

IMAGE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"),
        *(".heic", ".heif", ".avif", ".jp2"),
    }
)

ARCHIVE_SUFFIXES = frozenset({".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz"})

MAX_FILES = 3_000_000
"""Files up to which a folder is taken for a corpus; the largest has a million."""

MAX_MEMBER_BYTES = 64 * 2**20
"""Largest member that is read whole; every image of the corpora is far below it."""

MAX_INFLATION = 100
"""Largest accepted ratio of declared to compressed bytes; pixel tables in csv reach about 4."""

_SMALL = 2**20  # a text file of a megabyte may compress better than MAX_INFLATION without harm
_JUNK = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip or a folder seen as a list of files; it can be pickled and read in another process.

    Attributes:
        location: absolute path of the zip or of the folder.
        sizes: relative POSIX path -> uncompressed bytes, sorted by path, without system files.
        members: for a zip, relative path -> name of the member; ``None`` for a folder.
    """

    location: Path
    sizes: Mapping[str, int]
    members: Mapping[str, str] | None

    def open(self, name: str) -> IO[bytes]:
        """Open the file ``name`` for reading.

        Raises:
            DataError: if it cannot be read.
        """
        try:
            if self.members is None:
                return (self.location / name).open("rb")
            return _zip(self.location).open(self.members[name])
        except DAMAGED as error:
            raise DataError(_damaged(self, name, error)) from None

    def read(self, name: str, limit: int = MAX_MEMBER_BYTES) -> bytes:
        """Return the bytes of the file ``name``.

        Raises:
            DataError: if it is damaged or larger than ``limit`` bytes.
        """
        if self.sizes[name] > limit:
            raise DataError(
                f"{name} in {self.location.name} has {self.sizes[name]:,} bytes, more than the "
                f"{limit:,} that are read; remove it from the corpus."
            )
        try:
            with self.open(name) as file:
                return file.read(limit)
        except DAMAGED as error:
            raise DataError(_damaged(self, name, error)) from None

    def locate(self, name: str) -> str:
        """Return a path that ``read_location`` understands: a file, or ``zip://MEMBER::ZIP``."""
        if self.members is None:
            return str(self.location / name)
        return f"zip://{self.members[name]}::{self.location}"

    def images(self) -> list[str]:
        """Return the paths of all files that are images by their suffix."""
        return [name for name in self.sizes if is_image(name)]

    def find(self, file_name: str) -> str | None:
        """Return the path of the file called ``file_name`` that lies nearest to the top."""
        wanted = file_name.casefold()
        hits = [name for name in self.sizes if base_name(name).casefold() == wanted]
        return min(hits, key=lambda name: (name.count("/"), name), default=None)


def open_archive(path: str | os.PathLike[str]) -> Archive:
    """List a zip or a folder.

    Raises:
        DataError: if there is nothing at ``path``, it is neither zip nor folder, it is empty, or
            it is a zip with names outside the archive, encrypted members or a bomb.
    """
    location = Path(path).expanduser().absolute()
    if location.is_dir():
        archive = Archive(location, dict(sorted(_walk(location))), None)
    elif location.is_file():
        archive = _open_zip(location)
    else:
        raise DataError(f"{path} does not exist; give the path of the corpus's zip or folder.")
    if not archive.sizes:
        raise DataError(f"{path} holds no files; give the zip or folder with the corpus in it.")
    return archive


def read_location(location: str) -> bytes:
    """Return the bytes behind a path that ``Archive.locate`` made.

    Raises:
        DataError: if the file is gone or damaged.
    """
    try:
        if not location.startswith("zip://"):
            with open(location, "rb") as file:
                return file.read(MAX_MEMBER_BYTES)
        member, _, archive = location.removeprefix("zip://").rpartition("::")
        with _zip(Path(archive)).open(member) as inside:
            return inside.read(MAX_MEMBER_BYTES)
    except (KeyError, *DAMAGED) as error:
        raise DataError(f"{location} cannot be read any more ({error}); load it again.") from None


def base_name(name: str) -> str:
    """Return the part of a path after its last slash."""
    return name.rpartition("/")[2]


def is_image(name: str) -> bool:
    """Tell from its suffix whether a file is an image."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def _walk(folder: Path) -> Iterator[tuple[str, int]]:
    seen: set[str] = set()
    count = 0

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}).")

    for root, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        count += len(files)
        if count > MAX_FILES:
            raise DataError(
                f"{folder} holds more than {MAX_FILES:,} files; give the folder of the corpus."
            )
        # A link may point back up the tree; each real folder is visited once.
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        prefix = Path(root).relative_to(folder).as_posix()
        for file in files:
            name = file if prefix == "." else f"{prefix}/{file}"
            if not _is_junk(name):
                try:
                    yield name, os.stat(os.path.join(root, file)).st_size
                except OSError as error:
                    raise DataError(f"{name} in {folder} cannot be read ({error}).") from None


def _open_zip(location: Path) -> Archive:
    try:
        entries = _zip(location).infolist()
    except (*DAMAGED, ValueError) as error:
        if kind := _other_kind(location):
            raise DataError(f"{location} is a {kind}; unpack it and give the folder.") from None
        raise DataError(
            f"{location} is not a complete zip ({error}); give a zip or a folder, or fetch it "
            "again."
        ) from None
    members: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for entry in entries:
        name = entry.filename.replace("\\", "/")
        if name.startswith("/") or name[1:2] == ":" or ".." in name.split("/"):
            raise DataError(
                f"{location} holds the name {entry.filename!r}, which points outside of it; "
                "the zip is not safe to read, fetch it from its source again."
            )
        if entry.is_dir() or name.endswith("/") or _is_junk(name):
            continue
        if name in members:
            raise DataError(f"{location} holds {name} twice; make the zip again.")
        members[name], sizes[name] = entry.filename, entry.file_size
    _refuse_bomb(location, entries)
    if any(entry.flag_bits & 1 for entry in entries):
        raise DataError(f"{location} is encrypted; unpack it and give the folder.")
    order = sorted(sizes)
    return Archive(
        location, {name: sizes[name] for name in order}, {name: members[name] for name in order}
    )


def _other_kind(location: Path) -> str | None:
    """Name the kind of an archive that is no zip, by how it begins."""
    with location.open("rb") as file:
        head = file.read(262)
    marks = {
        b"\x1f\x8b": "gzip or tar.gz archive",
        b"Rar!": "RAR archive",
        b"7z\xbc\xaf": "7z archive",
    }
    marks |= {b"BZh": "bzip2 archive", b"\xfd7zXZ": "xz archive"}
    if head[257:262] == b"ustar":
        return "tar archive"
    return next((kind for mark, kind in marks.items() if head.startswith(mark)), None)


def _refuse_bomb(location: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    on_disk = location.stat().st_size
    sizes = {entry.filename: (entry.file_size, entry.compress_size) for entry in entries}
    sizes["the whole"] = (sum(entry.file_size for entry in entries), on_disk)
    for name, (declared, packed) in sizes.items():
        if declared > max(_SMALL, MAX_INFLATION * packed):
            raise DataError(
                f"{location} is a zip bomb ({name} would grow from {packed:,} to {declared:,} "
                "bytes); fetch the corpus from its source again."
            )
    if sum(entry.compress_size for entry in entries) > on_disk:
        raise DataError(
            f"{location} is a zip bomb (its members claim the same bytes several times); "
            "fetch the corpus from its source again."
        )


def _zip(location: Path) -> zipfile.ZipFile:
    status = location.stat()
    return _zip_of_process(str(location), status.st_mtime_ns, status.st_size, os.getpid())


@functools.lru_cache(maxsize=8)
def _zip_of_process(path: str, modified: int, size: int, process: int) -> zipfile.ZipFile:
    """Keep one open zip per process: a forked worker must not share its parent's file offset."""
    return zipfile.ZipFile(path)


def _is_junk(name: str) -> bool:
    base = base_name(name)
    return "__MACOSX" in name.split("/") or base.startswith("._") or base.casefold() in _JUNK


def _damaged(archive: Archive, name: str, error: Exception) -> str:
    return f"{name} in {archive.location} is damaged ({error}); fetch the corpus again."
