"""What was measured, read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emotion.errors import DataError
from emotion.evaluation import RESULTS, Evaluation, read_evaluations


@pytest.fixture
def values() -> dict[str, Any]:
    first: dict[str, Any] = json.loads(RESULTS.read_text("utf-8"))[0]
    return first


def test_what_is_written_is_what_was_read():
    stored = json.loads(RESULTS.read_text("utf-8"))
    assert [evaluation.to_json() for evaluation in read_evaluations(RESULTS)] == stored


def test_keys_of_another_version_are_left_out(values):
    assert Evaluation.from_json({**values, "later": 1}, "a.json").to_json() == values


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"accuracy": "high"}, "accuracy"),
        ({"ece": float("nan")}, "ece"),
        ({"n": True}, "(n cannot"),
        ({"confusion": [[1]]}, "confusion"),
        ({"confusion": [[1] * 6] * 5}, "confusion"),
        ({"per_class": {"happiness": 1}}, "per_class"),
        ({"confidence_intervals": {"accuracy": [0.1, 0.2]}}, "confidence_intervals"),
        ({"corpus": 7}, "corpus"),
        ({"calibration": []}, "calibration"),
        ({"notes": "one"}, "notes"),
        ({"called_calm": [0.1]}, "called_calm"),
    ],
)
def test_a_number_that_is_none_is_named(values, changes, said):
    with pytest.raises(DataError, match="cannot be used") as error:
        Evaluation.from_json({**values, **changes}, "a.json")
    assert said in str(error.value)
    assert str(error.value).startswith("a.json")


def test_what_is_missing_is_named(values):
    del values["macro_f1"], values["split"]
    with pytest.raises(DataError, match="lacks macro_f1, split"):
        Evaluation.from_json(values, "a.json")


@pytest.mark.parametrize("content", ["7", "[]", "{}", "[7]", "{"])
def test_something_else_is_no_list_of_results(tmp_path: Path, content: str):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match=r"a\.json"):
        read_evaluations(tmp_path / "a.json")
