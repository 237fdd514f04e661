"""What answers: the mirrored mean, the layer of a convention, and the output for calm faces."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import save

from emotion import Analyzer, graph_file
from emotion.calibration import calm_probabilities
from emotion.cam import class_activation_maps
from emotion.config import NetworkConfig
from emotion.detect import RetinaFaceDetector
from emotion.errors import ConfigError, WeightsError
from emotion.labels import CALM, NOT_SURE
from emotion.network import ConventionNorm, EmotionNet, first_norm_of_last_stage
from emotion.weights import load

OTHER = {
    "temperature": 2.0,
    "temperature_slope": (),
    "temperature_offset": 0.0,
    "class_offsets": (0.5, 0.0, 0.0, 0.0, 0.0, -0.5),
    "abstain_below": 0.7,
}
CALM_OF_IT = {"calm_bound": 1.5, "calm_temperature": 2.0}
CONFIG = NetworkConfig(
    backbone="cnn",
    widths=(4, 4, 8, 8),
    mirror=True,
    calm=True,
    conventions=("fer2013", "raf-db"),
    calibrations={"raf-db": OTHER},
    abstain_below=0.4,
)


def make(config: NetworkConfig = CONFIG) -> EmotionNet:
    torch.manual_seed(1)
    return EmotionNet(config).eval()


def inputs(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def grey(count: int = 4) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 64, 64), np.uint8)


def written(folder: Path, network: EmotionNet) -> str:
    (folder / "config.json").write_text(json.dumps(asdict(network.config)), "utf-8")
    (folder / "model.safetensors").write_bytes(save(network.state_dict()))
    return str(folder)


def test_evidence_is_the_mean_of_the_crops_map_and_the_mirror_images_mirrored_back() -> None:
    network = make()

    with torch.inference_mode():
        evidence = network.evidence(inputs())
        crop, mirrored = network.features(inputs()), network.features(inputs().flip(-1))

    torch.testing.assert_close(evidence, (crop + mirrored.flip(-1)) / 2)
    assert not torch.allclose(evidence, crop, rtol=1e-2)


def test_mirroring_a_face_mirrors_its_maps_and_changes_no_probability() -> None:
    analyzer = Analyzer(make(), RetinaFaceDetector())

    straight = analyzer.classify(grey())
    mirrored = analyzer.classify(np.ascontiguousarray(grey()[:, :, ::-1]))

    np.testing.assert_allclose(mirrored.probabilities, straight.probabilities, atol=1e-5)
    np.testing.assert_allclose(mirrored.cams[..., ::-1], straight.cams, atol=1e-5)
    assert straight.calm is not None
    np.testing.assert_allclose(mirrored.calm, straight.calm, atol=1e-5)


def test_without_it_a_crop_is_answered_as_it_is() -> None:
    network = make(replace(CONFIG, mirror=False))

    with torch.inference_mode():
        assert torch.equal(network.evidence(inputs()), network.features(inputs()))


def test_a_convention_answers_with_its_own_layer_and_calibration(tmp_path: Path) -> None:
    spec = written(tmp_path, make())
    common, own = load(spec).network, load(spec, "raf-db").network

    assert (common.head, own.head) == (common.fc, own.heads["raf-db"])
    assert (own.config.temperature, own.config.abstain_below) == (2.0, 0.7)
    assert own.config.class_offsets == OTHER["class_offsets"]
    assert (common.config.temperature, common.config.abstain_below) == (1.0, 0.4)
    analyzer = Analyzer(own, RetinaFaceDetector())
    with torch.inference_mode():
        pixels = torch.from_numpy(grey()).float() / 255
        features = own.evidence(((pixels - 0.5) / 0.25)[:, None].expand(-1, 3, -1, -1))
        logits = own.heads["raf-db"](features.mean((2, 3))) + torch.tensor(OTHER["class_offsets"])
        maps = class_activation_maps(features, own.heads["raf-db"].weight)
    probabilities, cams, _ = analyzer.classify(grey())
    np.testing.assert_allclose(probabilities, (logits / 2).softmax(1), atol=1e-5)
    np.testing.assert_allclose(cams, maps, atol=1e-5)
    assert analyzer.description["convention"] == "raf-db"


def test_a_config_comes_back_as_it_was_written(tmp_path: Path) -> None:
    assert load(written(tmp_path, make())).network.config == CONFIG


def test_an_unknown_convention_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    spec = written(tmp_path, make())
    with pytest.raises(
        ConfigError, match="no convention 'jaffe'; choose from common, fer2013, raf"
    ):
        load(spec, "jaffe")
    alone = replace(CONFIG, conventions=(), calibrations={})
    with pytest.raises(ConfigError, match="one convention, 'common'"):
        load(written(tmp_path, make(alone)), "jaffe")


@pytest.mark.parametrize(
    "values",
    [
        {"convention": "jaffe"},
        {"conventions": ["fer2013", "fer2013"]},
        {"calibrations": {"jaffe": OTHER}},
        {"calibrations": {"raf-db": {"temperature": 1.0}}},
        {"calibrations": {"raf-db": {**OTHER, "calm_bound": 1.0}}},
        {"conventions_by": "offset"},  # the tensors are layers
        {"conventions_by": "vote"},
        {"calibrations": {"raf-db": {**OTHER, "abstain_below": 2}}},
        {"calibrations": ["raf-db"]},
        {"calm_temperature": 0.0},
        {"calm": True},
    ],
)
def test_what_does_not_belong_together_is_no_config(tmp_path: Path, values: object) -> None:
    network = make(replace(CONFIG, calm=False))
    spec = written(tmp_path, network)
    assert isinstance(values, dict)
    broken = {**asdict(network.config), **values}
    (tmp_path / "config.json").write_text(json.dumps(broken), "utf-8")

    with pytest.raises(WeightsError):
        load(spec)


def test_the_probability_of_calm_is_the_sigmoid_of_the_distance_to_its_bound() -> None:
    config = replace(CONFIG, calm_bound=1.5, calm_temperature=2.0)
    logits = np.array([-1e6, 0.0, 1.5, 4.0, 1e6])

    calm = calm_probabilities(logits, config)

    expected = [0, 1 / (1 + np.exp(0.75)), 0.5, 1 / (1 + np.exp(-1.25)), 1]
    np.testing.assert_allclose(calm, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("bound", "abstain_below", "answer"),
    [(-1e3, 0.0, CALM), (1e3, 0.999, NOT_SURE), (1e3, 0.0, None), (-1e3, 0.999, CALM)],
)
def test_a_calm_face_is_no_emotion_and_a_doubtful_one_is_not_sure(
    bound: float, abstain_below: float, answer: str | None
) -> None:
    config = replace(CONFIG, calm_bound=bound, abstain_below=abstain_below, temperature=5.0)
    analyzer = Analyzer(make(config), RetinaFaceDetector())

    result = analyzer.analyze(np.full((64, 64, 3), 90, np.uint8), detect=False)[0]

    assert result.answer == (answer or result.label)
    assert result.calm is not None
    assert (result.calm >= 0.5) == (answer == CALM)


def test_weights_without_the_output_tell_no_calm() -> None:
    analyzer = Analyzer(make(replace(CONFIG, calm=False)), RetinaFaceDetector())

    assert analyzer.analyze(np.full((64, 64, 3), 90, np.uint8), detect=False)[0].calm is None


TOLD = replace(CONFIG, conventions_by="offset", calibrations={"raf-db": {**OTHER, **CALM_OF_IT}})


def told() -> EmotionNet:
    """Return a network that adds a vector for each convention before the norm of its last stage."""
    network = make(TOLD)
    _, _, norm = first_norm_of_last_stage(network)
    assert isinstance(norm, ConventionNorm)
    with torch.no_grad():
        for offset in norm.offsets.values():
            offset.normal_()
    return network


def test_a_convention_by_offset_is_an_input_of_the_last_stage(tmp_path: Path) -> None:
    spec = written(tmp_path, told())
    common, own = load(spec).network, load(spec, "raf-db").network
    norm = common.block4.bn1
    plain = make(replace(CONFIG, conventions=(), calibrations={}))
    plain.load_state_dict({k: v for k, v in common.state_dict().items() if ".offsets." not in k})

    with torch.inference_mode():
        torch.testing.assert_close(common.features(inputs()), plain.features(inputs()))
        # What is added before the norm may as well be taken from its mean.
        plain.block4.bn1.running_mean -= norm.offsets["raf-db"]
        expected = plain.features(inputs())
        torch.testing.assert_close(own.features(inputs()), expected)
        assert not torch.allclose(common.features(inputs()), expected, atol=0.01)
    assert own.head is own.fc
    assert (own.config.temperature, own.config.calm_bound) == (2.0, 1.5)
    assert (common.config.temperature, common.config.calm_bound) == (1.0, 0.0)
    torch.testing.assert_close(
        common.answer_as("raf-db").features(inputs()), own.features(inputs())
    )
    assert Analyzer(own, RetinaFaceDetector()).description["convention"] == "raf-db"


def test_a_graph_belongs_to_the_convention_that_is_inside(tmp_path: Path) -> None:
    common = load(written(tmp_path, told())).network.config
    own = common.answering("raf-db")

    assert graph_file.mark("digest", common) == graph_file.mark("digest", CONFIG)
    assert graph_file.mark("digest", own) != graph_file.mark("digest", common)
    by_layer = CONFIG.answering("raf-db")
    assert graph_file.mark("digest", by_layer) == graph_file.mark("digest", CONFIG)
