from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from emotion.errors import ConfigError
from train import distributed

# Rounding differs; where ReLUs flip or a rate is large, training multiplies that in a few steps.
OPTIONS = """--corpora synthetic --sizes 32 --epochs 2 --widths 8 8 16 16 --batch-size 16
    --activation silu --block-dropout 0 --head-dropout 0 --optimizer sgd --lr 0.01 --ema-decay 0.9
    --class-weights inverse --mixup 0.3 --threads 1"""


def test_two_processes_train_what_one_does_up_to_rounding(prepared: Path, tmp_path: Path) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for launch, out in (([], "one"), (launcher, "two")):
        arguments = ["fit", "--data", str(prepared), "--out", str(tmp_path / out), *OPTIONS.split()]
        finished = subprocess.run(
            [sys.executable, *launch, "-m", "train", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        assert finished.stdout.count("Kept epoch") == 1

    one, two = (
        load_file(tmp_path / run / "checkpoints" / "epoch-0002" / "state.safetensors")
        for run in ("one", "two")
    )

    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-5)
    logs = [
        [json.loads(line) for line in (tmp_path / run / "log.jsonl").read_text().splitlines()]
        for run in ("one", "two")
    ]
    assert [line["loss"] for line in logs[1]] == pytest.approx([line["loss"] for line in logs[0]])


def test_without_torchrun_there_is_one_process_that_does_everything() -> None:
    values = torch.arange(5)

    with distributed.joined(torch.device("cpu")) as device:
        assert device.type == "cpu"
        assert (distributed.count(), distributed.rank()) == (1, 0)
        assert torch.equal(distributed.share(values), values)
        assert torch.equal(distributed.gathered(values), values)


def test_a_batch_that_cannot_be_shared_evenly_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "count", lambda: 3)

    with pytest.raises(ConfigError, match="by 3 processes"):
        distributed.check_batch_size(64)
