from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from emotion.config import NetworkConfig
from emotion.errors import ConfigError, DataError, WeightsError
from emotion.network import EmotionNet
from emotion.weights import load_weights
from train.config.fit import FitConfig, override, to_json
from train.config.options import AugmentConfig
from train.faces.store import concatenate, read_split
from train.fit import fit
from train.scoring.inference import predict_logits
from train.training import trainer as loop
from train.training.data import TrainingData, read_data
from train.training.network import build_network
from train.training.sampling import ShuffledSource, build_source
from train.training.step import Step
from train.training.trainer import Trainer

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


def test_seven_classes_are_trained_and_scored_but_not_served(
    prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    out = tmp_path / "run"
    best = fit(tiny(neutral=True, label_smoothing=0.1, sampling="sqrt"), prepared, out)

    assert load_file(out / "model.safetensors")["fc.weight"].shape[0] == 7
    network = EmotionNet(NetworkConfig(**json.loads((out / "config.json").read_text()))).eval()
    network.load_state_dict(load_file(out / "model.safetensors"))
    held = read_data(tiny(neutral=True), prepared).validation["synthetic"]
    answers = predict_logits(network, held.faces, 32).argmax(1)
    assert best["accuracy"] == pytest.approx(
        float((answers == held.labels).float().mean()), abs=0.02
    )
    assert not (out / "calibration.json").exists()
    with pytest.raises(WeightsError, match=r"its labels are happiness.* fear, neutral, not"):
        load_weights(str(out))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    runs = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        fit(tiny(epochs=(1,), seed=seed), prepared, tmp_path / name)
        runs.append((tmp_path / name / "model.safetensors").read_bytes())

    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("checkpoint", ["epoch-0001", "epoch-0001-batch-000003"])
def test_a_killed_run_resumes_to_the_bitwise_same_result(
    checkpoint: str, prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    config = tiny(epochs=(3,), block_dropout=0.2, head_dropout=0.2)
    fit(config, prepared, tmp_path / "straight")
    if "batch" in checkpoint:  # one after every batch
        config = override(config, checkpoint_minutes=1e-9)
    values = json.dumps(to_json(config))
    code = (
        "import json, sys; from pathlib import Path; from train.config.fit import from_json; "
        "from train.fit import fit; "
        f"fit(from_json(json.loads({values!r})), Path({str(prepared)!r}), "
        f"Path({str(tmp_path / 'killed')!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    written = tmp_path / "killed" / "checkpoints"
    while not any(p.name >= checkpoint for p in written.glob("epoch*")) and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    newest = max(path.name for path in written.glob("epoch*"))
    assert checkpoint <= newest < "epoch-0003"

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
    few = faces.select(torch.cat([torch.nonzero(faces.labels == k)[:4, 0] for k in range(6)]))
    config = tiny(
        epochs=(14,),
        batch_size=24,
        lr=4e-3,
        label_smoothing=0.0,
        erase=0.0,
        block_dropout=0.0,
        head_dropout=0.0,
        widths=(16, 32, 64, 64),
    )
    data = TrainingData(concatenate([few] * 16), {"synthetic": few}, ())
    source = build_source(data.training, data.parts, config.data, config.seed)
    trainer = Trainer(config, build_network(config, data), source, data.validation, tmp_path)
    while not trainer.finished:
        trainer.epoch()

    logits = predict_logits(trainer.average.network, few.faces, 32)

    assert (logits.argmax(1) == few.labels).all()


def test_an_extra_loss_sees_features_and_logits_and_is_learnt(
    prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    config = tiny(epochs=(1,), lr=0.1, warmup_epochs=0.0)
    data = read_data(config, prepared)
    magnitudes = []
    for sign in (1, -1):
        seen: list[Step] = []

        def push(step: Step, sign: int = sign, seen: list[Step] = seen) -> torch.Tensor:
            seen.append(step)
            return 1000 * sign * step.features.square().mean()

        network = build_network(config, data)
        source = ShuffledSource(data.training, 16, config.seed)
        Trainer(config, network, source, data.validation, tmp_path, [push]).epoch()
        magnitudes.append(seen[-1].features.square().mean().item())

    assert magnitudes[0] < magnitudes[1] / 2
    assert seen[0].features.shape == (16, 16, 2, 2)
    assert seen[0].logits.shape == (16, 6)
    assert torch.equal(seen[0].rows, source.rows(0))


def test_correcting_imbalance_twice_warns(
    prepared: Path, tmp_path: Path, tiny: Tiny, caplog: pytest.LogCaptureFixture
) -> None:
    data = read_data(tiny(), prepared)
    for config, warns in (
        (tiny(sampling="uniform"), False),
        (tiny(sampling="uniform", class_weights="inverse"), True),
        (tiny(logit_adjustment=1.0, class_weights="sqrt"), True),
    ):
        caplog.clear()
        source = build_source(data.training, data.parts, config.data, config.seed)
        Trainer(config, build_network(config, data), source, data.validation, tmp_path)
        assert ("more than once" in caplog.text) == warns


def test_a_run_stops_early_when_the_last_stage_no_longer_improves(
    tmp_path: Path, prepared: Path, tiny: Tiny
) -> None:
    config = tiny(sizes=(24, 32), epochs=(3, 9), early_stopping=2)
    data = read_data(config, prepared)
    source = build_source(data.training, data.parts, config.data, config.seed)
    trainer = Trainer(config, build_network(config, data), source, data.validation, tmp_path)

    def after(*scores: float) -> bool:
        sizes = [24] * 3 + [32] * 9
        trainer.history = [
            {"epoch": number, "size": size, "macro_f1": score}
            for number, (size, score) in enumerate(zip(sizes, scores, strict=False), 1)
        ]
        return trainer.finished

    assert not after(0.5, 0.4, 0.3)  # an earlier stage does not count
    assert not after(0.5, 0.4, 0.3, 0.2, 0.1)
    assert after(0.5, 0.4, 0.3, 0.2, 0.1, 0.1)
    assert not after(0.5, 0.4, 0.3, 0.2, 0.1, 0.3, 0.2)
    assert after(*[0.1 * number for number in range(12)])


def test_an_option_of_every_kind_trains_together(
    prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    config = tiny(
        epochs=(1,),
        backbone="cnn",
        widths=(4, 4, 8, 8),
        optimizer="sgd",
        schedule="warm_restarts",
        class_weights="dynamic",
        focal_gamma=1.0,
        brier_term=True,
        attention_consistency=5.0,
        degrade=0.5,
        mixup=0.2,
        cutmix=1.0,
    )

    fit(config, prepared, tmp_path / "run")

    assert load_weights(str(tmp_path / "run")).config.backbone == "cnn"


def test_stages_train_at_their_own_size(prepared: Path, tmp_path: Path, tiny: Tiny) -> None:
    fit(tiny(sizes=(24, 32), epochs=(1, 1)), prepared, tmp_path / "run")

    assert [line["size"] for line in log(tmp_path / "run")] == [24, 32]


def test_a_loss_that_is_not_a_number_stops_the_run_and_names_the_batch(
    prepared: Path, tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(epochs=(2,))
    fit(tiny(epochs=(1,)), prepared, tmp_path / "reference")
    augment = loop.augment

    def poisoned(
        faces: torch.Tensor, size: int, config: AugmentConfig, generator: torch.Generator
    ) -> torch.Tensor:
        crops = augment(faces, size, config, generator)
        return crops * float("nan") if (tmp_path / "run" / "checkpoints").exists() else crops

    monkeypatch.setattr(loop, "augment", poisoned)

    with pytest.raises(DataError, match="batch 0 of epoch 2"):
        fit(config, prepared, tmp_path / "run")

    assert (tmp_path / "run" / "checkpoints" / "epoch-0001").is_dir()
    load_weights(str(tmp_path / "run"))


def test_a_gradient_that_is_not_finite_in_the_last_step_changes_no_weight_and_is_not_saved(
    prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    config = tiny(epochs=(1,))
    data = read_data(config, prepared)
    network = build_network(config, data)
    source = ShuffledSource(data.training, 16, config.seed)
    before: dict[str, torch.Tensor] = {}

    def edge(step: Step) -> torch.Tensor:
        """A loss of 0 whose gradient, at the edge of the root, is no number."""
        last = torch.equal(step.rows, source.rows(source.steps - 1))
        before.update({k: v.detach().clone() for k, v in network.named_parameters()})
        return (step.logits * 0).square().sum().sqrt() if last else step.logits.sum() * 0

    trainer = Trainer(config, network, source, data.validation, tmp_path, [edge])

    with pytest.raises(DataError, match=f"gradient became nan in batch {source.steps - 1}"):
        trainer.epoch()

    assert all(torch.equal(v, before[k]) for k, v in network.named_parameters())
    assert not (tmp_path / "checkpoints").exists()


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


@pytest.mark.parametrize(
    "values",
    [
        {"sizes": (32, 64), "epochs": (1,)},
        {"sizes": (8,), "epochs": (1,)},
        {"sizes": (), "epochs": ()},
        {"lr": 0.0},
        {"batch_size": 1},
        {"ema_decay": 1.0},
        {"neutral": True, "annotation": "mean"},
    ],
)
def test_impossible_options_are_refused(tiny: Tiny, values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        tiny(**values)
