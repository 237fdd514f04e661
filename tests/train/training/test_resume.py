"""Runs that die at any moment, and disks that fill up."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from emotion.errors import ConfigError, DataError
from emotion.weights import load_weights
from train.config.fit import FitConfig, override, to_json
from train.fit import fit
from train.training import checkpoint
from train.training.data import read_data
from train.training.sampling import ShuffledSource

Tiny = Callable[..., FitConfig]

# Forks a process per life; importing everything anew fifty times would take minutes. The parent
# itself never trains, since autograd does not survive a fork.
_LIVES = """
import json, os, random, signal, sys, time
from pathlib import Path
from train.config.fit import from_json
from train.fit import fit

config = from_json(json.loads(sys.argv[1]))
data, out, kills = Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
checkpoints = out / "checkpoints"
random.seed(1)

def newest():
    return max((path.name for path in checkpoints.glob("epoch-*")), default="")

for life in range(kills + 1):
    before = newest()
    child = os.fork()
    if not child:
        try:
            fit(config, data, out, resume=(out / "fit.json").exists())
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    if life < kills:
        while newest() == before:
            if os.waitpid(child, os.WNOHANG)[0]:
                sys.exit(f"life {life} ended before it was killed")
            time.sleep(0.002)
        time.sleep(random.random() * 0.15)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    ended = signal.SIGKILL if life < kills else 0
    assert status == ended, (life, status)
"""


def log(run: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text("utf-8").splitlines()]
    machine = ("seconds", "images_per_second")
    return [{k: v for k, v in line.items() if k not in machine} for line in lines]


def last_state(run: Path) -> Path:
    return max((run / "checkpoints").glob("epoch-*")) / "state.safetensors"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_kills_at_random_moments_change_not_a_bit(
    prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    # A checkpoint after each of 360 batches: every life gets a few further, seven where the machine
    # is fast, and most of the kills fall into a save.
    config = tiny(sizes=(16, 24), epochs=(50, 10), widths=(8, 8, 8, 8), checkpoint_minutes=1e-9)
    fit(override(config, checkpoint_minutes=0.0), prepared, tmp_path / "straight")
    command = [sys.executable, "-c", _LIVES, json.dumps(to_json(config)), str(prepared)]

    subprocess.run([*command, str(tmp_path / "killed"), "50"], check=True)

    straight, killed = tmp_path / "straight", tmp_path / "killed"
    for name in ("model.safetensors", "config.json"):
        assert (straight / name).read_bytes() == (killed / name).read_bytes()
    assert last_state(straight).read_bytes() == last_state(killed).read_bytes()
    assert log(straight) == log(killed)
    assert not list(killed.rglob(".*partial*"))


def test_a_damaged_newest_checkpoint_costs_an_epoch_and_changes_nothing(
    prepared: Path, tmp_path: Path, tiny: Tiny, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny(sizes=(16,), epochs=(3,), widths=(8, 8, 8, 8))
    fit(config, prepared, tmp_path)
    model, state = (tmp_path / "model.safetensors").read_bytes(), last_state(tmp_path).read_bytes()
    last_state(tmp_path).write_bytes(state[:-100])

    fit(config, prepared, tmp_path, resume=True)

    assert "epoch-0003 is damaged" in caplog.text
    assert (tmp_path / "model.safetensors").read_bytes() == model
    assert last_state(tmp_path).read_bytes() == state


def test_what_a_killed_process_left_half_written_is_removed(
    prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    config = tiny(sizes=(16,), epochs=(1,), widths=(8, 8, 8, 8))
    fit(config, prepared, tmp_path)
    (tmp_path / ".config.json.1234567.partial").write_text("{")

    fit(config, prepared, tmp_path, resume=True)

    assert not list(tmp_path.glob(".*.partial"))


def test_a_checkpoint_of_other_data_is_refused(prepared: Path, tmp_path: Path, tiny: Tiny) -> None:
    config = tiny(sizes=(16,), epochs=(1,), widths=(8, 8, 8, 8))
    fit(config, prepared, tmp_path)
    saved = checkpoint.load_newest(tmp_path / "checkpoints")
    assert saved is not None
    few = read_data(override(config, limit=40), prepared).training

    with pytest.raises(DataError, match="other prepared data"):
        ShuffledSource(few, 16, config.seed).restore({"plan": saved.tensors["source.plan"]})


def test_a_checkpoint_of_another_network_is_refused(
    prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    config = tiny(sizes=(16,), epochs=(1,), widths=(8, 8, 8, 8))
    fit(config, prepared, tmp_path)
    wider = override(config, widths=(8, 8, 8, 16))
    (tmp_path / "fit.json").write_text(json.dumps(to_json(wider)), "utf-8")

    with pytest.raises(ConfigError, match="another network"):
        fit(wider, prepared, tmp_path, resume=True)


@contextmanager
def full_disk(free: int) -> Iterator[None]:
    """Let no file grow beyond ``free`` bytes, as a full disk would."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("free", [100, 4000, 30_000])
def test_a_full_disk_is_a_sentence_and_loses_nothing(
    free: int,
    prepared: Path,
    tmp_path: Path,
    tiny: Tiny,
    capsys: pytest.CaptureFixture[str],  # keeps what is printed in memory, not in a file
) -> None:
    config = tiny(sizes=(16,), epochs=(1,), widths=(8, 8, 8, 8))
    fit(config, prepared, tmp_path / "run")
    longer = override(config, epochs=(2,))
    saved = tmp_path / "run" / "fit.json"
    saved.write_text(json.dumps(to_json(longer)), "utf-8")
    model = (tmp_path / "run" / "model.safetensors").read_bytes()

    with full_disk(free), pytest.raises(DataError, match="File too large"):
        fit(longer, prepared, tmp_path / "run", resume=True)

    assert (tmp_path / "run" / "model.safetensors").read_bytes() == model
    assert last_state(tmp_path / "run").parent.name == "epoch-0001"
    load_weights(str(tmp_path / "run"))
    fit(longer, prepared, tmp_path / "run", resume=True)
    assert last_state(tmp_path / "run").parent.name == "epoch-0002"


def test_a_folder_that_cannot_be_written_is_a_sentence(
    prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(DataError, match="cannot be written"):
        fit(tiny(), prepared, tmp_path / "file" / "run")
