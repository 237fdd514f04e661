"""How fast a corpus is prepared, against a plain loop over its pictures in the same run.

python -m benchmarks.prepare [--corpus NAME=PATH] [--limit N] [--processes P]
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from datasets import DatasetDict

from benchmarks import _rows
from benchmarks._machine import machine
from emotion.align import align_face, plain_crop
from emotion.detect import RetinaFaceDetector
from emotion.errors import AlignmentError, EmotionError
from emotion.images import decode_image
from train.config.faces import AlignConfig
from train.corpora import Corpus, image_bytes, load_corpus, parse_corpus
from train.corpora.published import TRAINING_SPLIT
from train.faces.prepare import PrepareConfig, prepare_corpora
from train.faces.store import FaceStore, read_split
from train.training.sampling import ShuffledSource

REPEATS = 3


def main() -> int:
    """Measure and print a table; exit code 2 and one sentence for unusable input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", default="fer2013=../shared/data/fer2013.zip")
    parser.add_argument("--limit", type=int, default=1000, help="pictures of the training split")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    _rows.add_option(parser)
    arguments = parser.parse_args()
    try:
        rows = measure(arguments.corpus, arguments.limit, arguments.processes)
        _rows.write(arguments.json, rows, corpus=arguments.corpus, processes=arguments.processes)
    except EmotionError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def measure(text: str, limit: int, processes: int) -> list[_rows.Row]:
    """Time preparation, an unchanged second run, and reading the result.

    Returns:
        A row for each thing that was done.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    name, path = parse_corpus(text)
    started = time.perf_counter()
    corpus = load_corpus(name, path, splits=[TRAINING_SPLIT])
    loading = time.perf_counter() - started
    # Evenly spread: the pictures of a corpus are ordered by class.
    rows = corpus.splits[TRAINING_SPLIT]
    count = min(limit, len(rows))
    spread = rows.select(np.arange(count) * len(rows) // count)
    corpus = replace(corpus, splits=DatasetDict({TRAINING_SPLIT: spread}))
    plain = _median(lambda: _plain_loop(corpus))

    with tempfile.TemporaryDirectory() as folder:
        first, second, reading, gathering = [], [], [], []
        for repeat in range(REPEATS):
            config = PrepareConfig((text,), Path(folder) / str(repeat), AlignConfig(), processes)
            prepare_it = partial(prepare_corpora, [corpus], config)
            first.append(_seconds(prepare_it))
            second.append(_seconds(prepare_it))
            reading.append(_seconds(partial(read_split, config.out, name, TRAINING_SPLIT)))
            faces = read_split(config.out, name, TRAINING_SPLIT)
            gathering.append(_seconds(partial(_gather, faces)) / len(faces))
    whole = statistics.median(first)
    print(f"{count} pictures of {name}; {machine()}; one thread a process; medians of {REPEATS}")
    rows: list[_rows.Row] = [
        {"what": "plain loop, 1 process", "median_s": plain, "images_per_s": count / plain},
        {
            "what": f"prepare --processes {processes}",
            "median_s": whole,
            "images_per_s": count / whole,
            "speed": plain / whole,
        },
        {"what": "loading the corpus, each time", "median_s": loading},
        {"what": "prepare again, unchanged", "median_s": statistics.median(second)},
        {"what": "reading the prepared split", "median_s": statistics.median(reading)},
        {"what": "gathering 1,000 of its faces", "median_s": 1000 * statistics.median(gathering)},
        {"what": "peak memory of this process", "memory_gib": _peak(resource.RUSAGE_SELF)},
    ]
    if processes > 1:
        workers = _peak(resource.RUSAGE_CHILDREN)
        rows.append({"what": "peak memory of a worker", "memory_gib": workers})
    units = {"median_s": "s", "images_per_s": "images/s", "speed": "x", "memory_gib": "GiB"}
    for row in rows:
        cells = [f"{row[key]:10.3f} {unit}" for key, unit in units.items() if key in row]
        print(f"{row['what']:32}" + " ".join(cells))
    return rows


def _peak(of: int) -> float:
    """Return the peak memory of this process or of its largest child in GiB."""
    return resource.getrusage(of).ru_maxrss / 2**20


def _gather(faces: FaceStore) -> None:
    source = ShuffledSource(faces, 64, seed=0)
    source.begin_epoch(0)
    for index in range(source.steps):
        rows = source.rows(index)
        faces.faces[rows], faces.labels[rows]


def _plain_loop(corpus: Corpus) -> None:
    """Decode, detect and align one picture after the other."""
    detector = RetinaFaceDetector()
    for row in corpus.splits[TRAINING_SPLIT]:
        picture = decode_image(image_bytes(row["image"]))
        faces = detector.detect(picture)
        try:
            align_face(picture, faces[0].landmarks) if faces else plain_crop(picture)
        except AlignmentError:
            plain_crop(picture)


def _median(action: Callable[[], object]) -> float:
    return statistics.median(_seconds(action) for _ in range(REPEATS))


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
