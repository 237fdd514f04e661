"""Which layer answers, at which calibration, and from where on a face is called calm."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from emotion.calibration import calm_probabilities
from emotion.config import COMMON, NetworkConfig
from emotion.network import EmotionNet
from emotion.weights import load
from train.config.options import COVERAGE
from train.scoring.calibrate import CorpusAnswers
from train.scoring.calibrate_network import CALLED_CALM, calibrate_network, write_calibration

CONFIG = NetworkConfig(
    backbone="cnn", widths=(4, 4, 8, 8), calm=True, conventions=("good", "bad"), mirror=True
)


@pytest.fixture
def network() -> EmotionNet:
    """Pooled features 0 to 5 are the classes' logits, 6 says who is calm; "bad" hardly listens."""
    network = EmotionNet(CONFIG).eval()
    layers = {network.fc: 0.6, network.heads["good"]: 1.0, network.heads["bad"]: 0.05}
    with torch.no_grad():
        noise = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
        for layer, share in layers.items():
            layer.weight.copy_(share * torch.eye(6, 8) + (1 - share) * noise)
            layer.bias.zero_()
        assert network.calm is not None
        network.calm.weight.copy_(torch.eye(8)[6:7])
        network.calm.bias.zero_()
    return network


def answers(network: EmotionNet, count: int, calm: float, seed: int) -> CorpusAnswers:
    generator = torch.Generator().manual_seed(seed)
    pooled = torch.randn(count, 8, generator=generator) * 2
    labels = torch.multinomial(pooled[:, :6].softmax(1), 1, generator=generator)[:, 0]
    pooled[:, 6] += calm
    neutral = torch.randn(count // 2, 8, generator=generator)
    neutral[:, 6] += 4
    return CorpusAnswers(network.read_out(pooled), labels, network.read_out(neutral))


@pytest.fixture
def corpora(network: EmotionNet) -> dict[str, CorpusAnswers]:
    return {
        "large/valid": answers(network, 3000, 0.0, 1),
        "small/valid": answers(network, 600, 1.0, 2),
    }


def test_the_layer_that_is_right_most_often_answers(
    network: EmotionNet, corpora: dict[str, CorpusAnswers]
) -> None:
    values, figures = calibrate_network(network, lambda: corpora)

    assert values["convention"] == figures["convention"] == "good"
    assert set(values["calibrations"]) == set(figures["conventions"]) == {COMMON, "good", "bad"}
    assert values["calibrations"]["good"]["temperature"] == values["temperature"]
    rows = {name: layer["corpora"] for name, layer in figures["conventions"].items()}
    for split in corpora:
        assert rows["good"][split]["accuracy"] > rows[COMMON][split]["accuracy"]
        assert rows[COMMON][split]["accuracy"] > rows["bad"][split]["accuracy"]


def test_the_bound_of_calm_spares_expressive_faces_of_every_corpus_alike(
    network: EmotionNet, corpora: dict[str, CorpusAnswers]
) -> None:
    values, figures = calibrate_network(network, lambda: corpora)

    called = [row["called_calm"] for row in figures["corpora"].values()]
    assert np.mean(called) == pytest.approx(CALLED_CALM, abs=0.005)
    assert called[1] > called[0]  # its expressive faces look calmer
    for split, part in corpora.items():
        row = figures["corpora"][split]
        assert part.faces.calm is not None
        assert part.neutral is not None
        assert part.neutral.calm is not None
        bound = values["calm_bound"]
        assert row["called_calm"] == pytest.approx(float((part.faces.calm >= bound).float().mean()))
        at_bound = (part.neutral.calm >= bound).float().mean()
        assert row["neutral_called_calm"] == pytest.approx(float(at_bound))
        assert row["auroc_calm"] > 0.85
    answered = [row["answered"] for row in figures["corpora"].values()]
    assert np.mean(answered) == pytest.approx(COVERAGE, abs=0.01)


def test_probabilities_of_calm_fit_how_often_faces_are_calm_up_to_the_bounds_shift(
    network: EmotionNet, corpora: dict[str, CorpusAnswers]
) -> None:
    values, _ = calibrate_network(network, lambda: corpora)

    # Two normal distributions of equal spread are told apart by a logistic function of slope
    # (distance of the means) / variance; here the expressive ones spread twice as far.
    config = NetworkConfig(
        calm=True, calm_bound=values["calm_bound"], calm_temperature=values["calm_temperature"]
    )
    assert 0.3 < values["calm_temperature"] < 2
    low, middle, high = calm_probabilities(
        np.array([values["calm_bound"] - 3, values["calm_bound"], values["calm_bound"] + 3]), config
    )
    assert middle == pytest.approx(0.5)
    assert low < 0.2
    assert high > 0.8


def test_what_is_written_is_what_answers(
    network: EmotionNet, corpora: dict[str, CorpusAnswers], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(asdict(network.config)), "utf-8")
    (tmp_path / "model.safetensors").write_bytes(save(network.state_dict()))
    values, figures = calibrate_network(network, lambda: corpora)

    write_calibration(tmp_path, values, figures)

    read = load(str(tmp_path)).network
    assert read.head is read.heads["good"]
    assert read.config.abstain_below == figures["abstain_below"]
    assert load(str(tmp_path), COMMON).network.config.class_offsets == tuple(
        figures["conventions"][COMMON]["class_offsets"]
    )
    assert json.loads((tmp_path / "calibration.json").read_text())["convention"] == "good"
