"""RAF-DB basic: Kaggle's numbered folders, flat images with a csv, and the official release."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from emotion.errors import DataError
from emotion.labels import CORPUS_LABELS
from train.corpora import numbering
from train.corpora.archive import Archive, base_name, is_image
from train.corpora.causes import describe
from train.corpora.folders import FolderFile, class_folders, left_out, require_expressions
from train.corpora.schema import Finding, Reading, Sample, canonical_label
from train.corpora.tables import read_table, table_header

NAME = "raf-db"

_SPLITS = ("train", "test")
_PARTITION = "list_patition_label.txt"  # spelled so in the official release
_MAX_TEXT = 2**22


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a label file: which image, its label, and where the line stands."""

    image: str
    label: str
    split: str | None
    where: str


def read(archive: Archive, names: Mapping[str, str]) -> Reading:
    """Read whichever RAF-DB layout ``archive`` has.

    Args:
        archive: where it lies.
        names: words and numbers that the user explained, see ``train.corpora.place``.

    Raises:
        DataError: if it has none of the layouts, or an incomplete one, or if the numbers of its
            classes are not explained and do not occur as often as published.
    """
    if (partition := archive.find(_PARTITION)) is not None:
        return _read_official(archive, partition, names)
    tables = [
        name
        for name in archive.sizes
        if name.casefold().endswith(".csv") and {"image", "label"} <= {*table_header(archive, name)}
    ]
    rows = [row for table in tables for row in _csv_rows(archive, table)]
    files = class_folders(archive, _SPLITS, {*CORPUS_LABELS[NAME], *names})
    if files is not None:
        return _read_folders(archive, files, rows, names)
    if rows:
        return _read_flat(archive, rows, names)
    raise DataError(
        f"{archive.location} is not laid out as RAF-DB: understood are the folders train/<1..7> "
        "and test/<1..7>, images with train_labels.csv and test_labels.csv (columns "
        "image, label), and the official Image/aligned or Image/original with "
        f"EmoLabel/{_PARTITION}; "
        f"found instead {describe(archive)}."
    )


def _read_folders(
    archive: Archive, files: list[FolderFile], rows: list[_Row], names: Mapping[str, str]
) -> Reading:
    pictures = [file for file in files if is_image(file.path)]
    _check_numbers(archive, names, [(file.split, file.label) for file in pictures])
    require_expressions(archive, NAME, files, names)
    samples: list[Sample] = []
    findings = left_out(archive, [file.path for file in files])
    listed = {(row.split, base_name(row.image)): row for row in rows}
    tabled = {row.split for row in rows}
    for file in files:
        label = canonical_label(NAME, file.label, names)
        if not is_image(file.path):
            findings.append(Finding("not an image", file.path, "left out"))
            continue
        row = listed.pop((file.split, base_name(file.path)), None)
        if label is None:
            detail = f"RAF-DB has no class {file.label!r}; left out"
            findings.append(Finding("unknown class", file.path, detail))
            continue
        if row is None and file.split in tabled:
            detail = f"no row of the csv names it; kept with the label {file.label} of its folder"
            findings.append(Finding("image without label", file.path, detail))
        elif row is not None and row.label != file.label:
            detail = f"{row.where} says {row.label}; kept with the label {file.label} of its folder"
            findings.append(Finding("contradicting labels", file.path, detail))
        samples.append(Sample(file.relative, file.split, file.label, label, file.path))
    findings.extend(_without_image(row) for row in listed.values())
    return Reading("Kaggle folders", samples, findings)


def _read_flat(archive: Archive, rows: list[_Row], names: Mapping[str, str]) -> Reading:
    by_name: dict[str, list[str]] = {}
    for path in archive.images():
        by_name.setdefault(base_name(path), []).append(path)

    def path_of(row: _Row) -> str | None:
        candidates = by_name.get(base_name(row.image), [])
        # train/0001.jpg and test/0001.jpg are told apart by the split of the row.
        same_split = [path for path in candidates if row.split in path.split("/")]
        return next(iter(same_split or candidates), None)

    _check_numbers(archive, names, [(row.split, row.label) for row in rows])
    samples, findings = _match(rows, path_of, archive.images(), names)
    return Reading("flat images with csv", samples, findings)


