from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from emotion.errors import ConfigError
from train.config.fit import FitConfig, to_json
from train.training import distributed

# What torchrun does, without importing everything three times: a process alone, then two together.
_LAUNCHER = """
import json, os, socket, sys
from pathlib import Path
from train.config.fit import from_json
from train.fit import fit

config, data, out = from_json(json.loads(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3])
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free.getsockname()[1]))
for count in (1, 2):
    os.environ.update(WORLD_SIZE=str(count))
    children = []
    for rank in range(count):
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
        child = os.fork()
        if not child:
            try:
                fit(config, data, out / str(count))
            except BaseException as error:
                print(repr(error), file=sys.stderr)
                os._exit(1)
            os._exit(0)
        children.append(child)
    assert not any(os.waitpid(child, 0)[1] for child in children)
"""


@pytest.mark.timeout(600)
def test_two_processes_train_what_one_does_up_to_rounding(
    prepared: Path, tmp_path: Path, tiny: Callable[..., FitConfig]
) -> None:
    # Rounding differs; where ReLUs flip or a rate is large, training multiplies that in few steps.
    config = tiny(
        activation="silu",
        optimizer="sgd",
        lr=0.01,
        class_weights="inverse",
        mixup=0.3,
        block_dropout=0.0,
        head_dropout=0.0,
    )
    arguments = [json.dumps(to_json(config)), str(prepared), str(tmp_path)]

    subprocess.run([sys.executable, "-c", _LAUNCHER, *arguments], check=True)

    one, two = (
        load_file(tmp_path / run / "checkpoints" / "epoch-0002" / "state.safetensors")
        for run in ("1", "2")
    )
    assert one.keys() == two.keys()
    for name, value in one.items():
        difference = (two[name] - value).float().norm()
        assert difference <= 1e-3 * value.float().norm() + 1e-6, name
    logs = [
        [json.loads(line) for line in (tmp_path / run / "log.jsonl").read_text().splitlines()]
        for run in ("1", "2")
    ]
    losses = [[line["loss"] for line in log] for log in logs]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_torchrun_starts_the_command_and_one_process_reports(
    prepared: Path, tmp_path: Path
) -> None:
    options = """--corpora synthetic --sizes 16 --epochs 1 --widths 8 8 8 8 --batch-size 16
        --threads 1"""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "train", "fit", "--data", str(prepared), "--out", str(tmp_path / "run")]

    finished = subprocess.run(
        [*command, *options.split()], capture_output=True, text=True, check=True
    )

    assert finished.stdout.count("Kept epoch") == 1


def test_without_torchrun_there_is_one_process_that_does_everything() -> None:
    values = torch.arange(5)

    with distributed.joined(torch.device("cpu")) as device:
        assert device.type == "cpu"
        assert (distributed.count(), distributed.rank()) == (1, 0)
        assert torch.equal(distributed.share(values), values)
        assert torch.equal(distributed.gathered(values), values)


def test_more_processes_than_gpus_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    with (
        pytest.raises(ConfigError, match=r"more processes than this machine has GPUs \(2\)"),
        distributed.joined(torch.device("cuda")),
    ):
        pass


def test_a_batch_that_cannot_be_shared_evenly_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "count", lambda: 3)

    with pytest.raises(ConfigError, match="by 3 processes"):
        distributed.check_batch_size(64)
