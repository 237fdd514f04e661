"""AffectNet in the YOLO layout: data.yaml, images/, labels/, and optional second labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import yaml

from emotion import plain_yaml
from emotion.errors import DataError
from train.corpora.archive import Archive, base_name
from train.corpora.schema import Finding, Reading, Sample, canonical_label
from train.corpora.tables import read_table

NAME = "affectnet"

SPLIT_WORDS = {"train": "train", "valid": "valid", "val": "valid", "test": "test"}
"""Folder name -> AffectNet's split word."""

_MAX_TEXT = 2**20
_SECOND_LABELS = "second_labels.csv"


def read_yolo(archive: Archive, config: str, explained: Mapping[str, str]) -> Reading:
    """Read the layout whose class ids the file ``config`` (data.yaml) explains.

    Args:
        archive: where it lies.
        config: path of the file in it.
        explained: words that the user explained, see ``train.corpora.place``.

    Raises:
        DataError: if data.yaml names no classes or an accompanying table cannot be read.
    """
    names = _class_names(archive, config)
    samples: list[Sample] = []
    findings: list[Finding] = []
    root = config.rpartition("/")[0]
    prefix = f"{root}/" if root else ""
    # Folders are written in either case; here their names are compared in lower case.
    label_files = {
        name.casefold(): name
        for name in archive.sizes
        if _is_label_file(name.removeprefix(prefix).casefold())
    }
    for path in archive.images():
        relative = path.removeprefix(prefix)
        folders = relative.casefold().split("/")[:-1]
        split = next((SPLIT_WORDS[word] for word in folders if word in SPLIT_WORDS), None)
        if "images" not in folders or split is None:
            detail = "lies in no images folder of train, valid or test; left out"
            findings.append(Finding("image without label", path, detail))
            continue
        wanted = prefix + _label_file(relative)
        label_file = label_files.pop(wanted.casefold(), None)
        if label_file is None:
            findings.append(Finding("image without label", path, f"no {wanted}; left out"))
            continue
        annotation = _annotation(archive, label_file, names, explained, findings)
        if annotation is not None:
            original, box = annotation
            label = canonical_label(NAME, original, explained)
            assert label is not None  # _annotation returns known names only
            samples.append(Sample(relative, split, original, label, path, relative_box=box))
    findings.extend(
        Finding("label without image", name, "no image belongs to it")
        for name in sorted(label_files.values())
    )
    samples = _with_second_labels(archive, samples, findings)
    return Reading("YOLO", samples, findings, official=False)


def _is_label_file(relative: str) -> bool:
    return relative.endswith(".txt") and "labels" in relative.split("/")[:-1]


def _label_file(relative: str) -> str:
    """Apply Ultralytics' rule: the last images folder becomes labels, the suffix .txt."""
    folders = relative.rpartition(".")[0].split("/")
    lower = [folder.casefold() for folder in folders]
    folders[len(lower) - 1 - lower[::-1].index("images")] = "labels"
    return f"{'/'.join(folders)}.txt"


def _class_names(archive: Archive, config: str) -> dict[int, str]:
    try:
        content = plain_yaml.parse(archive.read(config, _MAX_TEXT).decode("utf-8"))
        names = content["names"]
        pairs = names.items() if isinstance(names, Mapping) else enumerate(names)
        return {int(number): str(name) for number, name in pairs}
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        raise DataError(
            f"{config} in {archive.location} does not list the classes under `names`; "
            "class ids cannot be understood without it."
        ) from None


def _annotation(
    archive: Archive,
    label_file: str,
    names: Mapping[int, str],
    explained: Mapping[str, str],
    findings: list[Finding],
) -> tuple[str, tuple[float, ...]] | None:
    """Return class name and box (shares of width and height) of the largest face in the file."""
    try:
        lines = archive.read(label_file, _MAX_TEXT).decode("utf-8", "replace").splitlines()
    except DataError as error:
        findings.append(Finding("unreadable annotation", label_file, str(error)))
        return None
    faces: list[tuple[str, tuple[float, ...]]] = []
    for line, fields in enumerate(map(str.split, lines), start=1):
        if not fields:
            continue
        where = f"{label_file}, line {line}"
        box = _box(fields[1:])
        name = names.get(int(fields[0])) if fields[0].isdecimal() else None
        if box is None:
            detail = "is not `class centre-x centre-y width height` with shares from 0 to 1"
            findings.append(Finding("unreadable annotation", where, detail))
        elif name is None or canonical_label(NAME, name, explained) is None:
            known = f" ({name})" if name is not None else ""
            detail = (
                f"class id {fields[0]}{known} is no expression that data.yaml explains; left out"
            )
            findings.append(Finding("unknown class", where, detail))
        else:
            faces.append((name, box))
    if not faces:
        if not any(lines):
            findings.append(Finding("image without label", label_file, "the file is empty"))
        return None
    if len(faces) > 1:
        detail = f"{len(faces)} faces; the largest one was kept"
        findings.append(Finding("several faces", label_file, detail))
    return max(faces, key=lambda face: (face[1][2] - face[1][0]) * (face[1][3] - face[1][1]))


def _box(fields: list[str]) -> tuple[float, ...] | None:
    try:
        x, y, width, height = map(float, fields)
    except ValueError:
        return None
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    inside = all(math.isfinite(c) and -0.01 <= c <= 1.01 for c in corners)  # rounding of writers
    if not inside or width <= 0 or height <= 0:
        return None
    return tuple(min(1.0, max(0.0, corner)) for corner in corners)


def _with_second_labels(
    archive: Archive, samples: list[Sample], findings: list[Finding]
) -> list[Sample]:
    """Add the label that ``second_labels.csv`` (split, image, label) gives, where there is one."""
    table = archive.find(_SECOND_LABELS)
    if table is None:
        return samples
    second: dict[tuple[str, str], tuple[str, str]] = {}
    for line, row in read_table(archive, table, ("split", "image", "label")):
        where = f"{table}, line {line}"
        label = canonical_label(NAME, row["label"])
        if label is None:
            detail = f"{row['label']!r} is no AffectNet expression; not used as a second label"
            findings.append(Finding("unknown class", where, detail))
        else:
            split = SPLIT_WORDS.get(row["split"].strip().casefold(), row["split"])
            second[split, row["image"].strip()] = (label, where)
    labelled = []
    for sample in samples:
        label, _ = second.pop((sample.split, base_name(sample.path)), (None, ""))
        labelled.append(replace(sample, second_label=label))
    findings.extend(
        Finding("label without image", where, f"{image} is not in the archive")
        for (_, image), (_, where) in second.items()
    )
    return labelled
