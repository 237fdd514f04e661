from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from emotion.errors import ConfigError, DataError
from emotion.weights import load_weights
from train import loop
from train.config import FitConfig
from train.loop import fit, predict_logits
from train.store import FaceStore, hold_out, read_split

Tiny = Callable[..., FitConfig]


def log(run: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    for line in lines:  # the only values that depend on the machine
        line.pop("seconds")
        line.pop("images_per_second")
    return lines


def test_a_run_leaves_weights_that_can_be_served(
    prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    best = fit(tiny(), prepared, tmp_path / "run")

    network = load_weights(str(tmp_path / "run"))
    assert network.config.trained_on == ("synthetic/train",)
    assert network.config.temperature != 1.0
    faces = read_split(prepared, "synthetic", "train").faces.double() / 255
    assert network.config.mean == pytest.approx(float(faces.mean()), abs=1e-4)
    assert network.config.std == pytest.approx(float(faces.std()), abs=1e-4)
    assert [line["epoch"] for line in log(tmp_path / "run")] == [1, 2]
    assert best["epoch"] in (1, 2)
    assert not list((tmp_path / "run").glob(".*"))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    runs = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        fit(tiny(epochs=(1,), seed=seed), prepared, tmp_path / name)
        runs.append((tmp_path / name / "model.safetensors").read_bytes())

    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_a_killed_run_resumes_to_the_bitwise_same_result(
    prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    config = tiny(epochs=(3,), block_dropout=0.2, head_dropout=0.2)
    fit(config, prepared, tmp_path / "straight")
    values = json.dumps(asdict(config))
    code = (
        "import json, sys; from pathlib import Path; from train.config import FitConfig; "
        "from train.loop import fit; "
        f"fit(FitConfig(**json.loads({values!r})), Path({str(prepared)!r}), "
        f"Path({str(tmp_path / 'killed')!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    log_file = tmp_path / "killed" / "checkpoints" / "epoch-0001"
    while not log_file.exists() and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    fit(config, prepared, tmp_path / "killed", resume=True)

    for name in ("model.safetensors", "config.json"):
        straight, killed = (tmp_path / run / name for run in ("straight", "killed"))
        assert straight.read_bytes() == killed.read_bytes()
    assert log(tmp_path / "straight") == log(tmp_path / "killed")
    a, b = (
        load_file(tmp_path / run / "checkpoints" / "epoch-0003" / "state.safetensors")
        for run in ("straight", "killed")
    )
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_twenty_four_faces_are_learnt_by_heart(prepared: Path, tmp_path: Path, tiny: Tiny) -> None:
    faces = read_split(prepared, "synthetic", "train")
    chosen = torch.cat([torch.nonzero(faces.labels == k)[:4, 0] for k in range(6)])
    few = FaceStore(faces.faces[chosen], faces.labels[chosen], faces.found[chosen])
    epochs = 150
    config = tiny(
        epochs=(epochs,),
        batch_size=24,
        lr=4e-3,
        label_smoothing=0.0,
        erase=0.0,
        block_dropout=0.0,
        head_dropout=0.0,
        widths=(16, 32, 64, 64),
    )
    run = loop._Run(config, few, {"synthetic": few}, tmp_path)
    for epoch in range(epochs):
        run._train(epoch, 32)

    logits = predict_logits(run.average.network, few.faces, 32)

    assert (logits.argmax(1) == few.labels).all()


def test_stages_train_at_their_own_size(prepared: Path, tmp_path: Path, tiny: Tiny) -> None:
    fit(tiny(sizes=(24, 32), epochs=(1, 1)), prepared, tmp_path / "run")

    assert [line["size"] for line in log(tmp_path / "run")] == [24, 32]


def test_a_loss_that_is_not_a_number_stops_the_run_and_names_the_batch(
    prepared: Path, tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(epochs=(2,))
    fit(tiny(epochs=(1,)), prepared, tmp_path / "reference")
    augment = loop.augment

    def poisoned(faces: torch.Tensor, size: int, erase: float, generator: torch.Generator):  # type: ignore[no-untyped-def]
        crops = augment(faces, size, erase, generator)
        return crops * float("nan") if (tmp_path / "run" / "checkpoints").exists() else crops

    monkeypatch.setattr(loop, "augment", poisoned)

    with pytest.raises(DataError, match="batch 0 of epoch 2"):
        fit(config, prepared, tmp_path / "run")

    assert (tmp_path / "run" / "checkpoints" / "epoch-0001").is_dir()
    load_weights(str(tmp_path / "run"))


def test_a_second_run_in_the_same_folder_needs_resume_and_the_same_options(
    prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    fit(tiny(epochs=(1,)), prepared, tmp_path)

    with pytest.raises(ConfigError, match="--resume"):
        fit(tiny(epochs=(1,)), prepared, tmp_path)
    with pytest.raises(ConfigError, match="other options"):
        fit(tiny(epochs=(1,), lr=0.5), prepared, tmp_path, resume=True)


def test_data_that_were_not_prepared_are_named(tmp_path: Path, prepared: Path, tiny: Tiny) -> None:
    with pytest.raises(DataError, match="train prepare"):
        fit(tiny(corpora=("fer2013",)), prepared, tmp_path / "run")
    with pytest.raises(DataError, match="no split"):
        read_split(prepared, "synthetic", "holiday")


def test_too_few_images_for_a_batch_are_named(prepared: Path, tmp_path: Path, tiny: Tiny) -> None:
    with pytest.raises(DataError, match="batch"):
        fit(tiny(batch_size=5000), prepared, tmp_path)


@pytest.mark.parametrize(
    "values",
    [
        {"sizes": (32, 64), "epochs": (1,)},
        {"sizes": (8,), "epochs": (1,)},
        {"sizes": (), "epochs": ()},
        {"lr": 0.0},
        {"batch_size": 1},
        {"ema_decay": 1.0},
    ],
)
def test_impossible_options_are_refused(tiny: Tiny, values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        tiny(**values)


def test_holding_out_is_stratified_disjoint_and_repeatable() -> None:
    labels = torch.tensor([0] * 100 + [1] * 30 + [4] * 10)
    faces = torch.arange(140, dtype=torch.uint8)[:, None, None].expand(140, 64, 64)
    store = FaceStore(faces, labels, torch.ones(140, dtype=torch.bool))

    rest, held = hold_out(store, 0.1, seed=3)

    assert held.counts(6).tolist() == [10, 3, 0, 0, 1, 0]
    assert rest.counts(6).tolist() == [90, 27, 0, 0, 9, 0]
    ids = [set(part.faces[:, 0, 0].tolist()) for part in (rest, held)]
    assert not ids[0] & ids[1]
    assert torch.equal(hold_out(store, 0.1, seed=3)[1].faces, held.faces)
