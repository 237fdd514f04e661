from __future__ import annotations

import json
import statistics
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from emotion.errors import DataError
from train.cli import main
from train.commands import compare
from train.config.fit import FitConfig
from train.fit import fit

BUDGET = (
    "--corpora synthetic --sizes 32 --epochs 1 --widths 8 8 8 8 --batch-size 16 "
    "--class-weights none --activation relu --threads 1"
)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[FitConfig]:
    """Record what is trained."""
    configs: list[FitConfig] = []

    def record(config: FitConfig, *args: Any, **options: Any) -> dict[str, Any]:
        configs.append(config)
        return fit(config, *args, **options)

    monkeypatch.setattr("train.fit.fit", record)
    return configs


def plan(folder: Path, **values: Any) -> str:
    path = folder / "plan.yaml"
    path.write_text(json.dumps({"common": BUDGET, "seeds": [1, 2], **values}))
    return str(path)


def test_a_plan_becomes_tables_and_the_same_training_is_done_once(
    prepared: Path, tmp_path: Path, trained: list[FitConfig]
) -> None:
    comparisons = {
        "Activation": {"ReLU": "", "SiLU": "--activation silu"},
        "Rate": {"low": "--lr 1e-3", "high": "--lr 1e-2"},  # low is what ReLU is
    }
    out = tmp_path / "out"
    arguments = ["compare", "--data", str(prepared), "--out", str(out)]
    arguments += ["--plan", plan(tmp_path, comparisons=comparisons)]

    assert main(arguments) == 0

    assert [(c.architecture.activation, c.optimizer.lr, c.seed) for c in trained] == [
        ("relu", 1e-3, 1),
        ("relu", 1e-3, 2),
        ("silu", 1e-3, 1),
        ("silu", 1e-3, 2),
        ("relu", 1e-2, 1),
        ("relu", 1e-2, 2),
    ]
    activation, rate = json.loads((out / "compare.json").read_text("utf-8"))
    relu, silu = activation["variants"]
    assert (relu["name"], silu["name"]) == ("ReLU", "SiLU")
    assert relu["macro_f1"] == rate["variants"][0]["macro_f1"]
    assert relu["macro_f1_difference"] == [0, 0]
    scores = {
        (values["architecture"]["activation"], values["seed"]): line["macro_f1"]
        for folder in out.glob("*/")
        for values in [json.loads((folder / "fit.json").read_text("utf-8"))]
        for line in [json.loads((folder / "log.jsonl").read_text("utf-8"))]
        if values["optimizer"]["lr"] == 1e-3
    }
    two = [scores["silu", 1], scores["silu", 2]]
    assert silu["macro_f1"] == pytest.approx([statistics.mean(two), statistics.stdev(two)])
    paired = [scores["silu", seed] - scores["relu", seed] for seed in (1, 2)]
    assert silu["macro_f1_difference"] == pytest.approx(
        [statistics.mean(paired), statistics.stdev(paired)]
    )
    table = (out / "compare.md").read_text("utf-8")
    assert "### Activation" in table
    assert table.count("Trained in bfloat16.") == 2  # what the hardware is said to have
    assert f"| SiLU | 2 | {silu['accuracy'][0]:.3f} ± {silu['accuracy'][1]:.3f} |" in table
    assert not list(out.glob("*/checkpoints"))

    trained.clear()
    assert main([*arguments, "--only", "Rate"]) == 0
    assert trained == []
    assert main([*arguments, "--only", "Rate", "--seeds", "1", "3"]) == 0
    assert [config.seed for config in trained] == [3, 3]
    tables = json.loads((out / "compare.json").read_text("utf-8"))
    assert [table["title"] for table in tables] == ["Activation", "Rate"]


