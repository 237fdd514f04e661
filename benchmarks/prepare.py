"""How fast a corpus is prepared, against a plain loop over its pictures in the same run.

python -m benchmarks.prepare [--corpus NAME=PATH] [--limit N] [--processes P]
"""

from __future__ import annotations

import argparse
import os
import platform
import re
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

from emotion.align import align_face, plain_crop
from emotion.detect import RetinaFaceDetector
from emotion.errors import AlignmentError, EmotionError
from emotion.images import decode_image
from train.alignment import AlignConfig
from train.corpora import Corpus, image_bytes, load_corpus, parse_corpus
from train.corpora.published import TRAINING_SPLIT
from train.prepare import PrepareConfig, prepare_corpora
from train.sampling import ShuffledSource
from train.store import FaceStore, read_split

REPEATS = 3


def main() -> int:
    """Measure and print a table; exit code 2 and one sentence for unusable input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", default="fer2013=../shared/data/fer2013.zip")
    parser.add_argument("--limit", type=int, default=1000, help="pictures of the training split")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    try:
        measure(arguments.corpus, arguments.limit, arguments.processes)
    except EmotionError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def measure(text: str, limit: int, processes: int) -> None:
    """Time preparation, an unchanged second run, and reading the result."""
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
    print(f"{count} pictures of {name}; {_machine()}; one thread a process; medians of {REPEATS}")
    _print("plain loop, 1 process", plain, f"{count / plain:8.0f} images/s   1.00")
    rate, speedup = count / whole, plain / whole
    each = f"{rate:8.0f} images/s {speedup:6.2f}   ({rate / processes:.0f} images/s a process)"
    _print(f"prepare --processes {processes}", whole, each)
    _print("loading the corpus, each time", loading)
    _print("prepare again, unchanged", statistics.median(second))
    _print("reading the prepared split", statistics.median(reading))
    _print("gathering 1,000 of its faces", 1000 * statistics.median(gathering))
    _print_peak("this process", resource.RUSAGE_SELF)
    if processes > 1:
        _print_peak("a worker", resource.RUSAGE_CHILDREN)


def _print_peak(who: str, of: int) -> None:
    kibibytes = resource.getrusage(of).ru_maxrss
    print(f"{'peak memory of ' + who:32}{kibibytes / 2**20:10.3f} GiB")


def _print(what: str, seconds: float, more: str = "") -> None:
    print(f"{what:32}{seconds:10.3f} s {more}".rstrip())


def _machine() -> str:
    cores = f"{len(os.sched_getaffinity(0))} cores"
    information = Path("/proc/cpuinfo").read_text("utf-8")
    models = re.findall(r"model name\s*: (.*)", information) or [platform.machine()]
    return f"{cores} of {models[0]}"


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
