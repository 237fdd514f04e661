"""Small prepared data that a narrow network learns in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import DatasetDict
from torch import nn

from train.config.faces import AlignConfig
from train.config.fit import FitConfig, override
from train.corpora import load_corpus
from train.faces.align_rows import PREPARED, align_rows


@pytest.fixture(autouse=True)
def hardware_with_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say that every machine has it, so that a training whose precision no test states is no other
    one on a machine that does."""
    monkeypatch.setattr("train.training.precision.in_hardware", lambda device: True)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces, aligned by their own landmarks, as ``python -m train prepare`` lays them out."""
    folder = tmp_path_factory.mktemp("prepared")
    corpus = load_corpus("synthetic", "150")
    splits = DatasetDict(
        {
            split: rows.map(
                lambda batch: align_rows(batch, AlignConfig()),
                batched=True,
                remove_columns=rows.column_names,
                features=PREPARED,
            )
            for split, rows in corpus.splits.items()
        }
    )
    splits.save_to_disk(str(folder / "synthetic"))
    return folder


@pytest.fixture
def tiny() -> Callable[..., FitConfig]:
    """Build a config that trains within seconds; keywords override its values."""

    def build(**values: object) -> FitConfig:
        small: dict[str, object] = {
            "corpora": ("synthetic",),
            "sizes": (32,),
            "epochs": (2,),
            "widths": (8, 8, 16, 16),
            "batch_size": 16,
            "class_weights": "none",
            "ema_decay": 0.9,
            "threads": 1,
            "precision": "float32",
        }
        return override(FitConfig(), **{**small, **values})

    return build


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


@contextmanager
def convolutions() -> Iterator[dict[bool, set[torch.dtype]]]:
    """Record in what convolutions answer: whether the network is in training mode -> types."""
    seen: dict[bool, set[torch.dtype]] = {True: set(), False: set()}

    def record(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            seen[module.training].add(output.dtype)

    handle = nn.modules.module.register_module_forward_hook(record)
    try:
        yield seen
    finally:
        handle.remove()
