"""What was measured on a split: written by ``evaluate --json``; read by card, figures and page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from emotion.errors import DataError
from emotion.labels import LABELS

RESULTS = Path(__file__).parent / "assets" / "results.json"
"""What ``python -m train results`` wrote for the embedded weights."""

TITLES = {"fer2013": "FER-2013", "raf-db": "RAF-DB", "affectnet": "AffectNet"}
"""Published corpus -> its name in print."""

_SCORES = ("precision", "recall", "f1", "support")


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One network on one split of a corpus.

    Shares are 0..1. What has a default is left out of the JSON where it was not measured.

    Attributes:
        n: number of pictures.
        accuracy: share of right answers.
        macro_f1: mean over the classes, like the next two.
        macro_precision: see above.
        macro_recall: see above.
        per_class: class -> precision, recall, f1 and support, its pictures.
        confusion: 6 rows, the truth, of 6 counts, the answers.
        ece: expected calibration error (Guo et al., 2017).
        confidence_intervals: ``accuracy`` and ``macro_f1`` -> lower and upper bound, 95 %.
        corpus: its name.
        split: its own word.
        faces_not_found: pictures that were classified from their plain crop.
        weights: SPEC that was given.
        digest: SHA-256 of their tensors.
        calibration_digest: of their calibration.
        tta: what the answer is averaged over, ``none`` where nothing is.
        convention: whose way of labelling answered.
        excluded: pictures that a list left out.
        unreadable: their ids; each counts as a black crop.
        reliability: see ``train.scoring.metrics.reliability``.
        precision_recall: see ``train.scoring.metrics.precision_recall``.
        mirror_agreement: share of faces whose mirror image gets the same answer.
        answered: share that is told an expression.
        called_calm: share that is called calm, where the weights tell.
        second_labels: see ``train.scoring.metrics.score_second_labels``.
        robustness: see ``train.scoring.robustness.measure_robustness``.
        calibration: what it achieves on this split, see ``train.scoring.calibrate.calibrate``.
        notes: English sentences that readers need beside the numbers.
    """

    n: int
    accuracy: float
    macro_f1: float
    macro_precision: float
    macro_recall: float
    per_class: Mapping[str, Mapping[str, float]]
    confusion: Sequence[Sequence[int]]
    ece: float
    confidence_intervals: Mapping[str, Sequence[float]]
    corpus: str
    split: str
    weights: str | None = None
    digest: str | None = None
    calibration_digest: str | None = None
    tta: str | None = None
    convention: str | None = None
    excluded: int | None = None
    faces_not_found: int
    unreadable: Sequence[str] | None = None
    reliability: Sequence[Mapping[str, float]] | None = None
    precision_recall: Mapping[str, Any] | None = None
    mirror_agreement: float | None = None
    answered: float | None = None
    called_calm: float | None = None
    second_labels: Mapping[str, float] | None = None
    robustness: Sequence[Mapping[str, Any]] | None = None
    calibration: Mapping[str, Any] | None = None
    notes: Sequence[str] | None = None

    @property
    def name(self) -> str:
        """The split that was measured."""
        return f"{self.corpus}/{self.split}"

    @classmethod
    def from_json(cls, values: object, source: str) -> Evaluation:
        """Take what ``to_json`` returned.

        Args:
            values: the JSON value; keys that this version does not know are left out.
            source: where it comes from, for errors.

        Raises:
            DataError: if it is something else, or lacks a number.
        """
        again = "make it with python -m train evaluate --json."
        if not isinstance(values, dict):
            raise DataError(f"{source} holds no JSON object; {again}")
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        missing = {f.name for f in fields(cls) if f.default is MISSING} - known.keys()
        if missing:
            lacking = ", ".join(sorted(missing))
            raise DataError(
                f"{source} is no evaluation of this version (it lacks {lacking}); {again}"
            )
        wrong = sorted(name for name, value in known.items() if not _fits(name, value))
        if wrong:
            raise DataError(
                f"{source} is no evaluation of this version ({', '.join(wrong)} cannot be used); "
                f"{again}"
            )
        return cls(**known)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, those alone that were measured."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def read_evaluations(path: Path) -> list[Evaluation]:
    """Read what ``python -m train results`` wrote: a list.

    Raises:
        DataError: if the file cannot be read, or holds something else.
    """
    results = read_json(path)
    if not (isinstance(results, list) and results):
        raise DataError(f"{path} holds no list of results.")
    return [Evaluation.from_json(result, f"An entry of {path}") for result in results]


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


def _fits(name: str, value: object) -> bool:
    match name:
        case "per_class":
            return isinstance(value, dict) and all(
                isinstance(value.get(label), dict) and _are_numbers(map(value[label].get, _SCORES))
                for label in LABELS
            )
        case "confidence_intervals":
            return isinstance(value, dict) and all(
                isinstance(value.get(key), list | tuple)
                and len(value[key]) == 2
                and _are_numbers(value[key])
                for key in ("accuracy", "macro_f1")
            )
        case "confusion":
            return (
                isinstance(value, list)
                and len(value) == len(LABELS)
                and all(isinstance(row, list) and _are_numbers(row) for row in value)
                and {len(row) for row in value} == {len(LABELS)}
            )
        case "n" | "accuracy" | "macro_f1" | "macro_precision" | "macro_recall" | "ece":
            return _are_numbers([value])
        case "faces_not_found" | "excluded" | "mirror_agreement" | "answered" | "called_calm":
            return value is None or _are_numbers([value])
        case "corpus" | "split" | "weights" | "digest" | "calibration_digest" | "tta":
            return value is None or isinstance(value, str)
        case "precision_recall" | "second_labels" | "calibration":
            return value is None or isinstance(value, dict)
        case "unreadable" | "reliability" | "robustness" | "notes":
            return value is None or isinstance(value, list)
    return value is None or isinstance(value, str)  # convention


def _are_numbers(values: Any) -> bool:
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        for value in values
    )
