"""Measuring weights on a split of a corpus, as ``python -m train evaluate`` does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset

from emotion.analyzer import Analyzer
from emotion.calibration import CALM_BOUND, Calibration
from emotion.config import COMMON
from emotion.detect import RetinaFaceDetector
from emotion.errors import ConfigError, DataError
from emotion.evaluation import Evaluation
from emotion.labels import LABELS
from emotion.weights import load
from train.config.faces import Averaging, EvaluateConfig
from train.corpora import parse_corpus
from train.faces.copies import Excluded
from train.faces.crops import Crops, align_crops, load_rows, read_crops
from train.faces.prepared import official_split
from train.scoring.metrics import (
    evaluate_probabilities,
    precision_recall,
    reliability,
    score_second_labels,
)
from train.scoring.robustness import measure_robustness
from train.scoring.views import average_over_views


def evaluate(config: EvaluateConfig) -> Evaluation:
    """Classify every six-class picture of a split.

    A picture without a detected face counts like any other: it is classified from its plain resized
    crop. So does one that cannot be read, as a black crop, since leaving it out would flatter.

    Returns:
        All numbers; ``second_labels`` where the corpus has some, ``robustness`` where it is asked
        for, ``called_calm`` where the weights tell calm faces.

    Raises:
        WeightsError: if the weights cannot be used.
        ConfigError: if options contradict each other or the prepared faces do not fit the weights.
        DataError: if the corpus or split is not there, or the weights were trained on it.
    """
    loaded = load(config.weights, config.convention)
    network = loaded.network
    name, path, split = _parse(config)
    _check_unseen(replace(config, split=split), name, network.config.trained_on)
    excluded = Excluded(config.exclude)
    if path is None:
        assert config.data is not None
        crops = read_crops(config.data, name, split, network.config.zoom, excluded)
    else:
        rows = load_rows(config.corpus, split, excluded, config.data)
        crops = align_crops(rows, network.config.zoom, f"{name} {split}")
    excluded.check_used()
    # The analyzer's own forward pass, so that what is measured is what is served.
    analyzer = Analyzer(network, RetinaFaceDetector(), config.weights)
    probabilities = classify(analyzer, crops, config.tta)
    more = _answers(analyzer, crops)
    if (crops.second >= 0).any():
        more["second_labels"] = score_second_labels(probabilities, crops.labels, crops.second)
    if config.degrade:
        answer = partial(_align_and_classify, analyzer, tta=config.tta)
        more["robustness"] = measure_robustness(rows, config.degrade, answer)
    return Evaluation(
        **evaluate_probabilities(probabilities, crops.labels),
        corpus=name,
        split=split,
        weights=config.weights,
        digest=loaded.digest,
        calibration_digest=Calibration.of(network.config).digest,
        tta=config.tta,
        convention=network.config.convention,
        excluded=excluded.count,
        faces_not_found=crops.not_found,
        unreadable=list(crops.unreadable),
        reliability=reliability(probabilities, crops.labels),
        precision_recall=precision_recall(probabilities, crops.labels),
        **more,
    )


def _answers(analyzer: Analyzer, crops: Crops) -> dict[str, Any]:
    """Measure what people are told, one crop at a time as it is served, and if it is mirrored."""
    answer = partial(_answer, analyzer)
    straight = [answer(part) for part in _batches(crops.px)]
    mirrored = [answer(np.ascontiguousarray(part[:, :, ::-1])) for part in _batches(crops.px)]
    label, named, calm = (np.concatenate(column) for column in zip(*straight, strict=True))
    other = np.concatenate([column[0] for column in mirrored])
    figures = {"mirror_agreement": float((label == other).mean()), "answered": float(named.mean())}
    return figures | ({"called_calm": float(calm.mean())} if analyzer.network.config.calm else {})


def _answer(analyzer: Analyzer, px: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[Any], ...]:
    """Return for each crop the best class, whether that is told, and whether it is called calm."""
    said = analyzer.classify(px)
    calm = np.zeros(len(px), np.bool_) if said.calm is None else said.calm >= CALM_BOUND
    sure = said.probabilities.max(1) >= analyzer.network.config.abstain_below
    return said.probabilities.argmax(1), sure & ~calm, calm


def _batches(px: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    return (px[start : start + 64] for start in range(0, len(px), 64))


def _align_and_classify(
    analyzer: Analyzer, rows: Dataset, description: str, tta: Averaging
) -> tuple[npt.NDArray[np.float32], Crops]:
    crops = align_crops(rows, analyzer.network.config.zoom, description)
    return classify(analyzer, crops, tta), crops


def classify(analyzer: Analyzer, crops: Crops, tta: Averaging = "none") -> npt.NDArray[np.float32]:
    """Classify faces in batches: float32 (N, 6), rows sum to 1."""
    mirrors = analyzer.network.config.mirror
    return average_over_views(
        lambda view: analyzer.classify(view)[0], crops.px, tta, mirrors=mirrors
    )


def _parse(config: EvaluateConfig) -> tuple[str, str | None, str]:
    """Return the corpus's name, where its pictures are, and its own word for the split."""
    if config.degrade < 0:
        raise ConfigError(f"--degrade must be at least 0, not {config.degrade}.")
    if config.data is not None and "=" not in config.corpus:
        if config.degrade:
            raise ConfigError(
                "Degraded are pictures, before the face is searched; say where they are: "
                f"--corpus {config.corpus}=PATH."
            )
        return config.corpus, None, official_split(config.corpus, config.split)
    # Drawn faces need no path.
    name, path = parse_corpus(config.corpus)
    split = official_split(name, config.split) if config.data is not None else config.split
    return name, path or "", split


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


