"""How fast a corpus is prepared, against a plain loop over its pictures in the same run.

python -m benchmarks.prepare [--corpus NAME=PATH] [--limit N] [--processes P]
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from emotion.align import align_face, plain_crop
from emotion.detect import RetinaFaceDetector
from emotion.errors import AlignmentError, EmotionError
from emotion.images import decode_image
from train.alignment import AlignConfig
from train.corpora import Corpus, image_bytes, load_corpus, parse_corpus
from train.prepare import PrepareConfig, prepare_corpora
from train.store import read_split

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
    name, path = parse_corpus(text)
    corpus = load_corpus(name, path, splits=["train"])
    rows = corpus.splits["train"]
    corpus.splits["train"] = rows.select(range(min(limit, len(rows))))
    corpus.splits["other"] = corpus.splits["other"].select([])
    count = len(corpus.splits["train"])
    plain = _median(lambda: _plain_loop(corpus))

    with tempfile.TemporaryDirectory() as folder:
        first, second, reading = [], [], []
        for repeat in range(REPEATS):
            out = Path(folder) / str(repeat)
            config = PrepareConfig((text,), out, AlignConfig(), processes)
            first.append(_seconds(lambda c=config: prepare_corpora([corpus], c)))  # type: ignore[misc]
            second.append(_seconds(lambda c=config: prepare_corpora([corpus], c)))  # type: ignore[misc]
            reading.append(_seconds(lambda o=out: read_split(o, name, "train")))  # type: ignore[misc]
    whole = statistics.median(first)
    print(
        f"{count} pictures of {name}, {processes} processes of one thread, {platform.processor()}"
    )
    print(f"{'plain loop, one process':32}{plain:8.2f} s {count / plain:8.0f} images/s   1.00")
    print(f"{'prepare':32}{whole:8.2f} s {count / whole:8.0f} images/s {plain / whole:6.2f}")
    print(f"{'prepare again, unchanged':32}{statistics.median(second):8.2f} s (without loading)")
    print(f"{'reading the prepared split':32}{statistics.median(reading):8.2f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{'peak memory of this process':32}{peak:8.2f} GiB")


def _plain_loop(corpus: Corpus) -> None:
    """Decode, detect and align one picture after the other."""
    detector = RetinaFaceDetector()
    for row in corpus.splits["train"]:
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
