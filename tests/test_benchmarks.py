"""What every benchmark can do, without measuring anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import _rows, training

REPOSITORY = Path(__file__).resolve().parents[1]
BENCHMARKS = sorted(path.stem for path in (REPOSITORY / "benchmarks").glob("[!_]*.py"))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_writes_its_rows_as_json(name: str) -> None:
    source = (REPOSITORY / "benchmarks" / f"{name}.py").read_text("utf-8")

    assert "_rows.add_option(parser)" in source
    assert "_rows.write(" in source


def test_the_rows_are_written_with_the_machine(tmp_path: Path) -> None:
    _rows.write(tmp_path / "rows.json", [{"engine": "torch", "median_ms": 1.5}], threads=2)

    values = json.loads((tmp_path / "rows.json").read_text("utf-8"))
    assert "cores" in values.pop("machine")
    assert values == {"threads": 2, "rows": [{"engine": "torch", "median_ms": 1.5}]}


def test_a_benchmark_runs_to_its_rows(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.live", "--rounds", "1", "--threads", "1"]

    subprocess.run([*command, "--json", tmp_path / "rows.json"], cwd=REPOSITORY, check=True)

    rows = json.loads((tmp_path / "rows.json").read_text("utf-8"))["rows"]
    assert {(row["width"], row["height"]) for row in rows} == {(640, 480), (320, 240)}
    assert all(row["p95_ms"] >= row["median_ms"] > 0 and row["faces"] for row in rows)


def test_the_trainers_speed_on_a_gpu_that_is_not_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["training", "--device", "cuda"])

    assert training.main() == 2

    said = capsys.readouterr()
    assert said.err == "There is no GPU that torch can use; leave out --device cuda.\n"
    assert said.out == ""
