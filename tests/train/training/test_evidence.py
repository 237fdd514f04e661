"""Evidence transfer: its equation, what it shares with the trained weights, and a run with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from emotion.config import NetworkConfig
from emotion.errors import ConfigError, WeightsError
from emotion.network import EmotionNet
from emotion.weights import load_weights
from train.config.fit import FitConfig
from train.faces.store import read_split
from train.fit import fit
from train.scoring.inference import save_network
from train.training.evidence import EvidenceTransfer
from train.training.step import Step

Tiny = Callable[..., FitConfig]
CPU = torch.device("cpu")


def build(seed: int = 0) -> EmotionNet:
    torch.manual_seed(seed)
    return EmotionNet(NetworkConfig(backbone="cnn", widths=(4, 4, 8, 8), standardise="crop"))


def step(network: EmotionNet, change: Callable[[torch.Tensor], torch.Tensor] = lambda x: x) -> Step:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(4, 1, 32, 32, generator=generator).expand(-1, 3, -1, -1)
    features = change(network.features(inputs))
    return Step(torch.arange(4), inputs, features, network.classify(features), generator)


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    save_network(build(), tmp_path / "trained")
    return tmp_path / "trained"


def transfer(network: EmotionNet, tiny: Tiny, trained: Path, **options: object) -> EvidenceTransfer:
    chosen = {"evidence_from": str(trained), "evidence_weight": 1.0, **options}
    return EvidenceTransfer(network, tiny(**chosen), CPU)


def test_only_where_evidence_lies_counts(trained: Path, tiny: Tiny) -> None:
    network = build().eval()
    loss = transfer(network, tiny, trained)
    offset = torch.randn(8, 1, 1, generator=torch.Generator().manual_seed(1))

    torch.testing.assert_close(loss(step(network)), torch.tensor(0.0))
    torch.testing.assert_close(loss(step(network, lambda x: 3 * x + offset)), torch.tensor(0.0))
    torch.testing.assert_close(loss(step(network, lambda x: -x)), torch.tensor(2.0))

    network.fc.weight.data += offset[:, 0, 0]  # the same for all classes, which no softmax sees
    torch.testing.assert_close(loss(step(network)), torch.tensor(0.0))
    assert loss(step(network, lambda x: x.flip(-1))) > 0.1


def test_it_is_one_minus_the_cosine_times_its_weight(trained: Path, tiny: Tiny) -> None:
    network, other = build(1).eval(), load_weights(str(trained))
    taken = step(network)

    loss = transfer(network, tiny, trained, evidence_weight=3.0)(taken)

    maps = []
    for model, features in ((network, taken.features), (other, other.features(taken.inputs))):
        map_of = (features[:, None] * model.fc.weight[None, :, :, None, None]).sum(2)
        map_of = map_of - map_of.mean(1, keepdim=True)
        maps.append((map_of - map_of.mean((2, 3), keepdim=True)).flatten(1))
    expected = 3 * (1 - (F.normalize(maps[0]) * F.normalize(maps[1])).sum(1)).mean()
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("seed", range(4))
def test_both_compute_the_same_part_of_the_map(seed: int, trained: Path, tiny: Tiny) -> None:
    network = build().eval()
    network.block4.train()  # type: ignore[operator]
    network.block4.bn1.eval()  # type: ignore[union-attr]
    network.block4.bn2.eval()  # type: ignore[union-attr]
    network.block4.dropout.eval()  # type: ignore[union-attr]
    network.draw_grid(torch.Generator().manual_seed(seed))
    taken = step(network)
    assert taken.features.shape[-1] == 2  # of 4

    torch.testing.assert_close(transfer(network, tiny, trained)(taken), torch.tensor(0.0))


def test_it_teaches_the_body_and_leaves_the_linear_layer(trained: Path, tiny: Tiny) -> None:
    network = build(1).eval()

    transfer(network, tiny, trained)(step(network)).backward()

    assert network.fc.weight.grad is None
    gradients = [p.grad for name, p in network.named_parameters() if name.endswith("0.weight")]
    assert all(gradient is not None and gradient.any() for gradient in gradients)


def test_a_run_brings_the_maps_nearer(prepared: Path, tmp_path: Path, tiny: Tiny) -> None:
    shape = {"backbone": "cnn", "widths": (8, 8, 16, 16), "epochs": (8,), "lr": 3e-3}
    teacher = build(7)
    teacher.config = replace(teacher.config, trained_on=("fer2013/train",))
    save_network(teacher, tmp_path / "trained")
    faces = read_split(prepared, "synthetic", "train").faces[:20]
    runs = {
        "alone": tiny(**shape),
        "taught": tiny(**shape, evidence_from=str(tmp_path / "trained"), evidence_weight=20.0),
    }

    far = {}
    for name, config in runs.items():
        fit(config, prepared, tmp_path / name)
        network = load_weights(str(tmp_path / name))
        loss = transfer(network, tiny, tmp_path / "trained")
        grey = faces[:, None].float().expand(-1, 3, -1, -1) / 128 - 1
        features = network.features(grey)
        rows, generator = torch.arange(20), torch.Generator()
        far[name] = float(loss(Step(rows, grey, features.detach(), features, generator)))

    assert far["taught"] < 0.95 * far["alone"]
    trained_on = load_weights(str(tmp_path / "taught")).config.trained_on
    assert trained_on == ("synthetic/train", "fer2013/train")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"backbone": "resnet18", "widths": (8, 8, 16, 16)}, "it has backbone cnn"),
        ({"standardise": "corpus"}, "the network corpus"),
        ({"method": "progressive"}, "leave out --teachers and --evidence-from"),
        ({"evidence_from": "missing"}, "missing"),
    ],
    ids=str,
)
def test_maps_that_cannot_be_compared_are_refused(
    options: dict[str, object],
    sentence: str,
    trained: Path,
    prepared: Path,
    tmp_path: Path,
    tiny: Tiny,
) -> None:
    config = tiny(**{"backbone": "cnn", "evidence_from": str(trained), **options})

    with pytest.raises((ConfigError, WeightsError), match=sentence):
        fit(config, prepared, tmp_path / "run")
