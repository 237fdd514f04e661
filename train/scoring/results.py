"""The one file of numbers that page, model card and figures show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from emotion.errors import DataError
from emotion.evaluation import Evaluation, read_json


def collect(
    evaluations: Sequence[Evaluation], calibration: Mapping[str, Any] | None
) -> list[Evaluation]:
    """Join evaluations of one network, each with the calibration on its split.

    Args:
        evaluations: as ``train.scoring.evaluation.evaluate`` returns them.
        calibration: as ``train.scoring.calibrate.calibrate`` returns it, or None.

    Returns:
        The evaluations; those whose split was calibrated on have its figures in ``calibration``.

    Raises:
        DataError: if two evaluations are of different weights, of different calibrations or of the
            same split, if they are of another calibration, or no split was calibrated on.
    """
    names = [result.name for result in evaluations]
    if len({result.digest for result in evaluations}) > 1:
        raise DataError(
            f"The evaluations ({', '.join(names)}) are of different weights; measure all of them "
            "with the same ones."
        )
    calibrated = {result.calibration_digest for result in evaluations}
    if len(calibrated) > 1:
        raise DataError(
            f"The evaluations ({', '.join(names)}) are of weights that were calibrated anew in "
            "between; repeat the older ones."
        )
    if len(set(names)) < len(names):
        raise DataError(f"A split is there twice ({', '.join(names)}); name each file once.")
    if calibration is None:
        return list(evaluations)
    if calibrated - {None, _rows(calibration, evaluations[0].convention).get("digest")}:
        raise DataError(
            f"The evaluations ({', '.join(names)}) were made with another calibration; repeat "
            "python -m train evaluate --json, or name that one's file."
        )
    rows = _rows(calibration, evaluations[0].convention)["corpora"]
    if not set(names) & set(rows):
        raise DataError(
            f"The calibration is of {', '.join(rows)} and the evaluations of {', '.join(names)}; "
            "calibrate on one of these splits."
        )
    return [
        replace(result, calibration=rows[result.name]) if result.name in rows else result
        for result in evaluations
    ]


def read_evaluation(path: Path) -> Evaluation:
    """Read what ``evaluate --json`` wrote.

    Raises:
        DataError: if the file is not there, damaged, or something else.
    """
    evaluation = Evaluation.from_json(read_json(path), str(path))
    if evaluation.digest is None:
        raise DataError(
            f"{path} does not say which weights were measured; repeat python -m train evaluate."
        )
    return evaluation


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        DataError: if the file cannot be read, or holds something else.
    """
    values = read_json(path)
    if not isinstance(values, dict):
        raise DataError(f"{path} holds no JSON object.")
    return values


def _rows(calibration: Mapping[str, Any], convention: str | None) -> Mapping[str, Any]:
    """Return the figures of the layer that was evaluated."""
    layers: Mapping[str, Any] = calibration.get("conventions", {})
    return layers.get(convention or "", calibration)  # type: ignore[no-any-return]
