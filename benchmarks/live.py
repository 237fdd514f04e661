"""How long one frame of the live view takes, JPEG to JSON, against torch and the ``fer`` package.

All take turns, frame by frame, so that a busy machine slows each of them alike; compare the ratios.

    python -m benchmarks.live [--rounds N] [--threads N] [--weights SPEC] [--against SPEC]
        [--with-fer] [--json F]
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from matplotlib import cbook
from PIL import Image
from skimage import data

from benchmarks import _rows
from benchmarks._machine import machine
from emotion import Analyzer, decode_image
from emotion.analyzer import FRAME_SIDE
from emotion.classifier import Classifier
from emotion.detect import Face, RetinaFaceDetector
from emotion.engine import Engine, TorchEngine
from emotion.engine.openvino_engine import OpenVINOEngine
from emotion.engine.threads import usable_threads
from emotion.errors import ConfigError, EmotionError
from emotion.followed import View
from emotion.result import FaceResult, Faces
from emotion.tracker import Tracker
from emotion.ui.wire import face_geometry, heat_bytes
from emotion.weights import Loaded, load

SIZES = ((640, 480), (320, 240))
MAX_FACES = 5
LIVE: dict[str, Any] = {"max_side": FRAME_SIDE, "exact": False}
FRAME_RATE = 20  # a second, as one visitor gets
QUALITY = 70  # of the JPEGs that the browser sends

Pixels = npt.NDArray[np.uint8]
Contestant = Callable[[bytes], str]


def main() -> int:
    """Measure and print two tables; exit code 2 and one sentence for unusable input."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30, help="frames of each kind")
    parser.add_argument("--threads", type=int, default=usable_threads(), help="of every contestant")
    parser.add_argument("--weights", default="embedded", metavar="SPEC")
    parser.add_argument(
        "--against", metavar="SPEC", help="other weights too, on the fastest engine they have"
    )
    parser.add_argument(
        "--with-fer", action="store_true", help="the fer package too, if it is installed"
    )
    _rows.add_option(parser)
    arguments = parser.parse_args()
    rounds, threads = max(1, arguments.rounds), max(1, arguments.threads)
    try:
        specs = [spec for spec in (arguments.weights, arguments.against) if spec]
        rows = measure(rounds, threads, *specs, with_fer=arguments.with_fer)
        _rows.write(arguments.json, rows, rounds=rounds, threads=threads)
    except EmotionError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def measure(
    rounds: int, threads: int, weights: str, against: str | None = None, *, with_fer: bool
) -> list[_rows.Row]:
    """Time every contestant on every scene, and the stages of the fastest one.

    Returns:
        A row for each scene and contestant.
    """
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    loaded = load(weights)
    analyzers = _analyzers(loaded, threads)
    contestants: dict[str, Contestant] = {
        # What the live view did before it had an engine: torch, faces sought at full size.
        "torch, full size": _answer(analyzers["torch"].analyze),
        **{name: _live(analyzer) for name, analyzer in analyzers.items()},
    }
    name, fastest = list(analyzers.items())[-1]
    # Of the faces' surroundings only, and every 0.2 s of the whole frame: the p95 is of those.
    # The network sees the crop and its mirror image in turns, or both each time.
    contestants[f"{name}, followed, both views"] = _answer(_following(fastest, View.BOTH))
    contestants[f"{name}, followed"] = _answer(_following(fastest))
    if against is not None:
        other = list(_analyzers(load(against), threads).values())[-1]
        contestants[f"{other.classifier.engine}, {against}"] = _live(other)
    if with_fer:
        contestants["fer (no heat map)"] = _fer(threads)
    print(f"{machine()}; {threads} threads; {rounds} frames each, in turns; ms, JPEG to JSON\n")
    print("| frame | faces | engine | median | p95 | processor time | speed |")
    print("|---|---|---|---|---|---|---|")
    rows: list[_rows.Row] = []
    for width, height in SIZES:
        for number in (1, MAX_FACES):
            frame = _encode(_scene(width, height, number))
            for row in _time(frame, contestants, rounds):
                print(
                    f"| {width}×{height} | {row['faces']} | {row['engine']} "
                    f"| {row['median_ms']:.1f} | {row['p95_ms']:.1f} | {row['processor_ms']:.1f} "
                    f"| {row['speed']:.2f} |"
                )
                rows.append({"width": width, "height": height, **row})
    print(f"\nStages of {name} at {SIZES[0][0]}×{SIZES[0][1]}, 1 and {MAX_FACES} faces")
    print("(median ms of processor time)")
    stages = [_stages(fastest, _encode(_scene(*SIZES[0], n)), rounds) for n in (1, MAX_FACES)]
    for stage in stages[0]:
        print(f"  {stage:28}" + "".join(f"{column[stage]:8.2f}" for column in stages))
    return rows


