"""What this processor answers, for tests/test_processors.py.

``python -m tests.support.answers FILE`` writes it: libraries read once, when they load, which
instructions they may use, so another processor takes a process of its own.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch
from skimage import data as pictures

from emotion.align import align_face
from emotion.classifier import Classifier
from emotion.detect import RetinaFaceDetector
from emotion.engine import TorchEngine, choose
from emotion.images import decode_image
from emotion.labels import LABELS
from emotion.weights import load
from tests.train.domains.conftest import TINY, draw, gather
from train.config.faces import EvaluateConfig
from train.config.fit import FitConfig, override
from train.corpora.drawing import draw_face
from train.scoring.evaluation import evaluate
from train.scoring.inference import predict
from train.training.network import build_network
from train.training.sampling import build_source
from train.training.trainer import Trainer

MEASURED = ("accuracy", "macro_f1", "macro_precision", "macro_recall", "ece")


def ask() -> dict[str, Any]:
    """Detect, align, classify, evaluate and train; return arrays, numbers and words by name."""
    engine, loaded = choose(), load("embedded")
    portrait = pictures.astronaut()
    (face,) = RetinaFaceDetector(engine=engine).detect(portrait)
    drawn = [draw_face(label, 0, index) for index in range(4) for label in LABELS]
    crops = np.stack(
        [
            align_face(decode_image(picture), np.reshape(landmarks, (5, 2)))[0]
            for picture, landmarks in drawn
        ]
    )
    shrunk = cv2.resize(portrait, (131, 127), interpolation=cv2.INTER_AREA)
    answers: dict[str, Any] = {
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "box": face.box,
        "landmarks": face.landmarks,
        "score": face.score,
        "portrait": align_face(portrait, face.landmarks)[0],
        "crops": crops,
        "resized": cv2.resize(shrunk, (311, 305), interpolation=cv2.INTER_CUBIC),
    }
    folder = (loaded.folder, loaded.digest)
    served = Classifier(loaded.network, engine, folder)
    with mock.patch("emotion.int8.helps", return_value=True):
        int8 = Classifier(loaded.network, engine, folder)
    for name, classifier in {
        "torch": Classifier(loaded.network, TorchEngine()),
        "float32": Classifier(loaded.network, engine),
        "int8": int8,
        "served": served,
    }.items():
        outputs, maps = classifier(crops)
        answers |= {f"{name} engine": classifier.engine, f"{name} logits": outputs.logits}
        answers[f"{name} maps"] = maps
    for size in (48, 64):
        said = predict(loaded.network, torch.from_numpy(crops), size)
        answers |= {f"trainer's logits {size}": said.logits}
        answers |= {f"trainer's features {size}": said.pooled}
    result = evaluate(EvaluateConfig("embedded", "synthetic=140", "test"))
    answers |= {name: getattr(result, name) for name in MEASURED}
    answers |= {precision: losses(precision) for precision in ("float32", "bfloat16")}
    return {name: np.asarray(answer) for name, answer in answers.items()}


def losses(precision: str) -> list[float]:
    """Train a tiny network for eight steps."""
    config = override(FitConfig(), **{**TINY, "precision": precision})
    store = draw(8 * config.data.batch_size, 0, 1)
    source = build_source(store, {}, config.data, config.seed)
    network = build_network(config, gather({"fer2013": store}, store))
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, network, source, {}, Path(folder))
        source.begin_epoch(0)
        return [trainer.step(0, index, 32).item() for index in range(source.steps)]


if __name__ == "__main__":
    np.savez(sys.argv[1], **ask())
