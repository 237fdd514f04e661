"""Anybody's pictures: class folders, with or without split folders, or a csv that lists them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from emotion.errors import DataError
from emotion.labels import LABELS
from train.corpora.archive import Archive, is_image
from train.corpora.causes import describe
from train.corpora.expressions import suggest, understand
from train.corpora.published import TRAINING_SPLIT
from train.corpora.schema import Finding, Reading, Sample, rank
from train.corpora.tables import read_table, table_header, table_problem

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), TRAINING_SPLIT),
    **dict.fromkeys(("valid", "val", "validation"), "valid"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What people call a split, in lower case -> what it is called here."""

HELD_OUT_SHARE = 0.1
"""Share of each class that validates where no split does."""

_SEED = 0
_COLUMNS = ("path", "label")
_LISTED = 8


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture before its words are understood: ``split`` is empty where none is named."""

    path: str
    split: str
    word: str | None


def read(archive: Archive, names: Mapping[str, str], table: str | None = None) -> Reading:
    """Read pictures in class folders, or those that a csv lists.

    Args:
        archive: where they lie.
        names: words and numbers that the user explained, in lower case -> canonical name.
        table: the csv (columns path, label and maybe split); if it is left out, a csv counts where
            no folder is named after an expression.

    Raises:
        DataError: if fewer than two of the six expressions are there.
    """
    findings: list[Finding] = []
    if table is None:
        pictures = list(_in_folders(archive, names))
        known = any(understand(p.word, names) for p in pictures if p.word is not None)
        table = None if known else _find_table(archive)
    layout = "class folders"
    if table is not None:
        layout, pictures = f"csv {table}", list(_in_table(archive, table, findings))
    samples = _labelled(pictures, names, findings)
    _require_expressions(archive, samples, pictures, names)
    samples = _with_splits(samples, findings)
    findings.extend(_other_files(archive, table))
    return Reading(layout, samples, findings, official=False)


def _in_folders(archive: Archive, names: Mapping[str, str]) -> Iterator[_Picture]:
    """Yield all pictures with the words of their folders."""
    images = archive.images()
    shared = _shared_folders(images)
    if all(path.count("/") == shared for path in images):
        shared = 0  # all in one folder, whose name then says what is missing
    for path in images:
        folders = path.split("/")[:-1]
        splits = [part for part in folders if part.casefold() in SPLIT_WORDS]
        # What lies above all pictures tells no class apart: it may be called "smile" or "faces".
        words = [part for part in folders[shared:] if part not in splits[:1]]
        known = (part for part in words if understand(part, names))
        word = next(known, next(iter(words), None))
        yield _Picture(path, SPLIT_WORDS[splits[0].casefold()] if splits else "", word)


def _shared_folders(images: Iterable[str]) -> int:
    """Count the folders that lie above all pictures."""
    shared: list[str] | None = None
    for path in images:
        folders = path.split("/")[:-1]
        if shared is None:
            shared = folders
        while folders[: len(shared)] != shared:
            shared = shared[:-1]
    return len(shared or [])


def _find_table(archive: Archive) -> str | None:
    tables = [
        name
        for name in archive.sizes
        if name.casefold().endswith(".csv") and {*_COLUMNS} <= {*table_header(archive, name)}
    ]
    if len(tables) > 1:
        raise DataError(
            f"{archive.location} holds several tables with the columns path and label "
            f"({', '.join(tables[:_LISTED])}); name one of them: NAME=csv:FILE."
        )
    return tables[0] if tables else None


def _in_table(archive: Archive, table: str, findings: list[Finding]) -> Iterator[_Picture]:
    """Yield the pictures that a csv lists, each once; its paths start beside it."""
    folder = PurePosixPath(table).parent
    listed: set[str] = set()
    for line, row in read_table(archive, table, _COLUMNS):
        where = f"{table}, line {line}"
        path = _inside(archive, folder, row["path"].strip())
        if path is None:
            findings.append(Finding("label without image", where, f"{row['path']} was not found"))
        elif path in listed:
            findings.append(Finding("listed twice", where, f"{row['path']}; left out"))
        else:
            listed.add(path)
            word = row.get("split", "").strip()
            # What is no split is told apart from none.
            split = SPLIT_WORDS.get(word.casefold(), f"?{word}") if word else ""
            yield _Picture(path, split, row["label"].strip() or None)
    unnamed = sum(path not in listed for path in archive.images())
    if unnamed:
        detail = f"{unnamed:,} pictures are not in the table; left out"
        findings.append(Finding("image without label", table, detail))


def _inside(archive: Archive, folder: PurePosixPath, name: str) -> str | None:
    """Find a picture by its path from the table, from the top, or from the root of the disk."""
    name = name.replace("\\", "/")
    top = f"{archive.location.as_posix()}/"
    plain = PurePosixPath(name.removeprefix(top)).as_posix()
    beside = (folder / plain).as_posix()
    return next((path for path in (beside, plain) if path in archive.sizes), None)


def _labelled(
    pictures: list[_Picture], names: Mapping[str, str], findings: list[Finding]
) -> list[Sample]:
    """Understand the words; what is not understood is left out, one finding for each word."""
    meant = {word: understand(word, names) for word in {p.word for p in pictures} if word}
    samples = [
        Sample(p.path, p.split, p.word, label, p.path)
        for p in pictures
        if p.word and (label := meant[p.word]) is not None
    ]
    unknown = Counter(p.word for p in pictures if p.word and meant[p.word] is None)
    for word, count in unknown.most_common():
        detail = f"{count:,} pictures; {_hint(word)}; left out"
        findings.append(Finding("unknown class", word, detail))
    nameless = [p.path for p in pictures if not p.word]
    if nameless:
        detail = f"{len(nameless):,} pictures lie in no class folder; left out"
        findings.append(Finding("image without label", nameless[0], detail))
    return samples


def _hint(word: str) -> str:
    if word.isdecimal():
        return f"a number is understood only with a map: add ,{word}=EXPRESSION behind the path"
    guess = suggest(word)
    if guess:
        return f"if it means {guess}, add ,{word}={guess} behind the path"
    return f"if it is an expression, add ,{word}=EXPRESSION behind the path"


def _require_expressions(
    archive: Archive, samples: list[Sample], pictures: list[_Picture], names: Mapping[str, str]
) -> None:
    found = sorted({sample.label for sample in samples if sample.label in LABELS})
    if len(found) > 1:
        return
    if not pictures:
        raise DataError(f"{archive.location} holds no picture: {describe(archive)}.")
    words = Counter(p.word for p in pictures if p.word and understand(p.word, names) is None)
    unknown = [word for word, _ in words.most_common(_LISTED)]
    more = f", and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    guesses = "".join(f",{word}={suggest(word) or 'EXPRESSION'}" for word in unknown)
    told = f"only {found[0]}" if found else "none of the six expressions"
    cause = _table_in_the_way(archive)
    raise DataError(
        f"{archive.location} shows {told}, and at least two are needed: name folders or labels "
        f"{', '.join(LABELS)} (happy, surprised and the like are understood)"
        + (
            f"; not understood: {', '.join(unknown)}{more}, explain them behind the path, such as "
            f"{guesses}"
            if unknown
            else ""
        )
        + (f"; {cause}" if cause else "")
        + "."
    )


def _table_in_the_way(archive: Archive) -> str | None:
    """Say why a csv that lies there was not taken for a list of labels; None if there is none."""
    tables = [name for name in archive.sizes if name.casefold().endswith(".csv")]
    for name in tables[:_LISTED]:
        if problem := table_problem(archive, name):
            return f"{name} cannot be used: {problem}"
        missing = [column for column in _COLUMNS if column not in table_header(archive, name)]
        if missing:
            return f"{name} has no column {' and no '.join(missing)}"
    return None


def _with_splits(samples: list[Sample], findings: list[Finding]) -> list[Sample]:
    """Leave out what is in no split where there are splits, and hold a part out to validate."""
    if any(sample.split in SPLIT_WORDS.values() for sample in samples):
        stray = [s for s in samples if s.split not in SPLIT_WORDS.values()]
        places = Counter(s.split.removeprefix("?") or s.path.rpartition("/")[0] for s in stray)
        for place, count in places.most_common():
            detail = f"{count:,} pictures are in neither train, valid nor test; left out"
            findings.append(Finding("unknown split", place or "top folder", detail))
        samples = [sample for sample in samples if sample.split in SPLIT_WORDS.values()]
    else:
        samples = [replace(sample, split=TRAINING_SPLIT) for sample in samples]
    if any(sample.split == "valid" for sample in samples):
        return samples
    held = _tenth([sample for sample in samples if sample.split == TRAINING_SPLIT])
    if held:
        detail = f"{len(held):,} training pictures validate, the same share of every class"
        findings.append(Finding("no validation split", TRAINING_SPLIT, detail))
    return [replace(s, split="valid") if s.sample_id in held else s for s in samples]


def _tenth(samples: list[Sample]) -> set[str]:
    """Choose a tenth of every class by a hash of the names, whatever the order of the files."""
    by_class: dict[str, list[str]] = {}
    for sample in samples:
        by_class.setdefault(sample.label, []).append(sample.sample_id)
    chosen: set[str] = set()
    for members in by_class.values():
        count = max(round(HELD_OUT_SHARE * len(members)), 1 if len(members) > 1 else 0)
        chosen.update(sorted(members, key=lambda name: rank(_SEED, name))[:count])
    return chosen


def _other_files(archive: Archive, table: str | None) -> Iterator[Finding]:
    kinds = Counter(
        PurePosixPath(name).suffix.lower() or "no suffix"
        for name in archive.sizes
        if not is_image(name) and name != table
    )
    for kind, count in kinds.most_common():
        yield Finding("not an image", kind, f"{count:,} files; left out")
