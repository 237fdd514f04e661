from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotion.labels import COLORS, LABELS
from train.cli import main
from train.scoring.figures import draw_learning_curves
from train.scoring.metrics import evaluate_probabilities, precision_recall, reliability

LOG = Path("docs/runs/cnn/log.jsonl")


@pytest.fixture
def result(random: np.random.Generator) -> dict[str, Any]:
    labels = random.integers(0, 5, 300)  # no fear
    probabilities = random.dirichlet(np.ones(6), 300)
    scores = dict.fromkeys(("accuracy", "macro_f1", "agreement"), 0.61)
    return {
        **evaluate_probabilities(probabilities, labels),
        "corpus": "raf-db",
        "split": "validation",
        "faces_not_found": 0,
        "reliability": reliability(probabilities, labels),
        "precision_recall": precision_recall(probabilities, labels),
        "robustness": [{"condition": name, "n": 30, **scores} for name in ("as it is", "turned")],
    }


def test_the_curves_of_runs_that_follow_each_other_are_one(
    result: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "results.json").write_text(json.dumps([result]))
    lines = LOG.read_text("utf-8").splitlines(keepends=True)
    second = [json.dumps({**json.loads(x), "epoch": n}) + "\n" for n, x in enumerate(lines[5:], 1)]
    (tmp_path / "first.jsonl").write_text("".join(lines[:5]))
    (tmp_path / "second.jsonl").write_text("".join(second))
    arguments = ["figures", "--results", str(tmp_path / "results.json")]

    parts = [str(tmp_path / f"{name}.jsonl") for name in ("first", "second")]
    assert main([*arguments, "--log", *parts, "--out", str(tmp_path / "a")]) == 0
    assert main([*arguments, "--log", str(LOG), "--out", str(tmp_path / "b")]) == 0

    curves = [(tmp_path / name / "learning-curves.svg").read_bytes() for name in ("a", "b")]
    assert curves[0] == curves[1]


def test_every_figure_is_drawn_from_the_numbers_and_the_same_twice(
    result: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "results.json").write_text(json.dumps([result, {**result, "corpus": "affectnet"}]))
    arguments = [
        *("figures", "--results", str(tmp_path / "results.json"), "--log", str(LOG)),
        *("--atlas", str(tmp_path / "none")),
    ]

    for name in ("a", "b"):
        assert main([*arguments, "--out", str(tmp_path / name)]) == 0

    drawn = {path.stem: path.read_text("utf-8") for path in (tmp_path / "a").glob("*.svg")}
    assert set(drawn) == {
        "confusion",
        "precision-recall",
        "reliability",
        "robustness",
        "learning-curves",
    }
    for name, svg in drawn.items():
        assert svg == (tmp_path / "b" / f"{name}.svg").read_text("utf-8")
    for name in set(drawn) - {"learning-curves"}:
        count = 30 if name == "robustness" else 300
        assert f"raf-db validation, {count} faces" in drawn[name]
        assert f"affectnet validation, {count} faces" in drawn[name]
    texts = re.findall(r">([^<>]+)</text>", drawn["confusion"])
    confusion = np.array(result["confusion"])
    shares = 100 * confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    cells = [f"{share:.0f}" for share in shares.ravel()]
    assert [text for text in texts if text.isdecimal()][:36] == cells
    for name in LABELS[:5]:
        average = result["precision_recall"][name]["average_precision"]
        assert f"{name} {average:.2f}" in drawn["precision-recall"]
        assert COLORS[name].lower() in drawn["precision-recall"]
    assert f"calibration error {result['ece']:.3f}" in drawn["reliability"]
    assert "turned" in drawn["robustness"]
    assert "64 px" in drawn["learning-curves"]


def test_what_was_not_measured_is_not_drawn(result: dict[str, Any], tmp_path: Path) -> None:
    del result["robustness"]
    (tmp_path / "results.json").write_text(json.dumps([result]))

    words = ["--results", str(tmp_path / "results.json"), "--atlas", str(tmp_path / "none")]
    assert main(["figures", *words, "--out", str(tmp_path)]) == 0

    assert {path.stem for path in tmp_path.glob("*.svg")} == {
        "confusion",
        "precision-recall",
        "reliability",
    }


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("not json", "cannot be read"),
        ("{}", "no list"),
        ('[{"confusion": [[1]]}]', "no evaluation of this version"),
    ],
)
def test_a_file_of_something_else_is_one_sentence(
    content: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results.json").write_text(content)

    assert (
        main(["figures", "--results", str(tmp_path / "results.json"), "--out", str(tmp_path)]) == 2
    )

    assert sentence in capsys.readouterr().err


def test_every_corpus_of_a_run_has_its_curves() -> None:
    corpora = [f"corpus-{number}" for number in range(7)]
    scores = {name: {"accuracy": 0.5, "macro_f1": 0.4} for name in corpora}
    line = {"epoch": 1, "loss": 1.0, "size": 64, "validation": scores}

    figure = draw_learning_curves([line])

    labels = figure.axes[1].get_legend_handles_labels()[1]
    assert {label.partition(",")[0] for label in labels} == set(corpora)
