from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from emotion.config import NetworkConfig
from emotion.errors import ConfigError, WeightsError
from emotion.network import EmotionNet
from train.config.fit import FitConfig, override
from train.training.data import TrainingData, read_data
from train.training.network import build_network, follow_weights
from train.training.optim import build_optimizer

Tiny = Callable[..., FitConfig]


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """Weights of an earlier run on another corpus."""
    config = NetworkConfig(
        backbone="cnn",
        widths=(8, 8, 16, 16),
        activation="silu",
        mean=0.4,
        std=0.3,
        temperature=2.0,
        trained_on=("raf-db/train",),
    )
    EmotionNet(config).save_pretrained(tmp_path / "start")
    return tmp_path / "start"


@pytest.fixture
def data(prepared: Path, tiny: Tiny) -> TrainingData:
    return read_data(tiny(), prepared)


def test_fine_tuning_starts_from_the_weights_and_remembers_what_they_saw(
    start: Path, data: TrainingData, tiny: Tiny
) -> None:
    network = build_network(tiny(init=str(start), head_dropout=0.5), data)

    before = EmotionNet.from_pretrained(str(start)).state_dict()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    config = network.config
    assert config.trained_on == ("raf-db/train", "synthetic/train")
    assert (config.mean, config.std) == (0.4, 0.3)
    assert (config.head_dropout, config.temperature) == (0.5, 1.0)
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("own", ["corpus", "crop"])
def test_grey_levels_are_standardised_as_the_weights_do_unless_another_way_is_asked_for(
    own: str, start: Path, data: TrainingData, tiny: Tiny
) -> None:
    config = EmotionNet.from_pretrained(str(start)).config
    EmotionNet(replace(config, standardise=own)).save_pretrained(start)

    def chosen(**values: object) -> str:
        return build_network(follow_weights(tiny(**values)), data).config.standardise

    assert chosen(init=str(start)) == own
    assert chosen(init=str(start), standardise="crop") == "crop"
    assert chosen(init=str(start), standardise="corpus") == "corpus"
    assert chosen() == "crop"
    assert chosen(standardise="corpus") == "corpus"


def test_frozen_stages_keep_weights_and_norm_statistics_through_a_step(
    start: Path, data: TrainingData, tiny: Tiny
) -> None:
    network = build_network(tiny(init=str(start), frozen_stages=2), data)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = build_optimizer(network, tiny().optimizer)

    network.train()
    network(torch.randn(8, 3, 32, 32)).square().sum().backward()
    optimizer.step()

    changed = {
        name.split(".")[0]
        for name, value in network.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == {"block3", "block4", "fc"}


def test_a_wider_network_answers_as_the_weights_it_starts_from_and_learns_with_all_channels(
    start: Path, data: TrainingData, tiny: Tiny
) -> None:
    narrow = EmotionNet.from_pretrained(str(start)).eval()
    faces = torch.randn(4, 3, 64, 64)
    with torch.no_grad():  # norm statistics of their own, as trained weights have
        for _ in range(3):
            narrow.train()(torch.randn(8, 3, 64, 64))
        narrow.eval().save_pretrained(start)
    wide = build_network(tiny(init=str(start), widths=(8, 16, 16, 24)), data)
    assert wide.config.widths == (8, 16, 16, 24)

    torch.testing.assert_close(wide.eval()(faces), narrow(faces), rtol=1e-4, atol=1e-5)
    optimizer = build_optimizer(wide, tiny().optimizer)
    for _ in range(3):
        optimizer.zero_grad()
        wide.train()(faces).square().sum().backward()
        optimizer.step()
    gradients = {name: p.grad for name, p in wide.named_parameters() if p.grad is not None}
    assert gradients["block2.1.weight"][8:].abs().amax((1, 2, 3)).gt(0).all()
    assert gradients["block4.conv2.weight"][16:, 16:].abs().amax((1, 2, 3)).gt(0).all()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"activation": "relu"}, "have activation silu, not relu"),
        ({"widths": (8, 8, 8, 32)}, "have widths 8 8 16 16, not 8 8 8 32"),
        ({"backbone": "resnet18"}, "have backbone cnn, not resnet18"),
    ],
)
def test_weights_of_another_architecture_are_refused_in_a_sentence(
    values: dict[str, object], sentence: str, start: Path, data: TrainingData, tiny: Tiny
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        build_network(tiny(init=str(start), **values), data)


def test_weights_without_max_pooling_are_refused_where_it_is_asked_for(
    tmp_path: Path, data: TrainingData, tiny: Tiny
) -> None:
    config = NetworkConfig(backbone="resnet18", widths=(8, 8, 16, 16), activation="silu")
    EmotionNet(config).save_pretrained(tmp_path / "start")
    asked = tiny(init=str(tmp_path / "start"), backbone="resnet18", max_pool=True)

    with pytest.raises(ConfigError, match="have max_pool False, not True"):
        build_network(asked, data)


def test_an_architecture_that_is_left_alone_is_that_of_the_weights(
    tmp_path: Path, tiny: Tiny
) -> None:
    own = {
        "backbone": "cnn",
        "activation": "relu",
        "widths": (8, 8, 8, 8),
        "standardise": "corpus",
    }
    EmotionNet(NetworkConfig(**own)).save_pretrained(tmp_path / "cnn")  # type: ignore[arg-type]
    untouched = override(FitConfig(), init=str(tmp_path / "cnn"), lr=1e-4)

    followed = follow_weights(untouched)

    assert followed == override(untouched, **own)
    assert follow_weights(tiny()) == tiny()
    chosen = follow_weights(override(untouched, widths=(8, 8, 16, 16)))
    assert chosen.architecture.widths == (8, 8, 16, 16)


def test_weights_for_crops_of_another_zoom_or_none_at_all_are_refused(
    start: Path, data: TrainingData, tiny: Tiny
) -> None:
    with pytest.raises(ConfigError, match="prepare the faces with that value"):
        build_network(tiny(init=str(start)), replace(data, zoom=1.1))
    with pytest.raises(WeightsError):
        build_network(tiny(init="nowhere"), data)


def test_a_new_network_takes_mean_deviation_and_zoom_from_the_prepared_faces(
    data: TrainingData, tiny: Tiny
) -> None:
    config = build_network(tiny(), replace(data, zoom=1.2)).config

    grey = data.training.faces.double() / 255
    assert config.mean == pytest.approx(float(grey.mean()), abs=1e-4)
    assert config.std == pytest.approx(float(grey.std()), abs=1e-4)
    assert config.zoom == 1.2
