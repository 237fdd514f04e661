from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from train.cli import main
from train.scoring.history import read_history

LOG = Path("docs/runs/cnn/log.jsonl")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    shutil.copy(LOG, tmp_path / "log.jsonl")
    return tmp_path


def test_tensorboard_reads_every_epoch_once_although_written_twice(run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):
        assert main(["tensorboard", "--run", str(run)]) == 0

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    history = read_history(LOG)
    for name, values in (
        ("loss", [line["loss"] for line in history]),
        ("validation/fer2013/ece", [line["validation"]["fer2013"]["ece"] for line in history]),
    ):
        scalars = events.Scalars(name)
        assert [scalar.step for scalar in scalars] == [line["epoch"] for line in history]
        assert [scalar.value for scalar in scalars] == pytest.approx(values)


def test_without_the_package_or_a_log_there_is_one_sentence(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tensorboard", "--run", str(run / "nowhere")]) == 2
    assert "is no log of a training" in capsys.readouterr().err

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert main(["tensorboard", "--run", str(run)]) == 2
    assert "pip install tensorboard" in capsys.readouterr().err
