"""The one file of numbers that page, model card and figures show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emotion.errors import DataError

RESULTS = Path("emotion/assets/results.json")


def collect(
    evaluations: Sequence[Mapping[str, Any]], calibration: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
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
    names = [name_of(result) for result in evaluations]
    if len({result["digest"] for result in evaluations}) > 1:
        raise DataError(
            f"The evaluations ({', '.join(names)}) are of different weights; measure all of them "
            "with the same ones."
        )
    calibrated = {result.get("calibration_digest") for result in evaluations}
    if len(calibrated) > 1:
        raise DataError(
            f"The evaluations ({', '.join(names)}) are of weights that were calibrated anew in "
            "between; repeat the older ones."
        )
    if len(set(names)) < len(names):
        raise DataError(f"A split is there twice ({', '.join(names)}); name each file once.")
    if calibration is None:
        return [dict(result) for result in evaluations]
    if calibrated - {None, _rows(calibration, evaluations[0].get("convention")).get("digest")}:
        raise DataError(
            f"The evaluations ({', '.join(names)}) were made with another calibration; repeat "
            "python -m train evaluate --json, or name that one's file."
        )
    rows = _rows(calibration, evaluations[0].get("convention"))["corpora"]
    if not set(names) & set(rows):
        raise DataError(
            f"The calibration is of {', '.join(rows)} and the evaluations of {', '.join(names)}; "
            "calibrate on one of these splits."
        )
    return [
        {**result, "calibration": rows[name]} if name in rows else dict(result)
        for name, result in zip(names, evaluations, strict=True)
    ]


def read_evaluation(path: Path) -> dict[str, Any]:
    """Read what ``evaluate --json`` wrote.

    Raises:
        DataError: if the file is not there, damaged, or something else.
    """
    values = read_object(path)
    missing = {"n", "corpus", "split", "digest", "per_class", "confusion"} - values.keys()
    if missing:
        raise DataError(
            f"{path} is no evaluation of this version (it lacks {', '.join(sorted(missing))}); "
            "make it with python -m train evaluate --json."
        )
    return values


def read_results(path: Path) -> list[dict[str, Any]]:
    """Read what ``collect`` returned.

    Raises:
        DataError: if the file cannot be read, or holds something else.
    """
    results = read_json(path)
    if not (isinstance(results, list) and results and all(isinstance(r, dict) for r in results)):
        raise DataError(f"{path} holds no list of results.")
    return results


def read_json(path: Path) -> Any:
    """Read any JSON value.

    Raises:
        DataError: if the file cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise DataError(f"{path} cannot be read ({reason}).") from None


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


def name_of(result: Mapping[str, Any]) -> str:
    """Name the split that was measured."""
    return f"{result['corpus']}/{result['split']}"
