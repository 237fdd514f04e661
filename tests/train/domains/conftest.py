"""Six classes that a tiny network learns in seconds, in domains that differ by a shift."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from datasets import Dataset, DatasetDict

from train.config.fit import FitConfig, override
from train.faces.store import FaceStore, concatenate
from train.trainers import build_trainer
from train.training.data import TrainingData

TINY: dict[str, object] = {
    "sizes": (32,),
    "warmup_epochs": 0.5,
    # Half of the classes differ by light alone, which a crop's own mean would take away.
    "standardise": "corpus",
    "widths": (8, 8, 16, 16),
    "block_dropout": 0.0,
    "head_dropout": 0.0,
    "erase": 0.0,
    "batch_size": 24,
    "lr": 8e-3,
    "label_smoothing": 0.0,
    "class_weights": "none",
    "ema_decay": 0.8,
    "threads": 1,
    "precision": "float32",
}


def draw(count: int, shift: float, seed: int, noise: float = 60.0) -> FaceStore:
    """Draw two bright or dark spots at one of three heights, in noise.

    Args:
        count: number of pictures.
        shift: by how many px all heights differ from those of the target: the domain.
        seed: of heights and noise.
        noise: its deviation in grey levels.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 6
    y = 14.0 + 18 * (labels % 3) + shift + 3 * torch.randn(count, generator=generator)
    line = torch.arange(64.0)
    rows = torch.exp(-((line - y[:, None]) ** 2) / 60)
    columns = torch.exp(-((line - 20) ** 2) / 60) + torch.exp(-((line - 43) ** 2) / 60)
    sign = torch.where(labels < 3, 100.0, -100.0)
    faces = 128 + sign[:, None, None] * rows[:, :, None] * columns
    faces += noise * torch.randn(faces.shape, generator=generator)
    return FaceStore(faces.clamp(0, 255).byte(), labels, torch.ones(count, dtype=torch.bool))


def gather(stores: dict[str, FaceStore], validation: FaceStore) -> TrainingData:
    """Put corpora together as ``read_data`` does; the first one is the target."""
    parts, first = {}, 0
    for corpus, store in stores.items():
        parts[corpus] = range(first, first + len(store))
        first += len(store)
    splits = tuple(f"{corpus}/train" for corpus in stores)
    target = next(iter(stores))
    return TrainingData(
        concatenate(list(stores.values())), {target: validation}, splits, parts=parts
    )


@pytest.fixture
def small() -> Callable[..., FitConfig]:
    """Build a progressive config that trains within seconds; keywords override its values."""

    def build(**values: object) -> FitConfig:
        return override(
            FitConfig(),
            **{
                **TINY,
                "method": "progressive",
                "corpora": ("fer2013", "raf-db", "affectnet"),
                "epochs": (4,),
                "target_epochs": 2,
                "final_epochs": 1,
                "shards": 2,
                "relevance_thresholds": (0.3, -2.0),
                "memory": 60,
                **values,
            },
        )

    return build


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learnt the domain without a shift."""
    out = tmp_path_factory.mktemp("weights")
    data = gather({"fer2013": draw(240, 0, 1)}, draw(120, 0, 2))
    config = override(FitConfig(), **{**TINY, "corpora": ("fer2013",), "epochs": (3,)})
    trainer = build_trainer(config, data, out, torch.device("cpu"))
    while not trainer.finished:
        trainer.epoch()
    return out


@pytest.fixture(scope="session")
def three_corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three corpora, as ``python -m train prepare`` lays them out."""
    folder = tmp_path_factory.mktemp("three")
    for corpus, shift, splits in (
        ("fer2013", 0.0, {"train": 144, "public": 120}),
        ("raf-db", 3.0, {"train": 160}),
        ("affectnet", 6.0, {"train": 144, "valid": 120}),
    ):
        DatasetDict(
            {
                split: to_dataset(draw(count, shift, seed=10 * len(corpus) + i))
                for i, (split, count) in enumerate(splits.items())
            }
        ).save_to_disk(str(folder / corpus))
    return folder


def to_dataset(store: FaceStore) -> Dataset:
    return Dataset.from_dict(
        {
            "px": [face.numpy().tobytes() for face in store.faces],
            "label": store.labels.tolist(),
            "face_found": store.found.tolist(),
        }
    )