def test_faces_that_were_prepared_otherwise_are_trained_anew(
    prepared: Path, tmp_path: Path, trained: list[FitConfig]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "synthetic").symlink_to(prepared / "synthetic")
    arguments = ["compare", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    arguments += [f"--common={BUDGET}", "--variant", "a: ", "--seeds", "1"]
    for fingerprint in ("one", "two", "two"):
        report = tmp_path / "data" / "report.json"
        report.write_text(json.dumps({"fingerprint": fingerprint}))

        assert main(arguments) == 0

    assert len(trained) == 2


def test_a_stopped_comparison_goes_on_where_it_was(
    prepared: Path, tmp_path: Path, trained: list[FitConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["compare", "--data", str(prepared), "--out", str(tmp_path)]
    arguments += [f"--common={BUDGET}"]
    arguments += ["--variant", "a: --lr 1e-3", "--variant", "b: --lr 1e-2", "--seeds", "1"]
    record = import_module("train.fit").fit

    def stop(config: FitConfig, *args: Any, **options: Any) -> dict[str, Any]:
        if config.optimizer.lr == 1e-2:
            raise KeyboardInterrupt
        return record(config, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr("train.fit.fit", stop)
        assert main(arguments) == 130
    (table,) = json.loads((tmp_path / "compare.json").read_text("utf-8"))
    assert [row["seeds"] for row in table["variants"]] == [[1], []]

    assert main(arguments) == 0

    assert [config.optimizer.lr for config in trained] == [1e-3, 1e-2]
    (table,) = json.loads((tmp_path / "compare.json").read_text("utf-8"))
    assert [row["seeds"] for row in table["variants"]] == [[1], [1]]


def test_a_plan_may_name_variants_by_numbers(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(
        f"common: {BUDGET}\nseeds: [1]\ncomparisons:\n  2026:\n    16: --batch-size 16\n    on:\n"
    )
    arguments = ["compare", "--data", str(prepared), "--plan", str(path)]

    assert main([*arguments, "--out", str(tmp_path / "out"), "--only", "2026"]) == 0

    table = capsys.readouterr().out
    assert "### 2026" in table
    assert "| 16 | 1 |" in table


def test_a_failed_training_is_told_and_the_others_are_kept(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def fail(config: FitConfig, *args: Any, **options: Any) -> dict[str, Any]:
        if config.optimizer.lr > 1:
            raise DataError("The loss became nan.")
        return fit(config, *args, **options)

    monkeypatch.setattr("train.fit.fit", fail)
    arguments = ["compare", "--data", str(prepared), "--out", str(tmp_path)]
    arguments += [f"--common={BUDGET}"]
    arguments += ["--variant", "wild: --lr 9", "--variant", "tame: --lr 1e-3", "--seeds", "1"]

    assert main(arguments) == 2

    assert "variants, wild, seed 1: The loss became nan." in capsys.readouterr().err
    (table,) = json.loads((tmp_path / "compare.json").read_text("utf-8"))
    assert [row["accuracy"] is None for row in table["variants"]] == [True, False]


@pytest.mark.parametrize(
    ("values", "options", "sentence"),
    [
        ({"comparisons": {"A": {"x": ""}}}, ["--only", "B"], "no comparison 'B'"),
        ({"comparisons": {"A": {"x": "--recipe cake"}}}, [], "no recipe"),
        ({"comparisons": {"A": {}}}, [], "must have comparisons"),
        ({"comparisons": ["A"]}, [], "must have comparisons"),
        ({"comparisons": {}}, [], "must have comparisons"),
        ({"comparisons": {"A": {"x": "--memory 10"}}}, [], "belongs to --method progressive"),
        ({"comparisons": {"A": {"x": "--lr 'unclosed"}}}, [], "cannot be read as options"),
        ({"seeds": ["one"], "comparisons": {"A": {"x": ""}}}, [], "whole numbers"),
        ({"seeds": 3, "comparisons": {"A": {"x": ""}}}, [], "whole numbers"),
        ({"comparisons": {"A": {"x": ""}}}, ["--variant", "x: "], "not both"),
        (None, ["--variant", "no colon"], "is no variant"),
        (None, ["--variant", "a: ", "--variant", "a: --lr 1"], "name of its own"),
        (None, [], "Name the variants"),
    ],
)
def test_unusable_plans_are_one_sentence_and_train_nothing(
    tmp_path: Path,
    trained: list[FitConfig],
    capsys: pytest.CaptureFixture[str],
    values: dict[str, Any] | None,
    options: list[str],
    sentence: str,
) -> None:
    chosen = [] if values is None else ["--plan", plan(tmp_path, **values)]
    arguments = ["compare", "--data", str(tmp_path), "--out", str(tmp_path / "out")]

    assert main([*arguments, *chosen, *options]) == 2

    assert sentence in capsys.readouterr().err
    assert trained == []


@pytest.mark.parametrize("path", sorted(Path("docs/plans").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_plans_of_the_documentation_can_be_read(path: Path) -> None:
    arguments = compare.Arguments(Path("data"), Path("out"), plan=path)

    comparisons, seeds = compare.read_plan(arguments)

    assert len(seeds) >= 3
    for comparison in comparisons:
        budgets = {
            (c.data.corpora, c.data.limit, c.schedule.sizes, c.schedule.epochs)
            for c in comparison.variants.values()
        }
        assert len(comparison.variants) > 1
        assert len(budgets) == 1
