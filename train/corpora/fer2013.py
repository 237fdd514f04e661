"""FER-2013: Kaggle's folders, the challenge's csv files, and FER+ votes for both."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from emotion.errors import DataError
from emotion.labels import CORPUS_LABELS
from train.corpora import numbering
from train.corpora.archive import Archive, base_name, is_image
from train.corpora.causes import describe
from train.corpora.expressions import are_explained
from train.corpora.ferplus import Ballot, VoteTable, find_votes, is_no_face, sees_no_face
from train.corpora.folders import FolderFile, class_folders, left_out, require_expressions
from train.corpora.published import TRAINING_SPLIT
from train.corpora.schema import Finding, Reading, Sample, canonical_label
from train.corpora.tables import read_table

NAME = "fer2013"

_SIDE = 48
_SPLIT_OF_USAGE = {"training": "train", "publictest": "public", "privatetest": "private"}
_SPLIT_FOLDERS = {"train": "train", "test": None, **_SPLIT_OF_USAGE}
_CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")


def read(archive: Archive, names: Mapping[str, str]) -> Reading:
    """Read whichever FER-2013 layout ``archive`` has.

    Args:
        archive: where it lies.
        names: words and numbers that the user explained, see ``train.corpora.place``.

    Raises:
        DataError: if it has none of the layouts, or an incomplete one, or if classes are told by
            numbers that nobody explained and that do not occur as often as published.
    """
    for csv_name in _CSV_NAMES:
        if (table := archive.find(csv_name)) is not None:
            return _read_csv(archive, table, names)
    emotions = {name for name in CORPUS_LABELS[NAME] if not name.isdecimal()}
    files = class_folders(archive, _SPLIT_FOLDERS, emotions | {*names})
    if files is None:
        raise DataError(
            f"{archive.location} is not laid out as FER-2013: understood are the folders "
            f"train/<emotion> and test/<emotion> ({', '.join(sorted(emotions))}), "
            f"{' and '.join(_CSV_NAMES)}; found instead {describe(archive)}."
        )
    return _read_folders(archive, files, names)


def _read_folders(archive: Archive, files: list[FolderFile], names: Mapping[str, str]) -> Reading:
    require_expressions(archive, NAME, files, names)
    samples: list[Sample] = []
    findings = left_out(archive, [file.path for file in files])
    for file in files:
        # Folders are named; their numbers are believed only where the user explained them.
        label = None
        if not file.label.isdecimal() or are_explained(names):
            label = canonical_label(NAME, file.label, names)
        split = _split_of(file)
        if not is_image(file.path):
            findings.append(Finding("not an image", file.path, "left out"))
        elif label is None:
            detail = f"no class of FER-2013 is called {file.label!r}; left out"
            findings.append(Finding("unknown class", file.path, detail))
        elif split is None:
            detail = "its name starts with neither PublicTest_ nor PrivateTest_; left out"
            findings.append(Finding("unknown split", file.path, detail))
        else:
            samples.append(Sample(file.relative, split, file.label, label, file.path))
    return _with_votes(archive, Reading("Kaggle folders", samples, findings))


def _with_votes(archive: Archive, reading: Reading) -> Reading:
    """Add FER+ votes by file name, and set aside what shows no face.

    A held-out picture without a face stays: the split is measured as published.
    """
    findings = list(reading.findings)
    table = find_votes(archive, findings)
    layout = f"{reading.layout}, votes from {table.place}" if table else reading.layout
    votes = {} if table is None else _by_sample(table, reading.samples)
    kept: list[Sample] = []
    no_faces: list[Sample] = []
    for sample in reading.samples:
        known = votes.get(sample.sample_id)
        if is_no_face(_stem(sample)) or sees_no_face(known):
            held_out = sample.split != TRAINING_SPLIT
            detail = "stays, since the split is measured as published" if held_out else "left out"
            findings.append(Finding("no face", sample.path, detail))
            (kept if held_out else no_faces).append(sample)
        else:
            if table is not None and known is None and sample.split == TRAINING_SPLIT:
                detail = "no FER+ votes belong to it; kept with its label alone"
                findings.append(Finding("no votes", sample.path, detail))
            kept.append(replace(sample, votes=known))
    return Reading(layout, kept, findings, no_faces=tuple(no_faces))


def _by_sample(table: VoteTable, samples: list[Sample]) -> dict[str, Ballot]:
    """Map sample ids to votes; two pictures of one name cannot be told apart and get none."""
    table.check_order()
    count = Counter(map(_stem, samples))
    votes = {
        sample.sample_id: table.names[_stem(sample)]
        for sample in samples
        if count[_stem(sample)] == 1 and _stem(sample) in table.names
    }
    table.check_matched(len(votes), sum(sample.split != "private" for sample in samples))
    return votes


def _stem(sample: Sample) -> str:
    return base_name(sample.path).partition(".")[0]


def _split_of(file: FolderFile) -> str | None:
    # The name decides: Kaggle's test/ mixes both official test splits.
    usage = base_name(file.path).partition("_")[0].casefold()
    return _SPLIT_OF_USAGE.get(usage) or _SPLIT_FOLDERS[file.split]


def _read_csv(archive: Archive, table: str, names: Mapping[str, str]) -> Reading:
    samples: list[Sample] = []
    findings = left_out(archive, [])
    numbers: dict[str, Counter[str]] = {}
    no_faces: list[Sample] = []
    votes = find_votes(archive, findings)
    count = 0
    for line, row in read_table(archive, table, ("emotion", "pixels", "usage")):
        where = f"{table}, line {line}"
        usage, emotion = row["usage"].strip().casefold(), row["emotion"].strip()
        split, label, pixels = _SPLIT_OF_USAGE.get(usage), None, None
        if emotion.isdecimal():
            label = canonical_label(NAME, emotion, names)
            numbers.setdefault(split or "", Counter())[emotion] += 1
        if split is None:
            detail = f"Usage is {row['usage']!r}; left out"
            findings.append(Finding("unknown split", where, detail))
        elif label is None:
            detail = f"emotion is {emotion!r}, not a number from 0 to 6; left out"
            findings.append(Finding("unknown class", where, detail))
        elif (pixels := _pixels(row["pixels"])) is None:
            detail = f"pixels are not {_SIDE * _SIDE} numbers from 0 to 255; left out"
            findings.append(Finding("unreadable image", where, detail))
        else:
            if votes is not None:
                _check_usage(votes, count, usage, where)
            known = None if votes is None else votes.rows.get(count)
            # FER+ names images by their row; csv rows have no other name.
            name = f"fer{count:07d}"
            png = cv2.imencode(".png", pixels)[1].tobytes()
            sample = Sample(name, split, emotion, label, f"{name}.png", png, votes=known)
            if split == TRAINING_SPLIT and (not np.ptp(pixels) or sees_no_face(known)):
                findings.append(Finding("no face", where, "left out"))
                no_faces.append(sample)
            else:
                samples.append(sample)
        count += 1
    numbering.check_numbers(NAME, numbers, f"{table} in {archive.location}", names)
    if votes is not None:
        _check_rows(votes, count, table)
    layout = f"{base_name(table)}, votes from {votes.place}" if votes else base_name(table)
    return Reading(layout, samples, findings, no_faces=tuple(no_faces))


def _check_usage(votes: VoteTable, row: int, usage: str, where: str) -> None:
    if row < len(votes.usages) and votes.usages[row] != usage:
        raise DataError(
            f"FER+ and FER-2013 disagree about the split of the image in {where}; "
            "both files must hold the same images in the same order."
        )


def _check_rows(votes: VoteTable, count: int, table: str) -> None:
    """Check that a table by row describes the same rows, and one by name at least most of them."""
    if votes.usages and len(votes.usages) != count:
        raise DataError(
            f"{votes.place} has {len(votes.usages):,} rows and {table} has {count:,}; "
            "both must describe the same images in the same order."
        )
    votes.check_matched(sum(row < count for row in votes.rows), count)


def _pixels(text: str) -> npt.NDArray[np.uint8] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy only warns of text that is no number
            values = np.fromstring(text, np.int64, sep=" ")
    except (ValueError, DeprecationWarning):
        return None
    if values.size != _SIDE * _SIDE or values.min() < 0 or values.max() > 255:
        return None
    return values.astype(np.uint8).reshape(_SIDE, _SIDE)
