from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from emotion.errors import ConfigError, DataError
from tests.train.domains.conftest import draw, gather
from train.cli import main
from train.config.fit import FitConfig, override
from train.domains.progressive.trainer import LOG, ProgressiveTrainer
from train.faces.store import FaceStore
from train.trainers import build_trainer
from train.training.data import TrainingData
from train.training.network import build_network
from train.training.trainer import Trainer

Small = Callable[..., FitConfig]
CPU = torch.device("cpu")


def poisoned(store: FaceStore) -> FaceStore:
    return replace(store, labels=(store.labels + 3) % 6)


def start(config: FitConfig, data: TrainingData, out: Path) -> ProgressiveTrainer:
    return ProgressiveTrainer(config, build_network(config, data), data, out, CPU)


def finish(trainer: Trainer) -> Trainer:
    while not trainer.finished:
        trainer.epoch()
    return trainer


def log(out: Path, event: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (out / LOG).read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def equal(a: Trainer, b: Trainer) -> bool:
    """Whether network, average and optimiser are bitwise the same."""
    first, second = (trainer.snapshot().tensors for trainer in (a, b))
    names = [name for name in first if not name.startswith("source.")]
    return all(torch.equal(first[name], second[name]) for name in names)


def test_a_poisoned_group_is_rejected_without_a_trace_and_mixing_it_in_is_worse(
    tmp_path: Path, small: Small
) -> None:
    data = gather(
        {"fer2013": draw(192, 0, 1), "raf-db": poisoned(draw(192, 0, 2))}, draw(180, 0, 3)
    )
    config = small(corpora=("fer2013", "raf-db"), relevance_thresholds=(-2.0,))

    tried = finish(start(config, data, tmp_path / "tried"))
    never = override(config, relevance_thresholds=(5.0,))
    untouched = finish(start(never, data, tmp_path / "never"))
    union = finish(build_trainer(override(config, method="none"), data, tmp_path / "union", CPU))

    assert [line["state"] for line in log(tmp_path / "tried", "group")] == ["rejected"]
    assert [line["state"] for line in log(tmp_path / "never", "group")] == ["empty"]
    assert len(tried.history) == len(untouched.history) + 1
    assert equal(tried, untouched)
    assert tried.best["macro_f1"] > union.best["macro_f1"]
    # Relevance alone would have told: every shard looks like another class.
    assert all(line["relevance"] < 0 for line in log(tmp_path / "tried", "shard"))


def test_related_domains_are_accepted_and_no_worse_than_all_at_once(
    tmp_path: Path, small: Small
) -> None:
    data = gather(
        {
            "fer2013": draw(60, 0, 1, noise=160),
            "raf-db": draw(120, 2, 2, noise=160),
            "affectnet": draw(120, 4, 4, noise=160).select(torch.arange(120) % 6 != 4),
        },
        draw(180, 0, 3, noise=160),
    )  # affectnet has no disgust
    config = small(epochs=(6,), relevance_thresholds=(0.0,))

    trainer = finish(start(config, data, tmp_path / "run"))
    union = finish(build_trainer(override(config, method="none"), data, tmp_path / "union", CPU))

    groups = log(tmp_path / "run", "group")
    assert [group["corpus"] for group in groups] == ["raf-db", "affectnet"]
    assert "accepted" in [group["state"] for group in groups]
    assert trainer.best["macro_f1"] >= union.best["macro_f1"] - 0.01
    assert trainer.best["epoch"] > 2 + 2 * len(groups)  # a trial's weights are never kept
    memory = log(tmp_path / "run", "memory")[-1]
    assert 0 < memory["images"] <= config.adaptation.memory
    shards = [line["name"] for line in log(tmp_path / "run", "shard")]
    assert "raf-db/disgust/0" in shards
    assert "affectnet/disgust/0" not in shards


def test_a_run_that_stops_after_every_epoch_gives_bitwise_the_same(
    tmp_path: Path, small: Small
) -> None:
    data = gather(
        {
            "fer2013": draw(72, 0, 1),
            "raf-db": poisoned(draw(48, 0, 2)),
            "affectnet": draw(48, 3, 4),
        },
        draw(60, 0, 3),
    )
    config = small(epochs=(4,), target_epochs=1, relevance_thresholds=(-2.0,), tolerance=0.02)
    straight = finish(start(config, data, tmp_path / "straight"))

    stopped = start(config, data, tmp_path / "stopped")
    while not stopped.finished:
        stopped.epoch()
        stopped = start(config, data, tmp_path / "stopped")
        stopped.resume()

    assert equal(straight, stopped)
    logs = [(tmp_path / run / LOG).read_text() for run in ("straight", "stopped")]
    assert logs[0] == logs[1]
    weights = [
        (tmp_path / run / "model.safetensors").read_bytes() for run in ("straight", "stopped")
    ]
    assert weights[0] == weights[1]


def test_an_epoch_that_was_interrupted_goes_on_in_the_same_branch(
    tmp_path: Path, small: Small
) -> None:
    data = gather({"fer2013": draw(72, 0, 1), "raf-db": draw(48, 2, 2)}, draw(60, 0, 3))
    config = small(corpora=("fer2013", "raf-db"), epochs=(3,), relevance_thresholds=(-2.0,))
    config = override(config, target_epochs=1)
    first = start(config, data, tmp_path / "first")
    first.epoch()
    first.epoch()  # the branch without the group
    first.settle()
    first.progress.begin_epoch(first.clock)
    saved = first.snapshot()

    second = start(config, data, tmp_path / "second")
    second.restore(saved)

    assert second.progress.trial is not None
    assert second.progress.trial.branch == "trial"
    assert second.clock == first.clock == 1
    for index in range(first.progress.steps):
        assert torch.equal(second.progress.rows(index), first.progress.rows(index))


def test_groups_stay_out_when_no_epoch_is_left(
    tmp_path: Path, small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    data = gather({"fer2013": draw(72, 0, 1), "raf-db": draw(48, 2, 2)}, draw(60, 0, 3))
    config = small(corpora=("fer2013", "raf-db"), epochs=(2,), target_epochs=1, memory=0)

    finish(start(config, data, tmp_path))

    assert "untried" in [line["state"] for line in log(tmp_path, "group")]
    assert "--epochs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"epochs": (2,)}, "--epochs"),
        ({"sampling": "sqrt"}, "--sampling"),
        ({"mixup": 0.2}, "--mixup"),
        ({"neutral": True}, "--neutral"),
        ({"calm_weight": 0.5}, "--calm-weight"),
        ({"heads": True}, "--heads"),
        ({"schedule": "plateau"}, "--schedule"),
    ],
)
def test_options_that_cannot_work_together_are_named(
    tmp_path: Path, small: Small, options: dict[str, object], named: str
) -> None:
    data = gather({"fer2013": draw(72, 0, 1), "raf-db": draw(48, 2, 2)}, draw(60, 0, 3))

    with pytest.raises(ConfigError, match=named):
        build_trainer(small(corpora=("fer2013", "raf-db"), **options), data, tmp_path, CPU)


