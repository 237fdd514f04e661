from __future__ import annotations

import json
from pathlib import Path

import pytest

from train.cli import main
from train.commands.domains import Arguments, to_markdown
from train.domains.progressive.figures import plot_shards, plot_study, plot_trials


@pytest.mark.timeout(600)  # six trainings
def test_the_study_trains_every_arm_once_and_writes_table_and_figures(
    three_corpora: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = [
        *("domains", "--data", str(three_corpora), "--out", str(tmp_path), "--limit", "72"),
        *("--epochs", "3", "--bort2-epochs", "1", "--size", "32", "--seeds", "1"),
        *("--widths", "8", "8", "16", "16", "--threads", "1", "--ema-decay", "0.5"),
        *("--precision", "float32"),
    ]

    assert main(command) == 0

    rows = json.loads((tmp_path / "study.json").read_text())
    assert [row["name"] for row in rows] == [
        "fer2013 only",
        "union, natural sampling",
        "union, sqrt sampling",
        "union, uniform sampling",
        "progressive",
        "progressive + BORT²",
    ]
    for row in rows:
        assert row["seeds"] == [1]
        assert all(len(values) == 1 for values in row["macro_f1"].values())
        assert row["precision"] == ["float32"]
    assert "Trained in float32." in (tmp_path / "study.md").read_text("utf-8")
    alone, union = (
        json.loads((tmp_path / folder / "log.jsonl").read_text().splitlines()[-1])["epoch"]
        for folder in ("fer2013-only-1", "union-natural-sampling-1")
    )
    assert (alone, union) == (9, 3)  # as many steps
    chained = json.loads((tmp_path / "progressive-bort2-1" / "fit.json").read_text())
    assert chained["architecture"]["init"] == str(tmp_path / "progressive-1")
    for name in ("study.svg", "shards.svg", "trials.svg"):
        assert (tmp_path / name).read_bytes().startswith(b"<?xml")

    monkeypatch.setattr("train.fit.fit", lambda *a, **k: pytest.fail("trained again"))
    assert main(command) == 0
    assert main([*command, "--limit", "60"]) == 2  # what is finished would stand for it
    assert "started with other options" in capsys.readouterr().err


def test_a_study_that_is_too_short_trains_nothing(
    three_corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["domains", "--data", str(three_corpora), "--out", str(tmp_path / "out")]

    assert main([*command, "--epochs", "2", "--seeds", "1"]) == 2

    assert "at least 3 with --epochs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_table_has_mean_and_deviation_and_names_the_best(tmp_path: Path) -> None:
    rows = [
        {
            "name": name,
            "seeds": [1, 2],
            "precision": precision,
            "minutes": [2.0, 4.0],
            "macro_f1": {"fer2013": [0.5 + more, 0.6 + more], "raf-db": [0.7, 0.7]},
            "scores": [0.6 + more / 2, 0.65 + more / 2],
        }
        for name, more, precision in (
            ("first", 0.0, ["float32", "bfloat16"]),
            ("second", 0.1, ["float32", "float32"]),
        )
    ]

    text = to_markdown(rows, Arguments(tmp_path, tmp_path, corpora=("fer2013", "raf-db")))

    assert "| first | 2 | 0.550 ± 0.071 | 0.700 ± 0.000 | 0.625 ± 0.035 | 3.0 |" in text
    assert "\nTrained in bfloat16 and float32: first; in float32: second.\n" in text
    assert text.strip().endswith("the corpora: second.")
    assert b"second" in plot_study(rows)


def test_the_plots_show_every_shard_and_every_trial() -> None:
    log = [
        *(
            {
                "event": "shard",
                "name": f"raf-db/{label}/0",
                "corpus": "raf-db",
                "label": label,
                "images": 40,
                "relevance": relevance,
                "group": group,
            }
            for label, relevance, group in (("anger", 0.7, 0), ("fear", -0.2, None))
        ),
        {
            "event": "group",
            "corpus": "raf-db",
            "threshold": 0.6,
            "group": 0,
            "images": 40,
            "state": "rejected",
            "control": 0.6,
            "trial": 0.55,
            "interval": [-0.08, -0.02],
        },
        {"event": "group", "corpus": "raf-db", "threshold": 0.4, "group": 1, "state": "empty"},
    ]

    assert b"raf-db" in plot_shards(log)
    trials = plot_trials({1: log, 2: log}).decode()
    assert all(f"seed {seed}" in trials for seed in (1, 2))
    assert "rejected" in trials
    assert "empty" not in trials
