"""Measuring weights on a split of a corpus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import concatenate_datasets
from tqdm import tqdm

from emotion.align import CROP_SIZE
from emotion.analyzer import Analyzer
from emotion.detect import RetinaFaceDetector
from emotion.errors import DataError
from emotion.labels import LABELS
from emotion.weights import load_weights
from train.alignment import AlignConfig, align_in_batches
from train.corpora import OTHER, load_corpus, parse_corpus
from train.metrics import evaluate_probabilities

_BATCH = 64


@dataclass(frozen=True)
class EvaluateConfig:
    """What is measured on what.

    Attributes:
        weights: SPEC, see ``emotion.weights.load_weights``.
        corpus: NAME=PATH.
        split: the corpus's own word, or ``all``.
        allow_trained: measure a split although the weights were trained on it.
    """

    weights: str
    corpus: str
    split: str
    allow_trained: bool = False


def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """Classify every six-class picture of a split.

    A picture without a detected face counts like any other: it is classified from its plain resized
    crop. So does one that cannot be read, as a black crop, since leaving it out would flatter.

    Returns:
        The values of ``evaluate --json``: those of ``train.metrics.evaluate_probabilities`` and
        corpus, split, weights, faces_not_found, unreadable.

    Raises:
        WeightsError: if the weights cannot be used.
        DataError: if the corpus or split is not there, or the weights were trained on it.
    """
    network = load_weights(config.weights)
    name, path = parse_corpus(config.corpus)
    _check_unseen(config, name, network.config.trained_on)
    corpus = load_corpus(name, path, splits=[config.split])
    rows = concatenate_datasets([data for key, data in corpus.splits.items() if key != OTHER])
    if not len(rows):
        raise DataError(f"{config.corpus} has no picture of the six expressions in {config.split}.")
    align = AlignConfig(zoom=network.config.zoom)
    crops: list[bytes] = []
    labels: list[int] = []
    found: list[bool] = []
    unreadable: list[str] = []
    with tqdm(total=len(rows), desc=f"aligning {name} {config.split}", unit=" images") as bar:
        for batch in align_in_batches(rows, align):
            crops += [px or bytes(CROP_SIZE * CROP_SIZE) for px in batch["px"]]
            labels += batch["label"]
            found += batch["face_found"]
            unreadable += [error for error in batch["error"] if error]
            bar.update(len(batch["px"]))
    faces = np.frombuffer(bytearray(b"".join(crops)), np.uint8).reshape(-1, CROP_SIZE, CROP_SIZE)
    # The analyzer's own forward pass, so that what is measured is what is served.
    analyzer = Analyzer(network, RetinaFaceDetector(), config.weights)
    parts = range(0, len(faces), _BATCH)
    probabilities = [
        analyzer.classify(faces[start : start + _BATCH])[0] for start in tqdm(parts, "classifying")
    ]
    return {
        **evaluate_probabilities(np.concatenate(probabilities), np.array(labels)),
        "corpus": name,
        "split": config.split,
        "weights": config.weights,
        "faces_not_found": found.count(False),
        "unreadable": unreadable,
    }


def _check_unseen(config: EvaluateConfig, name: str, trained_on: tuple[str, ...]) -> None:
    seen = [split for split in trained_on if split.startswith(f"{name}/")]
    overlap = seen if config.split == "all" else [s for s in seen if s == f"{name}/{config.split}"]
    if not overlap:
        return
    if not config.allow_trained:
        raise DataError(
            f"The weights {config.weights} were trained on {', '.join(overlap)}, so a score on it "
            "says nothing; choose another --split, or insist with --allow-trained."
        )
    print(f"WARNING: these weights were trained on {', '.join(overlap)}; the score is no result.")


def to_text(result: dict[str, Any]) -> str:
    """Render a result for a terminal."""
    low, high = result["confidence_intervals"]["accuracy"]
    f1_low, f1_high = result["confidence_intervals"]["macro_f1"]
    lines = [
        f"{result['corpus']} {result['split']}, {result['n']} images, weights {result['weights']}",
        f"accuracy {result['accuracy']:.4f} (95 % {low:.3f}-{high:.3f}), macro F1 "
        f"{result['macro_f1']:.4f} ({f1_low:.3f}-{f1_high:.3f}), ECE {result['ece']:.4f}, "
        f"{result['faces_not_found']} faces not found",
        f"{'class':10} precision  recall     F1  images",
    ]
    for name in LABELS:
        row = result["per_class"][name]
        lines.append(
            f"{name:10}     {row['precision']:.3f}   {row['recall']:.3f}  {row['f1']:.3f}"
            f"  {row['support']:6}"
        )
    return "\n".join(lines)
