from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from train.cli import main
from train.scoring.metrics import evaluate_probabilities


def evaluation(corpus: str, split: str, digest: str = "a1") -> dict[str, Any]:
    labels = np.arange(60) % 6
    scores = evaluate_probabilities(np.eye(6)[labels], labels)
    digests = {"digest": digest, "calibration_digest": "c1"}
    return {**scores, "corpus": corpus, "split": split, **digests, "faces_not_found": 0}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    row = {"n": 60, "answered": 0.85, "neutral": 0}
    contents = {
        "fer": evaluation("fer2013", "public"),
        "raf": evaluation("raf-db", "validation"),
        "other": evaluation("affectnet", "valid", digest="b2"),
        "anew": evaluation("affectnet", "valid") | {"calibration_digest": "c2"},
        "calibration": {"digest": "c1", "temperature": 1.2, "corpora": {"fer2013/public": row}},
        "elsewhere": {"digest": "c1", "temperature": 1.2, "corpora": {"affectnet/valid": row}},
        "older": {"digest": "c0", "temperature": 1.2, "corpora": {"fer2013/public": row}},
        "number": 7,
        "config": {"temperature": 1.2},
    }
    for name, values in contents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(values))
    return {name: str(tmp_path / f"{name}.json") for name in (*contents, "out", "gone")}


def test_evaluations_and_their_calibration_become_one_file(files: dict[str, str]) -> None:
    arguments = ["--calibration", files["calibration"], "--out", files["out"]]

    assert main(["results", files["fer"], files["raf"], *arguments]) == 0

    first, second = json.loads(Path(files["out"]).read_text("utf-8"))
    assert (first["corpus"], second["corpus"]) == ("fer2013", "raf-db")
    assert first["calibration"]["answered"] == 0.85
    assert "calibration" not in second


@pytest.mark.parametrize(
    ("names", "calibration", "sentence"),
    [
        (["fer", "other"], None, "different weights"),
        (["fer", "anew"], None, "calibrated anew in between"),
        (["fer"], "older", "another calibration"),
        (["fer", "fer"], None, "twice"),
        (["fer"], "elsewhere", "calibrate on one of these splits"),
        (["gone"], None, "cannot be read"),
        (["number"], None, "no JSON object"),
        (["config"], None, "no evaluation"),
    ],
)
def test_what_does_not_belong_together_is_refused_and_nothing_written(
    files: dict[str, str],
    names: list[str],
    calibration: str | None,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--calibration", files[calibration]] if calibration else []

    assert main(["results", *(files[name] for name in names), *options, "--out", files["out"]]) == 2

    assert sentence in capsys.readouterr().err
    assert not Path(files["out"]).exists()
