"""FER+ votes (Barsoum et al. 2016): ten people's answers for each picture of FER-2013.

A table of votes lies in the archive or in the folder beside it. Two are understood: the authors'
``fer2013new.csv``, whose rows follow those of fer2013.csv, and a table by Kaggle's file names
(columns ``image``, the ten votes, and ``fer_row`` where there is one). ``ferplus-rows.npz`` tells
which row Kaggle's pictures have, so that either table serves either layout. It also lists those of
the pictures that no row could be found for which show no face: looked at one by one, they are
black, a text, a sign or a thing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from emotion.errors import DataError
from emotion.labels import LABELS
from train.corpora.archive import Archive, base_name
from train.corpora.schema import Finding
from train.corpora.tables import read_table, table_header

VOTES: tuple[str, ...] = ("neutral", *LABELS, "contempt", "unknown", "nf")
"""What a tagger may answer, in the order of the tables; ``nf`` is "no face"."""

AUTHORS_TABLE = "fer2013new.csv"

NAMED_TABLES = (AUTHORS_TABLE, "ferplus-votes.csv")
"""Names that promise votes: such a table without them is an error, any other is not looked at."""

MIN_MATCHED = 0.5
"""Share of the pictures that a table must know; below it, it belongs to other pictures."""

_ROWS = Path(__file__).parent / "ferplus-rows.npz"
_WORDS = ("Training", "PublicTest")

Ballot = tuple[int, ...]
"""How many taggers gave each answer of ``VOTES``."""


@dataclass(frozen=True, slots=True)
class VoteTable:
    """A table of votes.

    Attributes:
        place: what it is called in sentences.
        names: Kaggle's file stem -> votes.
        rows: row of fer2013.csv, from 0 -> votes.
        usages: the split of each row where the table says it, in lower case.
    """

    place: str
    names: dict[str, Ballot]
    rows: dict[int, Ballot]
    usages: tuple[str, ...] = ()

    def check_order(self) -> None:
        """Check that a table by row has the rows of Kaggle's pictures, in the order of fer2013.csv.

        Raises:
            DataError: if it has not.
        """
        known = kaggle_rows()
        if self.usages and len(self.usages) <= max(known.values()):
            raise DataError(
                f"{self.place} has {len(self.usages):,} rows, and the pictures are rows up to "
                f"{max(known.values()) + 1:,}; fetch the whole table again."
            )
        if self.usages and any(
            self.usages[row] != stem.partition("_")[0].casefold() for stem, row in known.items()
        ):
            raise DataError(
                f"The rows of {self.place} are not in the order of fer2013.csv, so the votes would "
                "go to the wrong pictures; fetch the table again."
            )

    def check_matched(self, matched: int, total: int) -> None:
        """Check that the table belongs to the pictures.

        Raises:
            DataError: if it knows fewer than ``MIN_MATCHED`` of them.
        """
        if matched < MIN_MATCHED * total:
            raise DataError(
                f"{self.place} has votes for {matched:,} of the {total:,} pictures, too few to be "
                f"theirs; fetch the whole table again ({' or '.join(NAMED_TABLES)}), or move it "
                "away to do without votes."
            )


def is_no_face(stem: str) -> bool:
    """Tell whether a picture, by Kaggle's file stem, is known to show no face."""
    return stem in _no_faces()


def sees_no_face(votes: Ballot | None) -> bool:
    """Tell whether at least half of the taggers saw no face."""
    return votes is not None and 0 < sum(votes) <= 2 * votes[-1]


def find_votes(archive: Archive, findings: list[Finding]) -> VoteTable | None:
    """Read the table of votes in an archive or beside it; None if there is none.

    Further ones are added to ``findings``.

    Raises:
        DataError: if a table that promises votes holds none, or others than whole numbers.
    """
    tables = [(place, name) for place in (archive, _beside(archive)) for name in _tables(place)]
    if not tables:
        return None
    for place, name in tables[1:]:
        detail = "votes were found in another table already"
        findings.append(Finding("unused file", _called(place, name), detail))
    return _read(*tables[0])


