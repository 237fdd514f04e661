from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from tests.train.domains.conftest import draw, gather
from train.build import build_network
from train.config import FitConfig, override
from train.data import TrainingData
from train.domains.progressive import LOG, ProgressiveTrainer
from train.loop import Trainer
from train.store import FaceStore

Small = Callable[..., FitConfig]


def poisoned(store: FaceStore) -> FaceStore:
    return replace(store, labels=(store.labels + 3) % 6)


def start(config: FitConfig, data: TrainingData, out: Path) -> ProgressiveTrainer:
    network = build_network(config, data)
    return ProgressiveTrainer(config, network, data, out, torch.device("cpu"))


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


def test_a_poisoned_group_is_rejected_and_leaves_no_trace_in_the_weights(
    tmp_path: Path, small: Small
) -> None:
    data = gather({"fer2013": draw(96, 0, 1), "raf-db": poisoned(draw(96, 4, 2))}, draw(180, 0, 3))
    config = small(
        corpora=("fer2013", "raf-db"), relevance_thresholds=(-2.0,), target_epochs=3, epochs=(5,)
    )
    tried = finish(start(config, data, tmp_path / "tried"))
    never = override(config, relevance_thresholds=(5.0,))
    untouched = finish(start(never, data, tmp_path / "never"))

    assert [line["state"] for line in log(tmp_path / "tried", "group")] == ["rejected"]
    assert log(tmp_path / "never", "group")[0]["state"] == "empty"
    assert len(tried.history) == len(untouched.history) + 1
    assert equal(tried, untouched)
