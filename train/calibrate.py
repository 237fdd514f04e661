"""Calibration: the temperatures, and the confidence below which the answer is "not sure"."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emotion.calibration import Temperature
from emotion.files import write_text
from train.inference import Answers
from train.metrics import auroc, calibration_error
from train.prepared import VALIDATION, official_split
from train.store import FaceStore
from train.temperature import fit_temperature, fit_temperatures

COVERAGE = 0.85
"""Share of expressive faces that are answered.

Lower catches more neutral faces, which are the rule before a camera, and leaves more expressions
unanswered; here one in seven may be. See docs/decisions/0018-abstaining.md.
"""


@dataclass(frozen=True)
class CorpusAnswers:
    """What a network answers on one corpus's validation.

    Attributes:
        faces: of N faces that show one of the six expressions.
        labels: int64 (N,).
        neutral: of neutral faces; None if there are none.
    """

    faces: Answers
    labels: Tensor
    neutral: Answers | None = None

    def half(self, start: int) -> CorpusAnswers:
        """Return every second face."""
        logits, pooled = self.faces.logits[start::2], self.faces.pooled[start::2]
        return CorpusAnswers(Answers(logits, pooled), self.labels[start::2], self.neutral)


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
    answer: Callable[[Tensor], Answers],
    validation: Mapping[str, FaceStore],
    neutral: Mapping[str, FaceStore],
) -> dict[str, CorpusAnswers]:
    """Collect what a network answers on validation and neutral faces.

    Args:
        answer: classifies uint8 faces (N, 64, 64), see ``train.inference.predict``.
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
    corpora: dict[str, CorpusAnswers], coverage: float = COVERAGE
) -> tuple[Temperature, dict[str, Any]]:
    """Fit temperatures and threshold on validation faces, every corpus counting the same.

    The calibration error that the fit itself was made on flatters a little, so ``ece_crossed`` is
    given too: each half of the faces at the temperatures of the other half.

    Args:
        corpora: name -> answers; at least one.
        coverage: see ``abstain_threshold``.

    Returns:
        The temperatures, and figures: temperature (of the typical face), temperatures (the lowest,
        the 5 % and the 95 % quantile, the highest), abstain_below, coverage, and for each of
        ``corpora``: n, ece_before (at temperature 1), ece_constant (at the best one for all faces),
        ece_after, ece_crossed, accuracy, answered and accuracy_answered of the expressive faces;
        neutral, neutral_answered and auroc (confidence, expressive against neutral) where there
        are neutral faces. All but n, neutral and the temperatures lie in 0..1.
    """
    pool = _pool(corpora)
    temperature = fit_temperatures(*pool)
    confidences = _probabilities(pool.logits, pool.pooled, temperature).max(1)
    threshold = abstain_threshold(confidences, pool.weights.numpy(), coverage)
    constant = Temperature(fit_temperature(pool.logits, pool.labels, pool.weights))
    halves = [fit_temperatures(*_pool({k: v.half(i) for k, v in corpora.items()})) for i in (0, 1)]
    figures = {
        "temperature": temperature.typical,
        "temperatures": np.quantile(temperature(pool.pooled.numpy()), (0, 0.05, 0.95, 1)).tolist(),
        "abstain_below": threshold,
        "coverage": coverage,
        "corpora": {
            name: {
                **_errors(answers, temperature, constant, halves),
                **_abstention(answers, temperature, threshold),
            }
            for name, answers in corpora.items()
        },
    }
    return temperature, figures


def write_calibration(folder: Path, temperature: Temperature, figures: Mapping[str, Any]) -> None:
    """Put temperatures and threshold into the config of weights, and all figures beside it.

    Args:
        folder: with ``config.json``; it also gets ``calibration.json``.
        temperature: as ``calibrate`` returns it.
        figures: likewise.

    Raises:
        DataError: if a file cannot be written; the tensors are never touched.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config.update(
        temperature=temperature.typical,
        temperature_slope=temperature.slope,
        temperature_offset=temperature.offset,
        abstain_below=figures["abstain_below"],
    )
    write_text(folder / "config.json", json.dumps(config, sort_keys=True, indent=2))
    write_text(folder / "calibration.json", json.dumps(figures, indent=1) + "\n")


class _Pool(NamedTuple):
    """The expressive faces of all corpora, as ``fit_temperatures`` takes them."""

    logits: Tensor
    labels: Tensor
    pooled: Tensor
    weights: Tensor


def _pool(corpora: dict[str, CorpusAnswers]) -> _Pool:
    """Join the corpora; the weights of each add up to 1."""
    counts = [len(answers.labels) for answers in corpora.values()]
    return _Pool(
        torch.cat([answers.faces.logits for answers in corpora.values()]),
        torch.cat([answers.labels for answers in corpora.values()]),
        torch.cat([answers.faces.pooled for answers in corpora.values()]),
        torch.cat([torch.full((count,), 1 / count, dtype=torch.float64) for count in counts]),
    )


def _probabilities(
    logits: Tensor, pooled: Tensor, temperature: Temperature
) -> npt.NDArray[np.float32]:
    return temperature.probabilities(logits.numpy(), pooled.numpy())


def _errors(
    answers: CorpusAnswers,
    temperature: Temperature,
    constant: Temperature,
    halves: Sequence[Temperature],
) -> dict[str, Any]:
    labels = answers.labels.numpy()
    probabilities = {
        "before": _probabilities(*answers.faces, Temperature(1.0)),
        "constant": _probabilities(*answers.faces, constant),
        "after": _probabilities(*answers.faces, temperature),
        "crossed": _probabilities(*answers.faces, halves[0]),
    }
    # Each face at the temperature that the other half of the faces gave.
    probabilities["crossed"][::2] = _probabilities(*answers.half(0).faces, halves[1])
    return {f"ece_{key}": calibration_error(p, labels) for key, p in probabilities.items()}


def _abstention(
    answers: CorpusAnswers, temperature: Temperature, threshold: float
) -> dict[str, Any]:
    labels = answers.labels.numpy()
    confidence = _probabilities(*answers.faces, temperature).max(1)
    right = answers.faces.logits.argmax(1).numpy() == labels
    sure = confidence >= threshold
    figures = {
        "n": len(labels),
        "accuracy": float(right.mean()),
        "answered": float(sure.mean()),
        "accuracy_answered": float(right[sure].mean()) if sure.any() else 0.0,
        "neutral": len(answers.neutral.logits) if answers.neutral else 0,
    }
    if answers.neutral:
        neutral = _probabilities(*answers.neutral, temperature).max(1)
        figures["neutral_answered"] = float((neutral >= threshold).mean())
        figures["auroc"] = auroc(confidence, neutral)
    return figures
