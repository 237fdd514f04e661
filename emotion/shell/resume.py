"""Tables of many pictures that grow row by row, and go on where an earlier run was stopped."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from emotion import locks
from emotion.errors import ConfigError, DataError
from emotion.files import cannot_write
from emotion.shell.cells import csv_lines, name_of
from emotion.shell.growing import GrowingFile


class CsvTable:
    """A CSV file, one or several rows per picture, the name of the picture first."""

    def __init__(self, path: Path, header: Sequence[str]) -> None:
        self.file = GrowingFile(path, keep=True)
        self._header = list(header)
        self._width = len(header)

    def begin(self) -> None:
        """Write the header."""
        self.file.write(csv_lines([self._header]))

    def add(self, name: str, rows: list[list[str]]) -> None:
        """Write a picture's rows, without its name; without any its row has empty cells."""
        empty = [[""] * (self._width - 1)]
        self.file.write(csv_lines([[name, *row] for row in rows or empty]))

    def finish(self) -> None:
        """Give the file its name."""
        self.file.finish()

    def finished(self, partial: Path) -> list[tuple[str, int]]:
        """List the pictures that an earlier run finished, and where their last rows end, in bytes.

        Raises:
            ConfigError: if the columns are others.
        """
        found: list[tuple[str, int]] = []
        with partial.open("rb") as file:
            read = _Counted(file)
            rows = csv.reader(read)
            if next(rows, None) != self._header:
                raise ConfigError(
                    f"{partial} has other columns; repeat the options of the run that began it, or "
                    "delete it."
                )
            for row in rows:
                if len(row) != self._width or not read.whole:
                    break
                name = name_of(row[0])
                if found and found[-1][0] == name:
                    found.pop()
                found.append((name, read.bytes))
        return found


class JsonTable:
    """A JSON list of one object per picture; while it grows, an object per line."""

    def __init__(self, path: Path) -> None:
        self.file = GrowingFile(path, keep=True)
        self._count = 0

    def begin(self) -> None:
        """Begin a list; what is no ordinary file gets it as it will stay."""
        self.file.write("" if self.file.partial else "[")

    def add(self, name: str, entry: dict[str, Any]) -> None:
        """Write a picture's object, which gets its name as ``filepath``."""
        entry = {"filepath": name, **entry}
        if self.file.partial:
            self.file.write(json.dumps(entry) + "\n")
        else:
            self.file.write(self._item(entry))

    def finish(self) -> None:
        """Make a list of the lines, and give it its name."""
        if not self.file.partial:
            self.file.write("\n]\n" if self._count else "]\n")
            return
        self.file.write("")
        with self.file.partial.open("rb") as lines, GrowingFile(self.file.path) as whole:
            whole.write("[")
            for line in lines:
                whole.write(self._item(json.loads(line)))
            whole.write("\n]\n" if self._count else "]\n")
            whole.finish()

    def finished(self, partial: Path) -> list[tuple[str, int]]:
        """List the pictures that an earlier run finished, and where their lines end, in bytes."""
        found, end = [], 0
        with partial.open("rb") as file:
            for line in file:
                end += len(line)
                try:
                    found.append((str(json.loads(line)["filepath"]), end))
                except (ValueError, KeyError, TypeError):
                    break
        return found

    def _item(self, entry: dict[str, Any]) -> str:
        self._count += 1
        text = json.dumps(entry, indent=2).replace("\n", "\n  ")
        return f"{',' if self._count > 1 else ''}\n  {text}"


class Progress:
    """What of a list of pictures is finished, in all tables of one run together.

    Beside ``F.partial`` lies ``.F.partial.json``: by which weights and options its rows were made.

    Args:
        tables: that the run writes.
        how: JSON values; rows that were made in another way are not mixed with these.
        resume: go on with what an earlier run left.

    Raises:
        DataError: if an earlier run left something, and ``resume`` is not set.
        ConfigError: if it was made in another way, or by a process that still runs.
    """

    def __init__(
        self, tables: Sequence[CsvTable | JsonTable], how: dict[str, Any], *, resume: bool
    ) -> None:
        self._all = tables
        self._tables = [table for table in tables if table.file.partial is not None]
        self.done: list[str] = []
        """Names of the pictures that are finished, in order."""
        left = [table.file.partial for table in self._tables if _exists(table.file.partial)]
        if left and not resume:
            raise DataError(
                f"{left[0]} is what an earlier run left; go on from there with --resume, or delete "
                "it."
            )
        self._locks = [_lock(_record(table)) for table in self._tables]
        if left:
            self._go_on(how)
        for table in tables:
            if table not in self._tables or not self.done:
                table.begin()
        for lock in self._locks:  # under the name that is locked, not under a new one
            os.ftruncate(lock, 0)
            os.write(lock, json.dumps(how).encode())

    def add(self, name: str) -> None:
        """Note that all tables have a picture."""
        self.done.append(name)

    def end(self, *, finished: bool) -> Path | None:
        """Clear up; of a run that is not finished keep what ``--resume`` goes on from.

        Returns:
            The partial file of the first table, if there is something in it to go on from.
        """
        for table in self._all:
            table.file.close()
        kept = None
        for table in reversed(self._tables):
            partial = table.file.partial
            if finished or not self.done:
                if partial is not None:
                    partial.unlink(missing_ok=True)
                _record(table).unlink(missing_ok=True)
            else:
                kept = partial
        for lock in self._locks:
            os.close(lock)
        return kept

    def _go_on(self, how: dict[str, Any]) -> None:
        finished: list[list[tuple[str, int]]] = []
        for table in self._tables:
            partial = table.file.partial
            if partial is None or not partial.exists():
                finished.append([])
                continue
            self._check(table, partial, how)
            # The last picture may lack rows; looking at it again costs nothing.
            finished.append(table.finished(partial)[:-1])
        count = min(map(len, finished))
        self.done = [name for name, _ in finished[0][:count]]
        for table, found in zip(self._tables, finished, strict=True):
            partial = table.file.partial
            if partial is not None and partial.exists():
                os.truncate(partial, found[count - 1][1] if count else 0)

    def _check(self, table: CsvTable | JsonTable, partial: Path, how: dict[str, Any]) -> None:
        try:
            before = json.loads(_record(table).read_text("utf-8"))
        except (OSError, ValueError):
            raise ConfigError(
                f"Nothing says any more by which weights {partial} was made; delete it, and begin "
                "anew."
            ) from None
        if before != json.loads(json.dumps(how)):
            raise ConfigError(
                f"{partial} was begun with other weights or options; repeat those, or delete it."
            )


class _Counted:
    """Lines of a file as ``csv`` wants them, and how many bytes it has taken."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.bytes = 0
        self.whole = True

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.bytes += len(line)
            self.whole = line.endswith(b"\n")
            yield line.decode("utf-8", "surrogateescape")


def _record(table: CsvTable | JsonTable) -> Path:
    partial = table.file.partial
    assert partial is not None
    return partial.with_name(f".{partial.name}.json")


def _lock(record: Path) -> int:
    """Hold a record for this process alone; the system lets go of it when the process ends."""
    try:
        descriptor = os.open(record, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise DataError(cannot_write(record, error)) from None
    if not locks.take(descriptor):
        os.close(descriptor)
        raise ConfigError(
            f"Another process is writing {record.name[1:].removesuffix('.json')}; wait for it, or "
            "name another file."
        )
    return descriptor


def _exists(path: Path | None) -> bool:
    return path is not None and path.exists()
