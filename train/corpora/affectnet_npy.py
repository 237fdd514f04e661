"""AffectNet's own release of 287,651 and 3,999 cropped pictures with their annotations as npy."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from emotion.errors import DataError
from train.corpora.archive import Archive
from train.corpora.landmarks import five_landmarks
from train.corpora.schema import Finding, Reading, Sample, canonical_label

EXPRESSIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
"""AffectNet's numbers of the eight expressions, from 0."""

_SPLITS = {"train_set": "train", "val_set": "valid", "test_set": "test"}
_ENDING = "_exp.npy"
_MAX_BYTES = 2**16


def find_annotations(archive: Archive) -> list[str]:
    """Return the files with the expression of a picture each, such as 123_exp.npy."""
    return [name for name in archive.sizes if name.casefold().endswith(_ENDING)]


def read_npy(archive: Archive, corpus: str, annotations: list[str]) -> Reading:
    """Read ``<split>_set/images/123.jpg`` with ``<split>_set/annotations/123_exp.npy``.

    Landmarks are used where ``123_lnd.npy`` lies beside the expression.
    """
    samples: list[Sample] = []
    findings: list[Finding] = []
    pictures = {name.rpartition(".")[0]: name for name in archive.images()}
    unused = set(pictures)
    for name in annotations:
        folder, stem = PurePosixPath(name).parent, name.rpartition("/")[2][: -len(_ENDING)]
        place = (folder.parent / "images" / stem).as_posix()
        split = next((_SPLITS[p.casefold()] for p in folder.parts if p.casefold() in _SPLITS), None)
        expression = _expression(archive, name)
        unused.discard(place)
        if place not in pictures:
            findings.append(Finding("label without image", name, f"no picture {place}"))
        elif split is None:
            detail = f"lies in none of {', '.join(_SPLITS)}; left out"
            findings.append(Finding("unknown split", name, detail))
        elif expression is None:
            detail = "holds no whole number from 0 to 7; left out"
            findings.append(Finding("unknown class", name, detail))
        else:
            path, landmarks = pictures[place], f"{name[: -len(_ENDING)]}_lnd.npy"
            label = canonical_label(corpus, EXPRESSIONS[expression])
            assert label is not None  # all eight names are in the table
            points = _landmarks(archive, landmarks, findings)
            sample = Sample(path, split, EXPRESSIONS[expression], label, path, landmarks=points)
            samples.append(sample)
    rest = Counter(place.rpartition("/")[0] for place in unused)
    findings.extend(
        Finding("image without label", folder, f"{count:,} pictures have no *{_ENDING}; left out")
        for folder, count in sorted(rest.items())
    )
    return Reading("images with annotations as npy", samples, findings)


def _load(archive: Archive, name: str) -> npt.NDArray[np.generic] | None:
    try:
        return np.asarray(np.load(io.BytesIO(archive.read(name, _MAX_BYTES)), allow_pickle=False))
    except (DataError, ValueError, OSError, EOFError):
        return None


def _expression(archive: Archive, name: str) -> int | None:
    """Return a number from 0 to 7; the release holds it as text."""
    value = _load(archive, name)
    if value is None or value.size != 1:
        return None
    text = str(value.reshape(-1)[0]).strip().removesuffix(".0")
    return int(text) if text.isdecimal() and int(text) < len(EXPRESSIONS) else None


def _landmarks(archive: Archive, name: str, findings: list[Finding]) -> tuple[float, ...] | None:
    """Return the five landmarks of the 68 in a file, None if it is not there."""
    if name not in archive.sizes:
        return None
    value = _load(archive, name)
    try:
        points = np.asarray(value, np.float64).reshape(68, 2)
    except (ValueError, TypeError):
        points = np.full((68, 2), np.nan)
    if not np.isfinite(points).all():
        findings.append(
            Finding("unreadable annotation", name, "holds no 68 points; kept without them")
        )
        return None
    return five_landmarks(points)