def _robustness_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [f"{rows[0]['n']} of them degraded:    accuracy  macro F1  same answer"]
    return lines + [
        f"{row['condition']:28} {row['accuracy']:.3f}     {row['macro_f1']:.3f}"
        f"        {row['agreement']:.3f}"
        for row in rows
    ]


def to_text(result: Evaluation) -> str:
    """Render a result for a terminal."""
    low, high = result.confidence_intervals["accuracy"]
    f1_low, f1_high = result.confidence_intervals["macro_f1"]
    how = "" if result.tta == "none" else f", averaged over {result.tta}"
    how += "" if result.convention == COMMON else f", convention {result.convention}"
    left_out = f", {result.excluded} left out" if result.excluded else ""
    lines = [
        f"{result.corpus} {result.split}, {result.n} images{left_out}, weights "
        f"{result.weights}{how}",
        f"accuracy {result.accuracy:.4f} (95 % {low:.3f}-{high:.3f}), macro F1 "
        f"{result.macro_f1:.4f} ({f1_low:.3f}-{f1_high:.3f}), ECE {result.ece:.4f}, "
        f"{result.faces_not_found} faces not found",
        f"told an expression {result.answered:.1%}, "
        + (f"called calm {result.called_calm:.1%}, " if result.called_calm is not None else "")
        + f"the same answer in the mirror {result.mirror_agreement:.1%}",
        f"{'class':10} precision  recall     F1  images",
    ]
    for name in LABELS:
        row = result.per_class[name]
        lines.append(
            f"{name:10}     {row['precision']:.3f}   {row['recall']:.3f}  {row['f1']:.3f}"
            f"  {row['support']:6}"
        )
    if result.second_labels is not None:
        second = result.second_labels
        lines.append(
            f"another annotation of {second['n']} images agrees on {second['agree']:.1%}; accuracy "
            f"against the first {second['accuracy']:.4f}, the other {second['accuracy_second']:.4f}"
            f", where they agree {second['accuracy_agreed']:.4f}"
        )
    if result.robustness is not None:
        lines += _robustness_lines(result.robustness)
    return "\n".join(lines)
