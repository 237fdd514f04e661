"""Fingerprints: equal for equal input, so that finished work is recognised and nothing stale is."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import PIL
import pyarrow as pa
import torch
from datasets import Dataset

import emotion
import train
from emotion.detect.retinaface import MOBILENET_WEIGHTS
from emotion.errors import DataError
from train.alignment import AlignConfig
from train.corpora import Corpus

_EMOTION, _TRAIN = (Path(str(package.__file__)).parent for package in (emotion, train))

# What makes a crop of a row.
_ALIGNING = (
    _EMOTION / "align.py",
    _EMOTION / "images.py",
    _EMOTION / "detect",
    _TRAIN / "alignment.py",
    _TRAIN / "corpora" / "dedup.py",  # the thumbnails and hashes in a row
)
# What decides which rows stay and how they are saved.
_CHOOSING = (_TRAIN / "duplicates.py", _TRAIN / "prepare.py")

_BATCH = 4096


def of_aligned(corpora: Sequence[Corpus], align: AlignConfig) -> str:
    """Hash everything that shapes the crops: rows, options, models, code and libraries.

    Raises:
        DataError: if a model is not there.
    """
    options = {name: str(value) for name, value in asdict(align).items()}
    versions = [cv2.__version__, PIL.__version__, str(torch.__version__)]
    digest = hashlib.sha256(json.dumps([options, versions]).encode())
    superres = [_TRAIN / "superres"] if align.superres != "bicubic" else []
    for path in _sources([*_ALIGNING, *superres]):
        digest.update(path.read_bytes())
    # The ResNet-50 detector's own weights are named by the code.
    own = MOBILENET_WEIGHTS if align.detector == "mobilenet0.25" else None
    for model in filter(None, (align.detector_weights or own, align.superres_model)):
        try:
            digest.update(model.read_bytes())
        except OSError as error:
            raise DataError(
                f"The model {model} cannot be read ({error.strerror}); check the path."
            ) from None
    for corpus in sorted(corpora, key=lambda corpus: corpus.name):
        for split, rows in corpus.splits.items():
            digest.update(f"{corpus.name}/{split}/{len(rows)}".encode())
            _add_rows(digest, rows)
    return digest.hexdigest()


def of_prepared(corpora: Sequence[Corpus], align: AlignConfig) -> str:
    """Hash what shapes the crops, and the code that chooses among them."""
    digest = hashlib.sha256(of_aligned(corpora, align).encode())
    for path in _sources(_CHOOSING):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources(places: Iterable[Path]) -> list[Path]:
    """Return the given files, and for each folder the modules in it."""
    return [
        path
        for place in places
        for path in (sorted(place.glob("*.py")) if place.is_dir() else [place])
    ]


def _add_rows(digest: Any, rows: Dataset) -> None:
    """Hash all columns as Arrow lays them out, and the state of files that are read later."""
    for table in rows.with_format("arrow").iter(_BATCH):
        stream = io.BytesIO()
        with pa.ipc.new_stream(stream, table.schema) as writer:
            writer.write_table(table.combine_chunks())
        digest.update(stream.getbuffer())
        image = table.column("image").combine_chunks()
        outside = image.field("path").filter(image.field("bytes").is_null()).to_pylist()
        for file in sorted({path.rpartition("::")[2] for path in outside}):
            digest.update(_state(file).encode())


def _state(file: str) -> str:
    try:
        status = os.stat(file)
    except OSError:
        return f"{file} is missing"  # whoever reads the row finds out and says so
    return f"{file} {status.st_size} {status.st_mtime_ns}"
