"""Tables in csv, wherever they lie, and why one cannot be read."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from emotion.errors import DataError
from train.corpora.archive import DAMAGED, Archive


def open_tables(path: str | os.PathLike[str]) -> Archive:
    """List the csv files beside a csv file, and that file.

    Raises:
        DataError: if it is not there.
    """
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise DataError(f"{path} does not exist; give the path of the corpus's zip, folder or csv.")
    tables = sorted(file.parent.glob("*.[cC][sS][vV]"))
    return Archive(file.parent, {p.name: p.stat().st_size for p in tables if p.is_file()}, None)


def read_table(
    archive: Archive, name: str, columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and fields of each row of a csv file, column names in lower case.

    The file is streamed, so that tables of several hundred megabytes need no memory.

    Raises:
        DataError: if a column of ``columns`` is missing or the text cannot be parsed.
    """
    with archive.open(name) as file:
        reader = csv.reader(io.TextIOWrapper(file, "utf-8-sig", newline=""))
        try:
            header = [column.strip().casefold() for column in next(reader, [])]
            missing = [column for column in columns if column not in header]
            if missing and (problem := table_problem(archive, name)):
                raise DataError(f"{name} is not readable csv: {problem}.")
            if missing:
                raise DataError(
                    f"{name} has no column {', '.join(missing)}; it has {', '.join(header)}."
                )
            for fields in reader:
                if fields:
                    # A short row gets empty cells, which the reader of the layout then reports.
                    padded = fields + [""] * (len(header) - len(fields))
                    yield reader.line_num, dict(zip(header, padded, strict=False))
        except (csv.Error, UnicodeDecodeError, *DAMAGED) as error:
            if problem := table_problem(archive, name):
                raise DataError(f"{name} is not readable csv: {problem}.") from None
            place = f"{name}, line {reader.line_num}"
            raise DataError(f"{place} is not readable csv ({error}); fetch it again.") from None


def table_header(archive: Archive, name: str) -> tuple[str, ...]:
    """Return the column names of a csv file in lower case; empty if it is not text."""
    with archive.open(name) as file:
        line = file.readline(65_536)
    try:
        fields = next(csv.reader([line.decode("utf-8-sig")]), [])
    except (csv.Error, UnicodeDecodeError):
        return ()
    return tuple(field.strip().casefold() for field in fields)


def table_problem(archive: Archive, name: str) -> str | None:
    """Say what keeps a text from being csv as it is read here; None if nothing obvious does."""
    with archive.open(name) as file:
        head = file.read(4096)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in head:
        return "it is UTF-16 text; save it as UTF-8 (in a spreadsheet: CSV UTF-8)"
    line = head.split(b"\n", 1)[0]
    for mark, word in ((b";", "semicolons"), (b"\t", "tabs")):
        if mark in line and b"," not in line:
            return f"its columns are separated by {word}; save it with commas"
    return None