def _beside(archive: Archive) -> Archive:
    """Return the tables in the folder that holds the archive."""
    folder = archive.location.parent
    files = sorted(path for path in folder.glob("*.[cC][sS][vV]") if path.is_file())
    return Archive(folder, {path.name: path.stat().st_size for path in files}, None)


def _tables(place: Archive) -> list[str]:
    """List the tables of votes in a place: those of a known name first."""
    promised, others = [], []
    for name in place.sizes:
        if base_name(name).casefold() in NAMED_TABLES:
            promised.append(name)
        elif name.casefold().endswith(".csv") and {"image", *VOTES} <= {*_header(place, name)}:
            others.append(name)
    return promised + others


def _header(place: Archive, name: str) -> tuple[str, ...]:
    try:
        return table_header(place, name)
    except DataError:
        return ()  # whoever needs the file says so


def _called(place: Archive, name: str) -> str:
    return f"{place.location / name}"


def _read(place: Archive, name: str) -> VoteTable:
    if "image" in _header(place, name):
        return _read_by_name(place, name)
    return _read_by_row(place, name)


def _read_by_row(place: Archive, name: str) -> VoteTable:
    rows: dict[int, Ballot] = {}
    usages: list[str] = []
    for line, row in read_table(place, name, ("usage", *VOTES)):
        rows[len(usages)] = _ballot(row, f"{name}, line {line}")
        usages.append(row["usage"].strip().casefold())
    names = {stem: rows[row] for stem, row in kaggle_rows().items() if row in rows}
    return VoteTable(_called(place, name), names, rows, tuple(usages))


def _read_by_name(place: Archive, name: str) -> VoteTable:
    numbered = "fer_row" in _header(place, name)
    known: Mapping[str, int] = {} if numbered else kaggle_rows()
    listed = []
    for line, fields in read_table(place, name, ("image", *VOTES)):
        votes = _ballot(fields, f"{name}, line {line}")
        stem = base_name(fields["image"].strip()).partition(".")[0]
        number = fields["fer_row"].strip() if numbered else ""
        row = int(number) if number.isdecimal() else known.get(stem)
        listed.append((stem, row, votes))
    # Two pictures of one name cannot be told apart.
    count = Counter(stem for stem, _, _ in listed)
    names = {stem: votes for stem, _, votes in listed if count[stem] == 1}
    rows = {row: votes for _, row, votes in listed if row is not None}
    return VoteTable(_called(place, name), names, rows)


def _ballot(row: Mapping[str, str], where: str) -> Ballot:
    cells = [row[name].strip() or "0" for name in VOTES]
    if not all(cell.isdecimal() and len(cell) < 5 for cell in cells):
        wrong = next(cell for cell in cells if not cell.isdecimal() or len(cell) > 4)
        raise DataError(
            f"{where} has the votes {wrong!r}, which are no whole number; fetch the table again."
        )
    return tuple(map(int, cells))


@lru_cache(maxsize=1)
def kaggle_rows() -> dict[str, int]:
    """Return which row of fer2013.csv, from 0, each of Kaggle's pictures is, by its file stem.

    Those without a face are not in it, nor are two whose names occur twice.
    """
    rows = {}
    with np.load(_ROWS, allow_pickle=False) as packed:
        for word in _WORDS:
            numbers = np.cumsum(packed[f"{word}_numbers"], dtype=np.int64)
            for number, row in zip(numbers, packed[f"{word}_rows"], strict=True):
                rows[f"{word}_{number}"] = int(row)
    return rows


@lru_cache(maxsize=1)
def _no_faces() -> frozenset[str]:
    with np.load(_ROWS, allow_pickle=False) as packed:
        return frozenset(
            f"{word}_{number}" for word in _WORDS for number in packed[f"{word}_no_face"]
        )
