"""Calibration: offsets, temperatures, and the confidence below which the answer is "not sure"."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emotion.calibration import Calibration
from emotion.network import Outputs
from train.config.options import COVERAGE
from train.faces.prepared import VALIDATION, official_split
from train.faces.store import FaceStore, balanced_shares
from train.scoring.metrics import auroc, evaluate_probabilities
from train.scoring.temperature import fit_offsets, fit_temperature, fit_temperatures


@dataclass(frozen=True)
class CorpusAnswers:
    """What a network answers on one corpus's validation.

    Attributes:
        faces: of N faces that show one of the six expressions.
        labels: int64 (N,).
        neutral: of neutral faces; None if there are none.
    """

    faces: Outputs
    labels: Tensor
    neutral: Outputs | None = None

    def half(self, start: int) -> CorpusAnswers:
        """Return every second face."""
        rows = slice(start, None, 2)
        return CorpusAnswers(self.faces.select(rows), self.labels[rows], self.neutral)


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
    answer: Callable[[Tensor], Outputs],
    validation: Mapping[str, FaceStore],
    neutral: Mapping[str, FaceStore],
) -> dict[str, CorpusAnswers]:
    """Collect what a network answers on validation and neutral faces.

    Args:
        answer: classifies uint8 faces (N, 64, 64), see ``train.scoring.inference.predict``.
        validation: corpus -> faces that show one of the six expressions.
        neutral: corpus -> neutral faces; a corpus without any may be missing.

    Returns:
        Answers by ``corpus/split``.
    """
    return {
        f"{corpus}/{official_split(corpus, VALIDATION)}": CorpusAnswers(
            answer(faces.faces),
            faces.labels,
            answer(neutral[corpus].faces) if corpus in neutral else None,
        )
        for corpus, faces in validation.items()
    }


def calibrate(
    corpora: dict[str, CorpusAnswers], coverage: float = COVERAGE, calm_bound: float = math.inf
) -> tuple[Calibration, dict[str, Any]]:
    """Fit offsets, temperatures and threshold on validation faces, every corpus counting the same.

    For the offsets every class of a corpus counts the same as well. What is measured on the faces
    of the fit flatters a little, so figures that end in ``_crossed`` are given too: each half of
    the faces at what the other half gave.

    Args:
        corpora: name -> answers; at least one.
        coverage: see ``abstain_threshold``.
        calm_bound: faces whose second output reaches it are answered as calm, so without an
            expression.

    Returns:
        The calibration, and figures: its digest, temperature (of the typical face), temperatures
        (the lowest, the 5 % and the 95 % quantile, the highest), class_offsets, abstain_below,
        coverage, and for each of ``corpora``: n, ece_before (at temperature 1), ece_constant (at
        the best one for all faces), both without offsets, ece_after, ece_crossed; accuracy and
        macro_f1, with _before and _crossed; answered and accuracy_answered of the expressive faces
        (answered is who gets the name of an expression) and, with a second output, called_calm;
        neutral, neutral_answered and auroc (confidence, expressive against neutral) where there are
        neutral faces, and with a second output neutral_called_calm and auroc_calm. All but the
        digest, n, neutral, the temperatures and the offsets lie in 0..1.
    """
    pool = _pool(corpora)
    calibration = _fit(pool)
    confidences = calibration.probabilities(pool.logits.numpy(), pool.pooled.numpy()).max(1)
    calm = np.concatenate([_called_calm(part.faces, calm_bound) for part in corpora.values()])
    confidences[calm] = 0
    threshold = abstain_threshold(confidences, pool.weights.numpy(), coverage)
    constant = Calibration(fit_temperature(pool.logits, pool.labels, pool.weights))
    halves = [_fit(_pool({k: v.half(i) for k, v in corpora.items()})) for i in (0, 1)]
    temperatures = calibration.temperatures(pool.pooled.numpy())
    figures = {
        "digest": calibration.digest,
        "temperature": calibration.typical,
        "temperatures": np.quantile(temperatures, (0, 0.05, 0.95, 1)).tolist(),
        "class_offsets": calibration.class_offsets,
        "abstain_below": threshold,
        "coverage": coverage,
        "corpora": {
            name: {
                **_quality(answers, calibration, constant, halves),
                **_abstention(answers, calibration, threshold, calm_bound),
            }
            for name, answers in corpora.items()
        },
    }
    return calibration, figures


class _Pool(NamedTuple):
    """The expressive faces of all corpora; in both weights every corpus counts the same."""

    logits: Tensor
    labels: Tensor
    pooled: Tensor
    weights: Tensor  # the faces of a corpus alike
    balanced: Tensor  # its classes alike


def _pool(corpora: Mapping[str, CorpusAnswers]) -> _Pool:
    parts = corpora.values()
    return _Pool(
        torch.cat([part.faces.logits for part in parts]),
        torch.cat([part.labels for part in parts]),
        torch.cat([part.faces.pooled for part in parts]),
        torch.cat([balanced_shares(part.labels, 0) for part in parts]),
        torch.cat([balanced_shares(part.labels, 1) for part in parts]),
    )


def _fit(pool: _Pool) -> Calibration:
    """Fit offsets, for which classes count the same, and then temperatures, for which faces do."""
    offsets = fit_offsets(pool.logits, pool.labels, pool.balanced)
    temperatures = fit_temperatures(pool.logits + offsets, pool.labels, pool.pooled, pool.weights)
    return replace(temperatures, class_offsets=tuple(offsets.tolist()))


def _quality(
    answers: CorpusAnswers,
    calibration: Calibration,
    constant: Calibration,
    halves: Sequence[Calibration],
) -> dict[str, Any]:
    probabilities = {
        "before": answers.faces.probabilities(Calibration(1.0)),
        "constant": answers.faces.probabilities(constant),
        "after": answers.faces.probabilities(calibration),
        "crossed": answers.faces.probabilities(halves[0]),
    }
    # Each face at what the other half of the faces gave.
    probabilities["crossed"][::2] = answers.half(0).faces.probabilities(halves[1])
    labels = answers.labels.numpy()
    scores = {key: evaluate_probabilities(p, labels) for key, p in probabilities.items()}
    figures = {f"ece_{key}": score["ece"] for key, score in scores.items()}
    for ending, key in (("", "after"), ("_before", "before"), ("_crossed", "crossed")):
        figures[f"accuracy{ending}"] = scores[key]["accuracy"]
        figures[f"macro_f1{ending}"] = scores[key]["macro_f1"]
    return figures


def _abstention(
    answers: CorpusAnswers, calibration: Calibration, threshold: float, calm_bound: float
) -> dict[str, Any]:
    probabilities = answers.faces.probabilities(calibration)
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == answers.labels.numpy()
    calm = _called_calm(answers.faces, calm_bound)
    sure = (confidence >= threshold) & ~calm
    figures = {
        "n": len(right),
        "answered": float(sure.mean()),
        "accuracy_answered": float(right[sure].mean()) if sure.any() else 0.0,
        "neutral": len(answers.neutral.logits) if answers.neutral else 0,
    }
    if answers.faces.calm is not None:
        figures["called_calm"] = float(calm.mean())
    if answers.neutral:
        neutral = answers.neutral.probabilities(calibration).max(1)
        left_alone = _called_calm(answers.neutral, calm_bound)
        figures["neutral_answered"] = float(((neutral >= threshold) & ~left_alone).mean())
        figures["auroc"] = auroc(confidence, neutral)
        if answers.neutral.calm is not None and answers.faces.calm is not None:
            figures["neutral_called_calm"] = float(left_alone.mean())
            figures["auroc_calm"] = auroc(answers.neutral.calm.numpy(), answers.faces.calm.numpy())
    return figures


def _called_calm(faces: Outputs, bound: float) -> npt.NDArray[np.bool_]:
    if faces.calm is None:
        return np.zeros(len(faces.logits), np.bool_)
    return np.asarray(faces.calm.numpy() >= bound)
