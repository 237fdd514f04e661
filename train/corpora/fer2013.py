"""FER-2013: Kaggle's folders, the challenge's csv files, and FER+ votes as soft labels."""

from __future__ import annotations

import warnings

import cv2
import numpy as np
import numpy.typing as npt

from emotion.errors import DataError
from emotion.labels import CORPUS_LABELS, LABELS
from train.corpora.archive import Archive, base_name, describe, is_image, read_table
from train.corpora.folders import FolderFile, class_folders, require_expressions
from train.corpora.schema import Finding, Reading, Sample, canonical_label

NAME = "fer2013"

_SIDE = 48
_SPLIT_OF_USAGE = {"training": "train", "publictest": "public", "privatetest": "private"}
_CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")
_FERPLUS = "fer2013new.csv"
_FERPLUS_OTHER = ("neutral", "contempt", "unknown", "nf")


def read(archive: Archive) -> Reading:
    """Read whichever FER-2013 layout ``archive`` has.

    Raises:
        DataError: if it has none of them, or an incomplete one.
    """
    for csv_name in _CSV_NAMES:
        if (table := archive.find(csv_name)) is not None:
            return _read_csv(archive, table)
    emotions = {name for name in CORPUS_LABELS[NAME] if not name.isdecimal()}
    files = class_folders(archive, ("train", "test"), emotions)
    if files is None:
        raise DataError(
            f"{archive.location} is not laid out as FER-2013: understood are the folders "
            f"train/<emotion> and test/<emotion> ({', '.join(sorted(emotions))}), "
            f"{' and '.join(_CSV_NAMES)}; found instead {describe(archive)}."
        )
    return _read_folders(archive, files)


def _read_folders(archive: Archive, files: list[FolderFile]) -> Reading:
    require_expressions(archive, NAME, files)
    samples: list[Sample] = []
    findings: list[Finding] = []
    for file in files:
        label = canonical_label(NAME, file.label)
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
    if (votes := archive.find(_FERPLUS)) is not None:
        detail = "FER+ votes follow the rows of fer2013.csv and cannot be matched to folders"
        findings.append(Finding("unused file", votes, detail))
    return Reading("Kaggle folders", samples, findings)


def _split_of(file: FolderFile) -> str | None:
    # The name decides: Kaggle's test/ mixes both official test splits.
    usage = base_name(file.path).partition("_")[0].casefold()
    return _SPLIT_OF_USAGE.get(usage, "train" if file.split == "train" else None)


def _read_csv(archive: Archive, table: str) -> Reading:
    samples: list[Sample] = []
    findings: list[Finding] = []
    ferplus = archive.find(_FERPLUS)
    votes = None if ferplus is None else _read_votes(archive, ferplus)
    count = 0
    for line, row in read_table(archive, table, ("emotion", "pixels", "usage")):
        where = f"{table}, line {line}"
        usage, emotion = row["usage"].strip().casefold(), row["emotion"].strip()
        split, label, pixels = _SPLIT_OF_USAGE.get(usage), None, None
        if emotion.isdecimal():
            label = canonical_label(NAME, emotion)
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
            soft_label = None
            if votes is not None and label in LABELS:
                soft_label = _soft_label(votes, count, usage, where, findings)
            # FER+ names images by their row; csv rows have no other name.
            name = f"fer{count:07d}"
            png = cv2.imencode(".png", pixels)[1].tobytes()
            samples.append(
                Sample(name, split, emotion, label, f"{name}.png", png, soft_label=soft_label)
            )
        count += 1
    if votes is not None and len(votes) != count:
        raise DataError(
            f"{ferplus} has {len(votes):,} rows and {table} has {count:,}; "
            "both must describe the same images in the same order."
        )
    return Reading(base_name(table), samples, findings)


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


def _read_votes(archive: Archive, table: str) -> list[tuple[str, tuple[int, ...], int]]:
    """Return usage, votes for the six expressions, and all votes, for each row of FER+."""
    votes = []
    for line, row in read_table(archive, table, ("usage", *LABELS, *_FERPLUS_OTHER)):
        try:
            six = tuple(int(row[name] or 0) for name in LABELS)
            total = sum(six) + sum(int(row[name] or 0) for name in _FERPLUS_OTHER)
        except ValueError:
            raise DataError(
                f"{table}, line {line} has votes that are not whole numbers; fetch the file again."
            ) from None
        votes.append((row["usage"].strip().casefold(), six, total))
    return votes


def _soft_label(
    votes: list[tuple[str, tuple[int, ...], int]],
    number: int,
    usage: str,
    where: str,
    findings: list[Finding],
) -> tuple[float, ...] | None:
    """Turn one row of FER+ votes (Barsoum et al. 2016) into a distribution over the six.

    Where more than half of the taggers saw none of the six (neutral, contempt, unknown, no face),
    the few votes that are left say little: the row keeps FER-2013's own label alone.
    """
    if number >= len(votes):
        return None  # the caller compares the lengths at the end
    own_usage, six, total = votes[number]
    if own_usage != usage:
        raise DataError(
            f"FER+ and FER-2013 disagree about the split of the image in {where}; "
            "both files must hold the same images in the same order."
        )
    if 2 * sum(six) < total or not any(six):
        detail = "most FER+ taggers saw none of the six expressions; kept without a soft label"
        findings.append(Finding("no soft label", where, detail))
        return None
    return tuple(count / sum(six) for count in six)
