"""AffectNet: the YOLO layout, folders with labels.csv, and the official manual annotations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from emotion.errors import DataError
from train.corpora.affectnet_npy import EXPRESSIONS, find_annotations, read_npy
from train.corpora.affectnet_yolo import NAME, SPLIT_WORDS, read_yolo
from train.corpora.archive import Archive, base_name
from train.corpora.causes import describe
from train.corpora.landmarks import five_landmarks
from train.corpora.schema import Finding, Reading, Sample, canonical_label, rank
from train.corpora.tables import read_table, table_header

SPLIT_SEED = 0
"""Seed of the split that layouts without one get."""

HELD_OUT_SHARE = 0.1
"""Share of each class that goes to ``valid``, and again to ``test``, in that split."""

_PATH_COLUMN = "subdirectory_filepath"
_OFFICIAL_COLUMNS = (
    _PATH_COLUMN,
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
)
_NO_EXPRESSION = {"8": "none", "9": "uncertain", "10": "no face"}


def read(archive: Archive, names: Mapping[str, str]) -> Reading:
    """Read whichever AffectNet layout ``archive`` has.

    Args:
        archive: where it lies.
        names: words that the user explained, see ``train.corpora.place``.

    Raises:
        DataError: if it has none of them, or an incomplete one.
    """
    if (config := archive.find("data.yaml")) is not None:
        return read_yolo(archive, config, names)
    if annotations := find_annotations(archive):
        return read_npy(archive, NAME, annotations)
    headers = {
        name: table_header(archive, name)
        for name in archive.sizes
        if name.casefold().endswith(".csv")
    }
    official = [name for name, header in headers.items() if _PATH_COLUMN in header]
    if any(not _is_automatic(name) for name in official):
        return _read_official(archive, official)
    labels = archive.find("labels.csv")
    if labels is not None and {"pth", "label"} <= {*headers[labels]}:
        return _read_labels_csv(archive, labels, names)
    raise DataError(
        f"{archive.location} is not laid out as AffectNet: understood are data.yaml with images/ "
        "and labels/ (YOLO), folders of images with labels.csv (columns pth, label), the official "
        "manual annotations (training.csv, validation.csv with subDirectory_filePath), and the "
        "official train_set and val_set with images/ and annotations/*_exp.npy; "
        f"found instead {describe(archive)}."
    )


def seeded_split(samples: Iterable[Sample], seed: int = SPLIT_SEED) -> list[Sample]:
    """Divide samples into train, valid and test, the same share of every class in each.

    The order that decides comes from a hash of seed and sample id, so the result depends neither on
    the order of the files nor on whether they lie in a zip or a folder.
    """
    by_class: dict[str, list[Sample]] = {}
    for sample in samples:
        by_class.setdefault(sample.label, []).append(sample)
    divided = []
    for members in by_class.values():
        members.sort(key=lambda sample: rank(seed, sample.sample_id))
        held_out = round(HELD_OUT_SHARE * len(members))
        words = ["test"] * held_out + ["valid"] * held_out
        words += ["train"] * (len(members) - len(words))
        divided += [replace(s, split=word) for s, word in zip(members, words, strict=True)]
    return sorted(divided, key=lambda sample: sample.sample_id)


def _read_labels_csv(archive: Archive, table: str, names: Mapping[str, str]) -> Reading:
    """Read Kaggle's 96x96 copy: the csv's label counts, the folder's name is a second label.

    The csv holds labels that its makers corrected with a model; the folders keep AffectNet's.
    """
    samples: list[Sample] = []
    findings: list[Finding] = []
    folder = table.rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    index = _by_ending(archive)
    unused = set(archive.images())
    for line, row in read_table(archive, table, ("pth", "label")):
        where = f"{table}, line {line}"
        path = _lookup(archive, index, prefix, row["pth"])
        label = canonical_label(NAME, row["label"], names)
        if path is None:
            findings.append(Finding("label without image", where, f"{row['pth']} was not found"))
        elif path not in unused:
            findings.append(Finding("listed twice", where, f"{row['pth']}; left out"))
        elif label is None:
            detail = f"{row['label']!r} is no AffectNet expression; left out"
            findings.append(Finding("unknown class", where, detail))
        else:
            relative = path.removeprefix(prefix)
            folders = [part.casefold() for part in relative.split("/")[:-1]]
            split = next((SPLIT_WORDS[word] for word in folders if word in SPLIT_WORDS), "")
            second = canonical_label(NAME, folders[-1], names) if folders else None
            original = row["label"].strip()
            samples.append(Sample(relative, split, original, label, path, second_label=second))
        unused.discard(path or "")
    findings.extend(_unnamed(unused))
    return Reading("labels.csv", _complete_splits(samples, findings), findings, official=False)


def _read_official(archive: Archive, tables: list[str]) -> Reading:
    samples: dict[str, Sample] = {}
    findings: list[Finding] = []
    index = _by_ending(archive)
    unused = set(archive.images())
    for table in tables:
        if _is_automatic(table):
            findings.append(Finding("unused file", table, "automatic annotations are not used"))
            continue
        word = base_name(table).casefold()
        split = next((SPLIT_WORDS[w] for w in ("train", "val", "test") if word.startswith(w)), "")
        for line, row in read_table(archive, table, _OFFICIAL_COLUMNS):
            where = f"{table}, line {line}"
            path = _lookup(archive, index, "", row[_PATH_COLUMN])
            unused.discard(path or "")
            sample = _official_sample(row, path, split, where, findings)
            if sample is not None:
                # A photo with several faces has several rows; each face is a sample of its own.
                name, copy = sample.sample_id, 1
                while sample.sample_id in samples:
                    copy += 1
                    sample = replace(sample, sample_id=f"{name}#{copy}")
                samples[sample.sample_id] = sample
    findings.extend(_unnamed(unused))
    complete = _complete_splits(list(samples.values()), findings)
    return Reading("official manual annotations", complete, findings)


def _official_sample(
    row: dict[str, str], path: str | None, split: str, where: str, findings: list[Finding]
) -> Sample | None:
    name, expression = row[_PATH_COLUMN].strip(), row["expression"].strip()
    if expression in _NO_EXPRESSION:
        detail = f"{name} is marked {_NO_EXPRESSION[expression]!r}; left out"
        findings.append(Finding("no expression", where, detail))
        return None
    if not expression.isdecimal() or int(expression) >= len(EXPRESSIONS):
        detail = f"{name} has the expression {expression!r}, not 0 to 10; left out"
        findings.append(Finding("unknown class", where, detail))
        return None
    if path is None:
        findings.append(Finding("label without image", where, f"{name} was not found"))
        return None
    box = _floats([row[f"face_{side}"] for side in ("x", "y", "width", "height")], 4)
    points = _floats(row["facial_landmarks"].split(";"), 136)
    if box is None or points is None:
        detail = f"box or landmarks of {name} are not numbers; kept without them"
        findings.append(Finding("unreadable annotation", where, detail))
    original = EXPRESSIONS[int(expression)]
    label = canonical_label(NAME, original)
    assert label is not None  # all eight names are in the table
    return Sample(
        name,
        split,
        original,
        label,
        path,
        box=box and (box[0], box[1], box[0] + box[2], box[1] + box[3]),
        landmarks=points and five_landmarks(np.reshape(points, (68, 2))),
    )


def _unnamed(images: set[str]) -> list[Finding]:
    return [
        Finding("image without label", path, "no table names it; left out")
        for path in sorted(images)
    ]


def _complete_splits(samples: list[Sample], findings: list[Finding]) -> list[Sample]:
    """Give a corpus without splits a seeded one; in one with splits, leave out what has none."""
    if not any(sample.split for sample in samples):
        return seeded_split(samples)
    findings.extend(
        Finding("unknown split", sample.path, "belongs to neither train, valid nor test; left out")
        for sample in samples
        if not sample.split
    )
    return [sample for sample in samples if sample.split]


def _by_ending(archive: Archive) -> dict[str, str]:
    """Map the last two parts of every image's path to the path."""
    return {"/".join(path.split("/")[-2:]): path for path in reversed(archive.images())}


def _lookup(archive: Archive, index: dict[str, str], prefix: str, name: str) -> str | None:
    """Find an image that a table names, also if the table lies elsewhere than its paths start."""
    name = name.strip().replace("\\", "/")
    if prefix + name in archive.sizes:
        return prefix + name
    return index.get("/".join(name.split("/")[-2:]))


def _floats(fields: list[str], count: int) -> tuple[float, ...] | None:
    try:
        values = tuple(map(float, fields))
    except ValueError:
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None


def _is_automatic(table: str) -> bool:
    return base_name(table).casefold().startswith("automatic")
