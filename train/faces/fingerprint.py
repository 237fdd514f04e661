"""Fingerprints: equal for equal input, so that finished work is recognised and nothing stale is."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasets import Dataset

from emotion.align import CROP_SIZE
from emotion.detect.checkpoint import MOBILENET_WEIGHTS
from emotion.errors import DataError
from train.config.faces import AlignConfig
from train.corpora import FEATURES, Corpus
from train.corpora.drawing import SIZE, draw_face
from train.faces.align_rows import align_in_batches

ALIGNING = 1
"""Version of what makes a crop of a row: ``emotion.images``, ``emotion.detect``, ``emotion.align``,
``train.faces.align_rows``, ``train.superres``. Raise it with every change that changes a crop, a
thumbnail or a hash, also where the golden crops do not show it."""

CHOOSING = 1
"""Version of what decides which rows stay, what is learnt of them and how they are saved:
``train.faces.duplicates``, ``train.faces.prepare`` and what they use."""

GOLDEN = Path(__file__).parent / "golden.png"
"""The golden crops as they were when ``ALIGNING`` got its value, grey."""

GOLDEN_TOLERANCE = 0.5
"""Mean difference in grey levels up to which crops are the golden ones. Between processors a few
pixels differ by one level; another interpolation or a quarter of a pixel is far more."""

_BATCH = 4096


def of_aligned(corpora: Sequence[Corpus], align: AlignConfig) -> str:
    """Hash everything that shapes the crops: rows, options, models, and what alignment does.

    The text of the source does not count, nor do versions of libraries: what counts is
    ``ALIGNING`` and whether the golden crops come out as recorded.

    Raises:
        DataError: if a model is not there.
    """
    options = {name: str(value) for name, value in asdict(align).items()}
    digest = hashlib.sha256(json.dumps([options, ALIGNING, _golden_digest()]).encode())
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
    """Hash what shapes the crops, and the version of what chooses among them."""
    return hashlib.sha256(f"{of_aligned(corpora, align)} {CHOOSING}".encode()).hexdigest()


def golden_crops() -> npt.NDArray[np.uint8]:
    """Align one drawn face in the three ways a row can be aligned.

    Returns:
        uint8 (64, 192): by the detector's landmarks, by the corpus's own, and from its box alone.
    """
    image, landmarks = draw_face("happiness", seed=0, index=0)
    pixels = np.asarray(cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR))
    faceless = cv2.imencode(".png", np.ascontiguousarray(pixels[:24]))[1].tobytes()
    rows: dict[str, list[Any]] = {name: [None] * 3 for name in FEATURES}
    rows["image"] = [{"bytes": data, "path": None} for data in (image, image, faceless)]
    rows["landmarks"][1], rows["box"][2] = landmarks, (8.0, 0.0, SIZE - 8.0, 24.0)
    dataset = Dataset.from_dict(rows, features=FEATURES)
    (aligned,) = align_in_batches(dataset, AlignConfig())
    crops = [np.frombuffer(px, np.uint8).reshape(CROP_SIZE, CROP_SIZE) for px in aligned["px"]]
    return np.hstack(crops)


def is_golden(crops: npt.NDArray[np.uint8]) -> bool:
    """Tell whether crops are the recorded ones, up to what processors differ by."""
    recorded = cv2.imread(str(GOLDEN), cv2.IMREAD_GRAYSCALE)
    if recorded is None or recorded.shape != crops.shape:
        return False
    return float(cv2.absdiff(recorded, crops).mean()) <= GOLDEN_TOLERANCE


def _golden_digest() -> str:
    """Return a word where all is as recorded, so that it is the same one on every processor."""
    crops = golden_crops()
    return "as recorded" if is_golden(crops) else hashlib.sha256(crops.tobytes()).hexdigest()


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