def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path, small: Small) -> None:
    config = small(corpora=("fer2013", "raf-db"))
    first, second = (
        gather({"fer2013": draw(72, 0, 1), "raf-db": draw(count, 2, 2)}, draw(60, 0, 3))
        for count in (48, 54)
    )
    state = start(config, first, tmp_path).progress.state()

    with pytest.raises(DataError, match="other prepared data"):
        start(config, second, tmp_path).progress.restore(state)


def test_the_command_line_trains_progressively_and_says_when_there_is_one_corpus(
    three_corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        *("--widths", "8", "8", "16", "16", "--sizes", "32", "--batch-size", "24"),
        *("--target-epochs", "1", "--final-epochs", "1", "--shards", "2", "--threads", "1"),
        *("--relevance-thresholds", "-2", "--data", str(three_corpora)),
    ]
    fit = ["fit", "--recipe", "progressive", *options]

    assert main([*fit, "--out", str(tmp_path / "three"), "--epochs", "3"]) == 0
    assert {"accepted", "rejected"} & {line["state"] for line in log(tmp_path / "three", "group")}
    one = ["--out", str(tmp_path / "one"), "--epochs", "2", "--corpora", "fer2013"]
    assert main([*fit, *one]) == 0

    assert "only corpus" in capsys.readouterr().out
    assert not (tmp_path / "one" / LOG).exists()