def _read_official(archive: Archive, partition: str, names: Mapping[str, str]) -> Reading:
    folder = PurePosixPath(partition).parent
    root = folder.parent if folder.name.casefold() == "emolabel" else folder
    # basic/ and compound/ use the same file names: only what lies beside the label file counts.
    prefix = "" if str(root) == "." else f"{root}/"
    inside = {base_name(name): name for name in archive.sizes if name.startswith(prefix)}
    images = [name for name in inside.values() if is_image(name)]
    # Published results are on the aligned crops, so they are preferred where both are present.
    aligned = [name for name in images if _is_aligned(name)]

    def path_of(row: _Row) -> str | None:
        stem, _, suffix = row.image.rpartition(".")
        return inside.get(f"{stem}_aligned.{suffix}" if aligned else row.image)

    rows = list(_partition_rows(archive, partition))
    _check_numbers(archive, names, [(row.split, row.label) for row in rows])
    samples, findings = _match(rows, path_of, aligned or images, names)
    samples = [replace(sample, sample_id=sample.path.removeprefix(prefix)) for sample in samples]
    findings += left_out(archive, aligned or images)
    if aligned:
        return Reading("official, aligned images", samples, findings)
    annotated = [_annotate(archive, sample, inside, findings) for sample in samples]
    return Reading("official, original images", annotated, findings)


def _match(
    rows: Iterable[_Row],
    path_of: Callable[[_Row], str | None],
    images: Iterable[str],
    names: Mapping[str, str],
) -> tuple[list[Sample], list[Finding]]:
    """Bring label rows and images together; whatever is left over on either side is a finding."""
    samples: list[Sample] = []
    findings: list[Finding] = []
    used: set[str] = set()
    for row in rows:
        path = path_of(row)
        label = canonical_label(NAME, row.label, names)
        if path is None:
            findings.append(_without_image(row))
        elif path in used:
            findings.append(Finding("listed twice", row.where, f"{row.image}; left out"))
        elif label is None:
            detail = f"{row.image} has the label {row.label!r}, not 1 to 7; left out"
            findings.append(Finding("unknown class", row.where, detail))
        elif row.split is None:
            detail = f"{row.image} starts with neither train_ nor test_; left out"
            findings.append(Finding("unknown split", row.where, detail))
        else:
            samples.append(Sample(path, row.split, row.label, label, path))
        if path is not None:
            used.add(path)
    findings.extend(
        Finding("image without label", path, "no row names it; left out")
        for path in images
        if path not in used
    )
    return samples, findings


def _check_numbers(
    archive: Archive, names: Mapping[str, str], labels: Iterable[tuple[str | None, str]]
) -> None:
    """Check numbers that the user did not explain, see ``train.corpora.numbering``."""
    counts: dict[str, Counter[str]] = {}
    for split, label in labels:
        if label.isdecimal():
            counts.setdefault(split or "", Counter())[label] += 1
    numbering.check_numbers(NAME, counts, str(archive.location), names)


def _csv_rows(archive: Archive, table: str) -> Iterator[_Row]:
    split = _split_word(base_name(table))
    for line, row in read_table(archive, table, ("image", "label")):
        image, label = row["image"].strip(), row["label"].strip()
        yield _Row(image, label, split or _split_word(base_name(image)), f"{table}, line {line}")


def _partition_rows(archive: Archive, partition: str) -> Iterator[_Row]:
    text = archive.read(partition, _MAX_TEXT).decode("utf-8", "replace")
    for line, fields in enumerate(map(str.split, text.splitlines()), start=1):
        if fields:
            image, label = fields[0], " ".join(fields[1:])
            yield _Row(image, label, _split_word(image), f"{partition}, line {line}")


def _split_word(name: str) -> str | None:
    word = name.partition("_")[0].casefold()
    return word if word in _SPLITS else None


def _is_aligned(name: str) -> bool:
    return PurePosixPath(name).stem.endswith("_aligned")


def _without_image(row: _Row) -> Finding:
    return Finding("label without image", row.where, f"{row.image} is not in the archive")


def _annotate(
    archive: Archive, sample: Sample, inside: dict[str, str], findings: list[Finding]
) -> Sample:
    """Add the bounding box and the manual landmarks, which are in pixels of the original image."""
    stem = PurePosixPath(sample.path).stem
    box = _numbers(archive, inside.get(f"{stem}_boundingbox.txt"), 4, findings)
    landmarks = _numbers(archive, inside.get(f"{stem}_manu_attri.txt"), 10, findings)
    return replace(sample, box=box, landmarks=landmarks)


def _numbers(
    archive: Archive, name: str | None, count: int, findings: list[Finding]
) -> tuple[float, ...] | None:
    """Return the first ``count`` numbers of a text file; attributes may follow them."""
    if name is None:
        return None
    try:
        values = tuple(map(float, archive.read(name, _MAX_TEXT).split()[:count]))
    except (ValueError, DataError):
        values = ()
    if len(values) != count or not all(map(math.isfinite, values)):
        findings.append(
            Finding("unreadable annotation", name, f"does not start with {count} numbers")
        )
        return None
    return values
