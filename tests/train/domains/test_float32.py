"""What domain adaptation decides by is computed in float32, whatever the training's precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.train.conftest import convolutions
from tests.train.domains.conftest import TINY, draw, gather
from train.config.fit import FitConfig, override
from train.trainers import build_trainer


@pytest.mark.parametrize("method", ["progressive", "bort2"])
def test_what_decides_on_labels_and_relevance_is_float32(
    method: str, weights: Path, tmp_path: Path
) -> None:
    own: dict[str, object] = {
        "progressive": {
            "corpora": ("fer2013", "raf-db"),
            "epochs": (3,),
            "target_epochs": 1,
            "final_epochs": 1,
            "shards": 2,
        },
        "bort2": {"corpora": ("fer2013",), "epochs": (1,), "init": str(weights)},
    }[method]
    config = override(FitConfig(), **{**TINY, **own, "method": method, "precision": "bfloat16"})
    stores = {corpus: draw(72, 2.0 * i, i) for i, corpus in enumerate(config.data.corpora)}

    with convolutions() as seen:
        trainer = build_trainer(
            config, gather(stores, draw(60, 0, 3)), tmp_path, torch.device("cpu")
        )
        while not trainer.finished:
            trainer.epoch()

    assert seen == {True: {torch.bfloat16}, False: {torch.float32}}
