"""Calibration: the temperature, and the confidence below which the answer is "not sure"."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from emotion.files import write_text
from emotion.labels import LABELS
from train.metrics import auroc, calibration_error
from train.prepared import VALIDATION, official_split
from train.store import FaceStore

COVERAGE = 0.85
"""Share of expressive faces that are answered.

Lower catches more neutral faces, which are the rule before a camera, and leaves more expressions
unanswered; here one in seven may be. See docs/decisions/0018-abstaining.md.
"""

_TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True)
class CorpusLogits:
    """What a network answers on one corpus's validation, at temperature 1.

    Attributes:
        logits: float32 (N, 6) of faces that show one of the six expressions.
        labels: int64 (N,).
        neutral: float32 (M, 6) of neutral faces; M may be 0.
    """

    logits: Tensor
    labels: Tensor
    neutral: Tensor


def fit_temperature(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> float:
    """Fit the one number that the logits are divided by (Guo et al., ICML 2017, section 4.2).

    Args:
        logits: (N, C) of the validation split, at temperature 1.
        labels: int64 (N,).
        weights: (N,) of the faces; by default all count the same.

    Returns:
        The temperature with the lowest negative log-likelihood, 0.05..20.
    """
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    scores = logits.double()
    weights = torch.ones(len(labels)) if weights is None else weights
    shares = weights.double() / weights.double().sum()
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        losses = F.cross_entropy(scores / log_temperature.exp(), labels, reduction="none")
        value = (shares * losses).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return float(log_temperature.detach().exp().clamp(*_TEMPERATURES))


def abstain_threshold(
    confidences: npt.NDArray[np.floating], weights: npt.NDArray[np.floating], coverage: float
) -> float:
    """Find the confidence below which to abstain (Chow, 1970) so that a share is answered.

    Args:
        confidences: (N,) highest calibrated probability of each expressive face.
        weights: (N,) of the faces, positive.
        coverage: share of the weight that must reach the threshold, in (0, 1].

    Returns:
        The largest such threshold, rounded down to four decimals, and below 1: where training faces
        are easy, float32 gives some a confidence of exactly 1.
    """
    order = np.argsort(-confidences, kind="stable")
    answered = np.cumsum(weights[order]) / np.sum(weights)
    last = np.searchsorted(answered, coverage - 1e-12)
    return min(math.floor(float(confidences[order[last]]) * 1e4), 9999) / 1e4


def ask(
    predict: Callable[[Tensor], Tensor],
    validation: Mapping[str, FaceStore],
    neutral: Mapping[str, FaceStore],
) -> dict[str, CorpusLogits]:
    """Collect what a network answers on validation and neutral faces.

    Args:
        predict: from uint8 faces (N, 64, 64) to logits (N, 6), at temperature 1.
        validation: corpus -> faces that show one of the six expressions.
        neutral: corpus -> neutral faces; a corpus without any may be missing.

    Returns:
        Answers by ``corpus/split``.
    """
    return {
        f"{corpus}/{official_split(corpus, VALIDATION)}": CorpusLogits(
            predict(faces.faces),
            faces.labels,
            predict(neutral[corpus].faces) if corpus in neutral else torch.empty(0, len(LABELS)),
        )
        for corpus, faces in validation.items()
    }


def calibrate(corpora: dict[str, CorpusLogits], coverage: float = COVERAGE) -> dict[str, Any]:
    """Fit temperature and threshold on validation faces, every corpus counting the same.

    The calibration error that the fit itself was made on flatters a little, so ``ece_crossed`` is
    given too: each half of the faces at the temperature of the other half.

    Args:
        corpora: name -> answers; at least one.
        coverage: see ``abstain_threshold``.

    Returns:
        temperature, abstain_below, coverage, and for each of ``corpora``: n, ece_before (at
        temperature 1), ece_after, ece_crossed, accuracy, answered and accuracy_answered of the
        expressive faces; neutral, neutral_answered and auroc (confidence, expressive against
        neutral) where there are neutral faces. All but n and neutral lie in 0..1.
    """
    logits, labels, weights = _pool(corpora)
    temperature = round(fit_temperature(logits, labels, weights), 4)
    confidences = _confidences(logits, temperature)
    threshold = abstain_threshold(confidences, weights.numpy(), coverage)
    halves = _temperatures_of_halves(corpora)
    return {
        "temperature": temperature,
        "abstain_below": threshold,
        "coverage": coverage,
        "corpora": {
            name: _figures(answers, temperature, threshold, halves)
            for name, answers in corpora.items()
        },
    }


def write_calibration(folder: Path, figures: Mapping[str, Any]) -> None:
    """Put temperature and threshold into the config of weights, and all figures beside it.

    Args:
        folder: with ``config.json``; it also gets ``calibration.json``.
        figures: as ``calibrate`` returns them.

    Raises:
        DataError: if a file cannot be written; the tensors are never touched.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config.update(temperature=figures["temperature"], abstain_below=figures["abstain_below"])
    write_text(folder / "config.json", json.dumps(config, sort_keys=True, indent=2))
    write_text(folder / "calibration.json", json.dumps(figures, indent=1) + "\n")


def _pool(corpora: dict[str, CorpusLogits]) -> tuple[Tensor, Tensor, Tensor]:
    """Join the expressive faces; the weights of each corpus add up to 1."""
    logits = torch.cat([answers.logits for answers in corpora.values()])
    labels = torch.cat([answers.labels for answers in corpora.values()])
    counts = [len(answers.labels) for answers in corpora.values()]
    weights = torch.cat([torch.full((count,), 1 / count, dtype=torch.float64) for count in counts])
    return logits, labels, weights


def _confidences(logits: Tensor, temperature: float) -> npt.NDArray[np.float32]:
    return np.asarray((logits / temperature).softmax(1).amax(1).numpy())


def _temperatures_of_halves(corpora: dict[str, CorpusLogits]) -> tuple[float, float]:
    """Fit the even faces of every corpus, and the odd ones."""
    return tuple(  # type: ignore[return-value]
        fit_temperature(
            *_pool(
                {
                    name: CorpusLogits(a.logits[start::2], a.labels[start::2], a.neutral)
                    for name, a in corpora.items()
                }
            )
        )
        for start in (0, 1)
    )


def _figures(
    answers: CorpusLogits, temperature: float, threshold: float, halves: tuple[float, float]
) -> dict[str, Any]:
    labels = answers.labels.numpy()
    # Each face at the temperature that the other half of the faces gave.
    others = torch.tensor([halves[1], halves[0]]).repeat(len(labels) // 2 + 1)[: len(labels), None]
    probabilities = {
        key: (answers.logits / divisor).softmax(1).numpy()
        for key, divisor in (("before", 1.0), ("after", temperature), ("crossed", others))
    }
    confidence = _confidences(answers.logits, temperature)
    right = answers.logits.argmax(1).numpy() == labels
    sure = confidence >= threshold
    figures = {
        "n": len(labels),
        **{f"ece_{key}": calibration_error(p, labels) for key, p in probabilities.items()},
        "accuracy": float(right.mean()),
        "answered": float(sure.mean()),
        "accuracy_answered": float(right[sure].mean()) if sure.any() else 0.0,
        "neutral": len(answers.neutral),
    }
    if len(answers.neutral):
        neutral = _confidences(answers.neutral, temperature)
        figures["neutral_answered"] = float((neutral >= threshold).mean())
        figures["auroc"] = auroc(confidence, neutral)
    return figures
