"""Calibrating everything that a network answers: each convention, and who is calm."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from emotion.config import COMMON
from emotion.files import write_text
from emotion.network import EmotionNet
from train.config.options import COVERAGE
from train.scoring.calibrate import CorpusAnswers, calibrate
from train.scoring.temperature import minimise

CALLED_CALM = 0.08
"""Share of expressive faces that may be called calm, every corpus counting the same."""


def calibrate_network(
    network: EmotionNet,
    asked: Callable[[], dict[str, CorpusAnswers]],
    coverage: float = COVERAGE,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Calibrate every convention, choose the one that answers, and find the bound of calm.

    The convention answers that is the best on the mean of the corpora, by accuracy plus macro F1 of
    each half of the faces at the calibration of the other half.

    Args:
        network: in evaluation mode.
        asked: returns what it answers on validation: name -> answers; at least one.
        coverage: see ``train.scoring.calibrate.abstain_threshold``.

    Returns:
        The values for ``NetworkConfig`` that are found, and figures: those of
        ``train.scoring.calibrate.calibrate`` for the convention that answers, ``convention``,
        ``conventions`` (name -> figures of each) if there are several, and ``calm`` (``bound``,
        ``temperature``) with a second output.
    """
    values: dict[str, dict[str, Any]] = {}
    figures: dict[str, dict[str, Any]] = {}
    for convention, corpora in _of_each(network, asked):
        calm = network.config.calm
        bound, divisor = _fit_calm(corpora) if calm else (np.inf, 1.0)
        calibration, figures[convention] = calibrate(corpora, coverage, bound)
        values[convention] = {
            "temperature": calibration.typical,
            "temperature_slope": calibration.slope,
            "temperature_offset": calibration.offset,
            "class_offsets": calibration.class_offsets,
            "abstain_below": figures[convention]["abstain_below"],
        }
        if calm:
            values[convention] |= {"calm_bound": bound, "calm_temperature": divisor}
            figures[convention]["calm"] = {"bound": bound, "temperature": divisor}
    best = max(figures, key=lambda name: _merit(figures[name]))
    config, report = {**values[best], "convention": best}, {**figures[best], "convention": best}
    if network.config.conventions:
        config["calibrations"], report["conventions"] = values, figures
    return config, report


def _of_each(
    network: EmotionNet, asked: Callable[[], dict[str, CorpusAnswers]]
) -> Iterator[tuple[str, dict[str, CorpusAnswers]]]:
    """Yield every convention and what it answers; layers read the same features."""
    if network.config.conventions_by == "offset":
        for convention in (COMMON, *network.config.conventions):
            network.answer_as(convention)
            yield convention, asked()
        return
    corpora = asked()
    for convention in (COMMON, *network.heads):
        yield convention, {name: _as(network, part, convention) for name, part in corpora.items()}


def write_calibration(folder: Path, values: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    """Put a calibration into the config of weights, and all figures beside it.

    Args:
        folder: with ``config.json``; it also gets ``calibration.json``.
        values: as ``calibrate_network`` returns them.
        figures: likewise.

    Raises:
        DataError: if a file cannot be written; the tensors are never touched.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config.update(values)
    write_text(folder / "config.json", json.dumps(config, sort_keys=True, indent=2))
    write_text(folder / "calibration.json", json.dumps(figures, indent=1) + "\n")


def _as(network: EmotionNet, answers: CorpusAnswers, convention: str) -> CorpusAnswers:
    neutral = answers.neutral
    return replace(
        answers,
        faces=network.read_out(answers.faces.pooled, convention),
        neutral=None if neutral is None else network.read_out(neutral.pooled, convention),
    )


def _merit(figures: dict[str, Any]) -> float:
    rows = figures["corpora"].values()
    return float(np.mean([row["accuracy_crossed"] + row["macro_f1_crossed"] for row in rows]))


def _fit_calm(corpora: Mapping[str, CorpusAnswers]) -> tuple[float, float]:
    """Return the logit from which a face counts as calm, and what distances to it are divided by.

    The bound is the quantile of expressive faces that ``CALLED_CALM`` says. The divisor is the
    inverse slope of a logistic regression of calm on the logit (Platt, 1999), with expressive and
    neutral faces counting the same.
    """
    logits = [part.faces.calm for part in corpora.values() if part.faces.calm is not None]
    weights = torch.cat([torch.full((len(part),), 1 / len(part)) for part in logits])
    expressive = torch.cat(logits).double()
    order = expressive.argsort(descending=True)
    called = (weights[order].cumsum(0) / weights.sum()).numpy()
    bound = float(expressive[order][np.searchsorted(called, CALLED_CALM)])
    neutral = [
        part.neutral.calm
        for part in corpora.values()
        if part.neutral is not None and part.neutral.calm is not None
    ]
    if not neutral:
        return round(bound, 4), 1.0
    slope = _logistic_slope(torch.cat(neutral).double(), expressive)
    return round(bound, 4), round(1 / max(slope, 1e-3), 4)


def _logistic_slope(positive: Tensor, negative: Tensor) -> float:
    parameters = torch.zeros(2, dtype=torch.float64, requires_grad=True)

    def loss() -> Tensor:
        slope, intercept = parameters
        missed = F.softplus(-(slope * positive + intercept)).mean()
        return missed + F.softplus(slope * negative + intercept).mean()

    minimise([parameters], loss)
    return float(parameters.detach()[0])
