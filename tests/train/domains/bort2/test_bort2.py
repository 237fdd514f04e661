from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy.typing as npt
import pytest
import torch
from PIL import Image

from emotion.errors import ConfigError
from emotion.weights import load_weights
from tests.train.domains.conftest import TINY, draw, gather
from train.cli import main
from train.config.fit import FitConfig, override
from train.domains.bort2 import labeller as labeller_module
from train.domains.bort2.trainer import Bort2Trainer
from train.faces.store import FaceStore
from train.scoring.inference import predict_logits
from train.trainers import build_trainer
from train.training.data import TrainingData

CPU = torch.device("cpu")


@pytest.fixture
def gentle(weights: Path) -> Callable[..., FitConfig]:
    """Build a config that trains the weights once more; keywords override its values."""

    def build(**values: object) -> FitConfig:
        own: dict[str, object] = {
            "method": "bort2",
            "corpora": ("fer2013",),
            "init": str(weights),
            "epochs": (2,),
            "lr": 1e-3,
            "fixed_epochs": 0,
            "bilevel_every": 3,
        }
        return override(FitConfig(), **{**TINY, **own, **values})

    return build


Gentle = Callable[..., FitConfig]


def shifted() -> TrainingData:
    """A target that the weights know badly."""
    return gather({"fer2013": draw(192, 8, 7)}, draw(180, 8, 8))


def mislabelled() -> TrainingData:
    """The same, with three of ten labels wrong."""
    data = shifted()
    labels = data.training.labels
    wrong = torch.rand(len(labels), generator=torch.Generator().manual_seed(0)) < 0.3
    labels = torch.where(wrong, (labels + 3) % 6, labels)
    return replace(data, training=replace(data.training, labels=labels))


def start(config: FitConfig, data: TrainingData, out: Path) -> Bort2Trainer:
    trainer = build_trainer(config, data, out, CPU)
    assert isinstance(trainer, Bort2Trainer)
    return trainer


def accuracy(network: torch.nn.Module, faces: FaceStore) -> float:
    predicted = predict_logits(network, faces.faces, 32).argmax(1)
    return float((predicted == faces.labels).float().mean())


def hazy() -> TrainingData:
    """A target in whose noise the weights err now and then."""
    return gather({"fer2013": draw(192, 0, 7, noise=200)}, draw(180, 0, 8, noise=200))


@pytest.mark.parametrize(
    ("mode", "target", "lr"),
    [("unsupervised", hazy, 3e-4), ("blend", mislabelled, 1e-3)],
)
def test_the_student_is_no_worse_than_its_labeller(
    mode: str,
    target: Callable[[], TrainingData],
    lr: float,
    weights: Path,
    tmp_path: Path,
    gentle: Gentle,
) -> None:
    data = target()
    before = accuracy(load_weights(str(weights)), data.validation["fer2013"])
    trainer = start(gentle(mode=mode, lr=lr), data, tmp_path)
    while not trainer.finished:
        trainer.epoch()

    assert 0.4 < before < 0.9
    assert accuracy(trainer.average.network, data.validation["fer2013"]) >= before - 0.01
    said = trainer.history[-1]["bort2"]
    assert said["labeller_steps"] > 0
    assert said["labeller_steps_skipped"] == 0
    assert said["hypergradient_norm"] > 0
    assert 0 < said["believed"] < 1
    assert load_weights(str(tmp_path)).config.widths == (8, 8, 16, 16)  # what is served


def test_a_stopped_run_goes_on_bitwise_with_its_labeller(tmp_path: Path, gentle: Gentle) -> None:
    config, data = gentle(neumann_terms=1), shifted()
    straight = start(config, data, tmp_path / "straight")
    straight.epoch()
    straight.epoch()
    stopped = start(config, data, tmp_path / "stopped")
    stopped.epoch()
    stopped = start(config, data, tmp_path / "stopped")
    stopped.resume()
    stopped.epoch()

    first, second = (trainer.snapshot().tensors for trainer in (straight, stopped))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name].nan_to_num(), second[name].nan_to_num()) for name in first)
    assert any(name.startswith("source.labeller.") for name in first)


