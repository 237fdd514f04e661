from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torchvision.models import resnet18

from emotion.cam import class_activation_maps, grad_cam
from emotion.config import NetworkConfig
from emotion.errors import ConfigError, WeightsError
from emotion.network import MIN_DEVIATION, EmotionNet, normalise
from emotion.weights import load_weights


def crops(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_the_default_network_keeps_an_8x8_map_and_gives_six_logits() -> None:
    network = EmotionNet().eval()

    with torch.inference_mode():
        features, logits = network.features(crops()), network(crops())

    assert features.shape == (2, 512, 8, 8)
    assert logits.shape == (2, 6)
    assert sum(p.numel() for p in network.parameters()) == 11_171_910


def test_with_7x7_stem_and_max_pool_it_equals_torchvisions_resnet18() -> None:
    reference = resnet18(num_classes=6).eval()
    network = EmotionNet(NetworkConfig(stem="7x7", max_pool=True)).eval()
    network.load_state_dict(reference.state_dict(), strict=True)

    with torch.inference_mode():
        torch.testing.assert_close(network(crops()), reference(crops()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("max_pool", [False, True])
@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_every_variant_trains(activation: str, max_pool: bool) -> None:
    config = NetworkConfig(
        activation=activation,  # type: ignore[arg-type]
        max_pool=max_pool,
        widths=(8, 8, 16, 16),
        block_dropout=0.3,
        head_dropout=0.5,
    )
    network = EmotionNet(config).train()

    network(crops()).sum().backward()

    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert network.features(crops()).shape == (2, 16, 4 if max_pool else 8, 4 if max_pool else 8)


@pytest.mark.parametrize(("backbone", "count"), [("cnn", 1_777_158), ("alexnet", 2_458_566)])
def test_the_other_backbones_keep_an_8x8_map_train_and_explain_themselves(
    backbone: str, count: int, tmp_path: Path
) -> None:
    config = NetworkConfig(backbone=backbone, block_dropout=0.3, activation="silu")  # type: ignore[arg-type]
    network = EmotionNet(config).train()

    network(crops()).sum().backward()

    assert sum(p.numel() for p in network.parameters()) == count
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    network.eval().save_pretrained(tmp_path)
    loaded = load_weights(str(tmp_path))
    with torch.inference_mode():
        features = loaded.features(crops())
        assert features.shape == (2, config.widths[-1], 8, 8)
        assert torch.equal(loaded(crops()), network(crops()))
        maps = class_activation_maps(features, loaded.fc.weight)
    for target in (0, 4):
        last = getattr(loaded, "block4" if backbone == "cnn" else "block5")
        torch.testing.assert_close(maps[:, target], grad_cam(loaded, crops(), target, last))


def test_the_four_grids_of_training_add_up_to_what_evaluation_sees() -> None:
    torch.manual_seed(0)
    network = EmotionNet(NetworkConfig(backbone="cnn", widths=(8, 8, 16, 16))).eval()
    with torch.inference_mode():
        whole = network.features(crops())
        before = network.block3(network.block2(network.block1(crops())))
        network.block4.training = True  # its norm layers stay as they are
        generator, grids = torch.Generator().manual_seed(0), {}
        for _ in range(40):
            network.draw_grid(generator)
            grids[network.block4.grid] = network.block4(before)

    assert whole.shape == (2, 16, 8, 8)
    assert sorted(grids) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert all(grid.shape == (2, 16, 4, 4) for grid in grids.values())
    pooled = torch.stack([grid.mean((2, 3)) for grid in grids.values()])
    assert (pooled[0] - pooled[1]).abs().max() > 1e-4
    torch.testing.assert_close(pooled.mean(0), whole.mean((2, 3)))


def test_the_map_of_the_cnn_is_centred_on_the_face() -> None:
    torch.manual_seed(0)
    network = EmotionNet(NetworkConfig(backbone="cnn", widths=(8, 8, 8, 8))).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = (module.weight.data + module.weight.data.flip(-1, -2)) / 2

    with torch.inference_mode():
        turned = network.features(crops().flip(-1, -2)).flip(-1, -2)

        torch.testing.assert_close(turned, network.features(crops()), rtol=1e-3, atol=1e-4)


def test_a_unit_of_the_cnn_sees_a_whole_face() -> None:
    torch.manual_seed(0)
    network = EmotionNet(NetworkConfig(backbone="cnn", activation="silu", widths=(8, 8, 8, 8)))
    picture = crops()[:1].requires_grad_()

    network.eval().features(picture)[0, :, 4, 4].sum().backward()

    assert picture.grad is not None
    assert (picture.grad[0, 0] != 0).float().mean() > 0.95


def test_dropout_acts_in_the_last_blocks_and_the_head_and_only_in_training() -> None:
    config = NetworkConfig(widths=(8, 8, 8, 8), block_dropout=0.5, head_dropout=0.5)
    network = EmotionNet(config)
    for module in network.modules():  # norm layers would differ between batches by themselves
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()

    assert not torch.equal(network.features(crops()), network.features(crops()))
    earlier = torch.nn.Sequential(network.conv1, network.layer1, network.layer2, network.layer3)
    assert torch.equal(earlier(crops()), earlier(crops()))
    features = network.features(crops())
    assert not torch.equal(network.classify(features), network.classify(features))
    network.eval()
    assert torch.equal(network(crops()), network(crops()))


def test_a_saved_network_comes_back_with_its_config_and_logits(tmp_path: Path) -> None:
    config = NetworkConfig(
        activation="silu", widths=(8, 8, 8, 8), zoom=1.1, temperature=1.7, trained_on=("a/train",)
    )
    network = EmotionNet(config).eval()
    network.save_pretrained(tmp_path)

    loaded = EmotionNet.from_pretrained(str(tmp_path))

    assert {p.name for p in tmp_path.iterdir()} >= {"config.json", "model.safetensors"}
    assert loaded.config == config
    assert not loaded.training
    with torch.inference_mode():
        assert torch.equal(loaded(crops()), network(crops()))


def test_a_missing_tensor_is_refused_although_the_mixin_is_lenient(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    EmotionNet(NetworkConfig(widths=(8, 8, 8, 8))).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors.pop("layer3.0.conv1.weight")
    save_file(tensors, tmp_path / "model.safetensors")

    with pytest.raises(RuntimeError, match=r"layer3\.0\.conv1\.weight"):
        EmotionNet.from_pretrained(str(tmp_path))


def test_a_pickle_is_never_loaded() -> None:
    with pytest.raises(WeightsError, match="pickle"):
        EmotionNet._load_as_pickle(EmotionNet, "pytorch_model.bin", "cpu", False)  # type: ignore[arg-type]


def test_the_config_survives_json() -> None:
    from dataclasses import asdict

    config = NetworkConfig(trained_on=("fer2013/train",))

    assert NetworkConfig(**json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(
    "values",
    [
        {"activation": "tanh"},
        {"stem": "5x5"},
        {"widths": (1, 2)},
        {"backbone": "vgg"},
        {"backbone": "alexnet", "widths": (1, 2, 3, 4)},
        {"backbone": "cnn", "max_pool": True},
        {"head_dropout": 1.0},
        {"std": 0.0},
        {"standardise": "batch"},
        {"temperature": -1.0},
        {"temperature_slope": (0.1, 0.2)},
        {"class_offsets": (0.1, 0.2)},
        {"abstain_below": 1.0},
    ],
)
def test_an_impossible_config_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        NetworkConfig(**values)  # type: ignore[arg-type]


def test_normalising_standardises_grey_and_repeats_it_three_times() -> None:
    grey = np.full((2, 64, 64), 51, np.uint8)  # 0.2

    inputs = normalise(grey, NetworkConfig(mean=0.5, std=0.25))

    assert inputs.shape == (2, 3, 64, 64)
    torch.testing.assert_close(inputs, torch.full_like(inputs, (0.2 - 0.5) / 0.25))


def test_a_crop_standardised_by_itself_has_mean_0_and_deviation_1_in_any_light() -> None:
    bright = np.random.default_rng(0).integers(40, 240, (3, 64, 64))
    dark = bright // 4 + np.array([0, 20, 60])[:, None, None]
    config = NetworkConfig(standardise="crop", mean=0.3, std=0.1)

    inputs = normalise(bright.astype(np.uint8), config)

    torch.testing.assert_close(inputs.mean((1, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(inputs.std((1, 2, 3), correction=0), torch.ones(3))
    in_the_dark = normalise(dark.astype(np.uint8), config)
    torch.testing.assert_close(in_the_dark, inputs, atol=0.04, rtol=0)  # grey levels are whole


def test_noise_on_an_even_ground_is_not_enlarged_to_a_face() -> None:
    noise = np.random.default_rng(0).integers(100, 102, (1, 64, 64))  # deviation 0.5

    inputs = normalise(noise.astype(np.uint8), NetworkConfig(standardise="crop"))

    assert inputs.std() == pytest.approx(0.5 / MIN_DEVIATION, rel=0.01)
