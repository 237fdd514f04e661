"""What is learnt from labels, by a layer for all corpora, one for each, and one for calm faces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from emotion.config import COMMON, NetworkConfig
from emotion.errors import ConfigError
from emotion.network import EmotionNet
from emotion.weights import load
from train.config.fit import FitConfig
from train.faces.store import FaceStore
from train.fit import fit
from train.training.data import read_data
from train.training.network import build_network, follow_weights
from train.training.sampling import ShuffledSource
from train.training.step import FeaturesAndScores, Scores
from train.training.supervision import Supervision

Tiny = Callable[..., FitConfig]


def faces(seed: int = 0) -> FaceStore:
    """Twelve faces of two corpora, and two calm ones that show no class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.tensor([0, 1, 2, 3, 4, 5] * 2 + [-1, -1])
    soft = torch.cat([F.one_hot(labels[:12], 6).float(), torch.zeros(2, 6)])
    return FaceStore(
        torch.randint(0, 256, (14, 64, 64), dtype=torch.uint8, generator=generator),
        labels,
        torch.ones(14, dtype=torch.bool),
        soft=soft,
        calm=torch.tensor([0.0] * 11 + [0.3] + [1.0, 0.8]),
        corpus=torch.tensor([0] * 6 + [1] * 6 + [0, 1]),
    )


def scores(heads: int, *, calm: bool = True) -> Scores:
    generator = torch.Generator().manual_seed(1)
    return Scores(
        torch.randn(14, 6, generator=generator),
        torch.randn(14, heads, 6, generator=generator),
        torch.randn(14 if calm else 0, generator=generator),
    )


def supervision(tiny: Tiny, **values: object) -> Supervision:
    return Supervision(tiny(**values), ShuffledSource(faces(), 14, 0))


def test_each_face_counts_for_the_common_layer_and_for_that_of_its_corpus(tiny: Tiny) -> None:
    said, batch = scores(2), faces()
    learn = supervision(tiny, calm_weight=0.7, label_smoothing=0.0)

    loss = learn(said, batch, 0)

    labels, corpus = batch.labels[:12], batch.corpus
    assert corpus is not None
    assert batch.calm is not None
    own = torch.stack([said.heads[i, corpus[i]] for i in range(12)])
    expected = F.cross_entropy(said.logits[:12], labels) + F.cross_entropy(own, labels)
    probability = said.calm.sigmoid()
    cross = -(batch.calm * probability.log() + (1 - batch.calm) * (1 - probability).log()).mean()
    torch.testing.assert_close(loss, expected + 0.7 * cross)


def test_a_layer_learns_nothing_from_the_faces_of_another_corpus(tiny: Tiny) -> None:
    said, batch = scores(2), faces()
    heads = said.heads.requires_grad_()

    supervision(tiny)(said._replace(heads=heads), batch, 0).backward()

    assert heads.grad is not None
    assert batch.corpus is not None
    for place in (0, 1):
        others = heads.grad[batch.corpus != place, place]
        assert not others.any()
    assert heads.grad[0, 0].any()


@pytest.mark.parametrize("weights", ["none", "sqrt", "dynamic"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_faces_of_no_class_leave_the_classes_loss_alone(
    tiny: Tiny, weights: str, smoothing: float
) -> None:
    said, batch = scores(0, calm=False), faces()
    learn = supervision(
        tiny, class_weights=weights, label_smoothing=smoothing, brier_term=weights == "dynamic"
    )

    whole = learn(said, batch, 0)

    part = Scores(said.logits[:12], said.heads[:12], said.calm)
    without = learn(part, batch.select(torch.arange(12)), 0)
    torch.testing.assert_close(whole, without)


def test_every_output_is_a_linear_layer_on_the_same_features() -> None:
    torch.manual_seed(0)
    config = NetworkConfig(backbone="cnn", widths=(4, 4, 8, 8), calm=True, conventions=("x", "y"))
    network = EmotionNet(config).eval()
    inputs = torch.randn(3, 3, 64, 64)

    with torch.inference_mode():
        features, said = FeaturesAndScores(network)(inputs)
        pooled = features.mean((2, 3))
        torch.testing.assert_close(said.logits, network.fc(pooled))
        torch.testing.assert_close(said.heads[:, 1], network.heads["y"](pooled))
        assert network.calm is not None
        torch.testing.assert_close(said.calm, network.calm(pooled)[:, 0])


def test_a_run_learns_all_outputs_and_calibrates_what_answers(
    prepared: Path, tiny: Tiny, tmp_path: Path
) -> None:
    config = tiny(calm_weight=0.5, epochs=(3,))

    fit(config, prepared, tmp_path)

    network = load(str(tmp_path)).network
    assert network.config.mirror
    assert network.calm is not None
    assert network.config.convention == COMMON
    assert network.config.calm_temperature > 0
    assert network.config.calm_bound != 0


def test_fine_tuning_begins_with_the_layer_that_answers(
    prepared: Path, tiny: Tiny, tmp_path: Path
) -> None:
    fit(tiny(epochs=(1,)), prepared, tmp_path)
    before = load_file(tmp_path / "model.safetensors")
    config = tiny(init=str(tmp_path), calm_weight=0.5, heads=True, corpora=("synthetic", "another"))
    config = follow_weights(config)
    network = build_network(config, read_data(tiny(calm_weight=0.5), prepared))

    assert torch.equal(network.fc.weight, before["fc.weight"].float())
    for head in network.heads.values():
        assert torch.equal(head.weight, before["fc.weight"].float())  # type: ignore[arg-type]
    assert network.calm is not None


@pytest.mark.parametrize(
    "values",
    [
        {"calm_weight": 0.5, "sampling": "sqrt"},
        {"heads": True, "neutral": True},
        {"calm_weight": -1.0},
    ],
    ids=str,
)
def test_what_cannot_go_together_is_refused(tiny: Tiny, values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        tiny(**values)