def test_the_labeller_stays_for_the_fixed_epochs_and_then_learns(
    tmp_path: Path, gentle: Gentle
) -> None:
    trainer = start(gentle(fixed_epochs=1), shifted(), tmp_path)
    states = []
    for _ in range(2):
        states.append({k: v.clone() for k, v in trainer.labels.labeller.state().items()})
        trainer.epoch()
    states.append(trainer.labels.labeller.state())

    def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], part: str) -> bool:
        return all(torch.equal(a[name], b[name]) for name in a if part in name)

    assert same(states[0], states[1], "labeller.")
    assert not same(states[1], states[2], "labeller.fc")
    assert same(states[1], states[2], "labeller.layer1")
    assert same(states[1], states[2], "running_mean")


def test_a_hypergradient_that_is_not_a_number_is_skipped_and_counted(
    tmp_path: Path, gentle: Gentle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **options: object) -> list[torch.Tensor]:
        outer = arguments[3]
        assert isinstance(outer, list)
        return [torch.full_like(parameter, float("nan")) for parameter in outer]

    monkeypatch.setattr(labeller_module, "hypergradient", broken)
    trainer = start(gentle(epochs=(1,)), shifted(), tmp_path)
    before = {k: v.clone() for k, v in trainer.labels.labeller.network.state_dict().items()}
    trainer.epoch()

    after = trainer.labels.labeller.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert trainer.history[-1]["bort2"]["labeller_steps_skipped"] > 0
    assert trainer.history[-1]["bort2"]["labeller_steps"] == 0


def test_classes_that_the_labeller_never_finds_are_named(
    tmp_path: Path, gentle: Gentle, capsys: pytest.CaptureFixture[str]
) -> None:
    dark = draw(192, 0, 7).select(torch.arange(192) % 6 >= 3)

    start(gentle(mode="unsupervised"), gather({"fer2013": dark}, draw(60, 0, 8)), tmp_path)

    assert "happiness, surprise, sadness" in capsys.readouterr().out


def test_without_weights_or_clips_the_options_are_named(tmp_path: Path, gentle: Gentle) -> None:
    with pytest.raises(ConfigError, match="--init"):
        start(gentle(init=""), shifted(), tmp_path)
    with pytest.raises(ConfigError, match="--clips"):
        start(gentle(mode="video"), shifted(), tmp_path)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"calm_weight": 0.5}, "--calm-weight"),
        ({"heads": True, "corpora": ("fer2013", "raf-db")}, "--heads"),
    ],
)
def test_outputs_that_the_student_would_not_learn_are_refused(
    tmp_path: Path, gentle: Gentle, options: dict[str, object], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        start(gentle(**options), shifted(), tmp_path)


def test_frozen_stages_of_the_student_stay(tmp_path: Path, gentle: Gentle) -> None:
    trainer = start(gentle(frozen_stages=2, epochs=(1,)), shifted(), tmp_path)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}

    trainer.epoch()

    after = trainer.network.state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"block3", "block4", "fc", "spread"}


def test_the_command_line_learns_from_pictures_of_a_person(
    three_corpora: Path,
    weights: Path,
    tmp_path: Path,
    astronaut: npt.NDArray,
    hopper: npt.NDArray,
) -> None:
    (tmp_path / "clips").mkdir()
    for name, photo in (("a", astronaut), ("b", hopper)):
        Image.fromarray(photo).save(tmp_path / "clips" / f"{name}.png")

    code = main(
        [
            *("fit", "--recipe", "bort2", "--data", str(three_corpora), "--init", str(weights)),
            *("--out", str(tmp_path / "run"), "--mode", "video"),
            *("--clips", str(tmp_path / "clips"), "--batch-size", "2", "--epochs", "1"),
            *("--sizes", "32", "--widths", "8", "8", "16", "16", "--threads", "1"),
        ]
    )

    assert code == 0
    assert load_weights(str(tmp_path / "run")).config.trained_on == ("fer2013/train", "clips/all")