def _analyzers(loaded: Loaded, threads: int) -> dict[str, Analyzer]:
    """Build an analyzer per engine, the fastest last."""

    def build(engine: Engine, **options: Any) -> Analyzer:
        classifier = Classifier(loaded.network, engine, **options)
        detector = RetinaFaceDetector(engine=engine)
        return Analyzer(loaded.network, detector, loaded.spec, classifier)

    analyzers = {"torch": build(TorchEngine())}
    try:
        openvino = OpenVINOEngine(threads)
    except ImportError:
        print("OpenVINO is not installed, so only torch is measured.")
        return analyzers
    analyzers["OpenVINO"] = build(openvino)
    quantised = build(openvino, weights=(loaded.folder, loaded.digest))
    if quantised.classifier.engine != "OpenVINO":
        analyzers[quantised.classifier.engine] = quantised
    return analyzers


def _live(analyzer: Analyzer) -> Contestant:
    return _answer(partial(analyzer.analyze, **LIVE))


def _following(analyzer: Analyzer, view: View | None = None) -> Callable[..., Any]:
    tracker, times = Tracker(), count(step=1 / FRAME_RATE)

    def analyze(image: Pixels, max_faces: int) -> Faces:
        time_s = next(times)
        known = tracker.known(time_s)
        if known and view:
            known = known._replace(views=[view] * len(known.faces))
        faces = analyzer.analyze(image, max_faces=max_faces, known=known, **LIVE)
        tracker.update(faces, time_s)
        return faces

    return analyze


def _answer(analyze: Callable[..., Any]) -> Contestant:
    def contestant(frame: bytes) -> str:
        image = decode_image(frame)
        return _to_json(analyze(image, max_faces=MAX_FACES), image)

    return contestant


def _to_json(results: list[FaceResult], image: Pixels) -> str:
    height, width = image.shape[:2]
    faces = [
        {**face_geometry(face, width, height), "heat": heat_bytes(face, face.index)}
        for face in results
    ]
    return json.dumps({"faces": faces})


def _fer(threads: int) -> Contestant:
    try:
        import tensorflow
        from fer.fer import FER

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        detector = FER()
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"The fer package does not run here ({reason}); it needs tensorflow, setuptools below "
            "81 and OpenCV 4: install them in an environment of their own, or leave --with-fer out."
        ) from None

    def contestant(frame: bytes) -> str:
        image = cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_COLOR)
        faces = detector.detect_emotions(image)
        return json.dumps(
            {"faces": [{**face, "box": list(map(int, face["box"]))} for face in faces]}
        )

    return contestant


def _time(
    frame: bytes, contestants: dict[str, Contestant], rounds: int
) -> Iterator[dict[str, Any]]:
    wall: dict[str, list[float]] = {name: [] for name in contestants}
    processor: dict[str, list[float]] = {name: [] for name in contestants}
    found = {name: len(json.loads(run(frame))["faces"]) for name, run in contestants.items()}
    for _ in range(rounds):
        for name, run in contestants.items():
            began, used = time.perf_counter(), time.process_time()
            run(frame)
            wall[name].append(1e3 * (time.perf_counter() - began))
            processor[name].append(1e3 * (time.process_time() - used))
    reference = float(np.median(wall[next(iter(contestants))]))
    for name, times in wall.items():
        median, p95 = np.quantile(times, [0.5, 0.95])
        yield {
            "faces": found[name],
            "engine": name,
            "median_ms": float(median),
            "p95_ms": float(p95),
            "processor_ms": float(np.median(processor[name])),
            "speed": reference / float(median),
        }


def _stages(analyzer: Analyzer, frame: bytes, rounds: int) -> dict[str, float]:
    """Time what a live frame takes, step by step, and what comes before and after."""
    times: dict[str, list[float]] = {}

    def timed(stage: str, action: Callable[..., Any], *args: Any, **options: Any) -> Any:
        used = time.process_time()
        result = action(*args, **options)
        times.setdefault(stage, []).append(1e3 * (time.process_time() - used))
        return result

    def cut(image: Pixels, faces: list[Face]) -> Pixels:
        return np.stack([analyzer.cutter.crop(image, face)[0] for face in faces])

    for _ in range(rounds):
        image = timed("decode", decode_image, frame)
        faces = timed("detect", analyzer.detector.detect, image, max_side=FRAME_SIDE)
        crops = timed("align", cut, image, faces)
        timed("classify and explain", analyzer.classify, crops)
        results = analyzer.analyze(image, max_faces=MAX_FACES, **LIVE)
        timed("JSON", _to_json, results, image)
    return {stage: float(np.median(values)) for stage, values in times.items()}


def _scene(width: int, height: int, count: int) -> Pixels:
    """Put ``count`` portraits (public domain: NASA, US Navy) side by side before a wall."""
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        hopper = np.asarray(Image.open(file).convert("RGB"))
    heads = [data.astronaut()[:300, 60:400], hopper[:420, 60:460]]
    scene = np.full((height, width, 3), 96, np.uint8)
    columns = 1 if count == 1 else 3
    rows = -(-count // columns)
    for index in range(count):
        head = heads[index % 2][:, :: -1 if index > 1 else 1]
        factor = min(height / rows / head.shape[0], width / columns / head.shape[1])
        small = cv2.resize(head, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        x = round((index % columns + 0.5) * width / columns - small.shape[1] / 2)
        y = index // columns * height // rows
        scene[y : y + small.shape[0], x : x + small.shape[1]] = small
    return scene


def _encode(scene: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(scene).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
