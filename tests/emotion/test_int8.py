"""The 8-bit model is used with the weights it was made from, and with no others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emotion import int8
from emotion.align import plain_crop
from emotion.classifier import EXAMPLE, VARYING, Classifier, ClassifierGraph, evidence
from emotion.config import NetworkConfig
from emotion.engine import TorchEngine
from emotion.engine.openvino_engine import OpenVINOEngine
from emotion.followed import View
from emotion.images import decode_image
from emotion.network import EmotionNet, normalise
from emotion.weights import EMBEDDED, Loaded, load
from train.corpora import image_bytes, load_corpus
from train.scoring.export import cam_correlation, too_costly
from train.scoring.inference import save_network

CONFIG = NetworkConfig(widths=(8, 8, 16, 16), trained_on=("synthetic/train",))


@pytest.fixture(scope="module")
def openvino() -> OpenVINOEngine:
    return OpenVINOEngine()


@pytest.fixture(autouse=True)
def processor_with_avx2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX2")


@pytest.fixture
def loaded(tmp_path: Path, openvino: OpenVINOEngine) -> Loaded:
    """Weights with a model beside them that answers otherwise, so that tests can tell them apart.

    It was made from slightly other tensors, as far from them as 8 bits are; what makes it an 8-bit
    one is no matter here.
    """
    torch.manual_seed(0)
    save_network(EmotionNet(CONFIG), tmp_path)
    loaded = load(str(tmp_path))
    other = load(str(tmp_path)).network
    with torch.no_grad():
        for weight in other.parameters():
            weight.mul_(1.005)
    model = openvino.convert(ClassifierGraph(other), EXAMPLE, VARYING)
    openvino.save(model, tmp_path / "made.xml")
    files = [(tmp_path / f"made.{end}").read_bytes() for end in ("xml", "bin")]
    int8.write(tmp_path, (files[0], files[1]), loaded.digest, loaded.network.config, {})
    return loaded


def engine_of(loaded: Loaded, engine: OpenVINOEngine | TorchEngine) -> str:
    """Build a classifier, check that it computes what its name says, and return the name."""
    classifier = Classifier(loaded.network, engine, (loaded.folder, loaded.digest))
    crops = np.random.default_rng(0).integers(0, 256, (2, 64, 64), np.uint8)
    exact = Classifier(loaded.network, TorchEngine())(crops)[0].logits
    equal = np.allclose(classifier(crops)[0].logits, exact, atol=1e-3)
    assert equal == ("int8" not in classifier.engine)
    return classifier.engine


def test_the_model_that_belongs_to_the_weights_runs(
    loaded: Loaded, openvino: OpenVINOEngine
) -> None:
    assert engine_of(loaded, openvino) == "OpenVINO int8"


def test_torch_runs_the_weights_themselves(loaded: Loaded) -> None:
    assert engine_of(loaded, TorchEngine()) == "torch"


def test_weights_without_such_a_model_run_as_they_are_and_nothing_is_said(
    loaded: Loaded, openvino: OpenVINOEngine, caplog: pytest.LogCaptureFixture
) -> None:
    (loaded.folder / int8.RECORD).unlink()

    assert engine_of(loaded, openvino) == "OpenVINO"
    assert not caplog.messages


def test_a_processor_without_fast_8_bit_arithmetic_runs_the_weights(
    loaded: Loaded, openvino: OpenVINOEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "DEFAULT")

    assert engine_of(loaded, openvino) == "OpenVINO"


def test_replaced_weights_leave_the_old_model_unused(
    loaded: Loaded, openvino: OpenVINOEngine, caplog: pytest.LogCaptureFixture
) -> None:
    save_network(EmotionNet(CONFIG), loaded.folder)

    assert engine_of(load(str(loaded.folder)), openvino) == "OpenVINO"
    assert "other weights" in caplog.text


def test_another_normalisation_leaves_the_old_model_unused(
    loaded: Loaded, openvino: OpenVINOEngine
) -> None:
    values = json.loads((loaded.folder / "config.json").read_text("utf-8"))
    (loaded.folder / "config.json").write_text(json.dumps({**values, "mean": 0.4}))

    assert engine_of(load(str(loaded.folder)), openvino) == "OpenVINO"


def test_a_model_of_an_earlier_version_has_the_mirror_image_inside(
    tmp_path: Path, openvino: OpenVINOEngine
) -> None:
    torch.manual_seed(0)
    save_network(EmotionNet(replace(CONFIG, mirror=True)), tmp_path)
    loaded = load(str(tmp_path))
    crops = np.random.default_rng(0).integers(0, 256, (2, 64, 64), np.uint8)
    expected = Classifier(loaded.network, TorchEngine())(crops)[0].logits
    for mirrors in (True, False):
        model = openvino.convert(ClassifierGraph(loaded.network, mirrors), EXAMPLE, VARYING)
        openvino.save(model, tmp_path / "made.xml")
        files = [(tmp_path / f"made.{end}").read_bytes() for end in ("xml", "bin")]
        int8.write(tmp_path, (files[0], files[1]), loaded.digest, loaded.network.config, {})
        record = json.loads((tmp_path / int8.RECORD).read_text("utf-8"))
        record["graph"]["mirror"] = mirrors
        (tmp_path / int8.RECORD).write_text(json.dumps(record))

        classifier = Classifier(loaded.network, openvino, (tmp_path, loaded.digest))

        assert classifier.engine == "OpenVINO int8"
        np.testing.assert_allclose(classifier(crops)[0].logits, expected, atol=1e-3)
        one = classifier(crops, [View.STRAIGHT, View.MIRRORED])[0].logits
        # Such a model always answers from both.
        assert np.allclose(one, expected, atol=1e-3) == mirrors


def test_the_mean_of_both_views_is_what_the_network_calls_evidence(
    openvino: OpenVINOEngine,
) -> None:
    torch.manual_seed(0)
    network = EmotionNet(replace(CONFIG, mirror=True)).eval()
    crops = np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8)
    with torch.inference_mode():
        inputs = normalise(crops, network.config)
        straight, expected = network.features(inputs), network.evidence(inputs)
    run = openvino.compile(ClassifierGraph(network), EXAMPLE, VARYING)

    found = evidence(run, crops, [View.BOTH, View.STRAIGHT, View.BOTH])

    np.testing.assert_allclose(found[::2], expected[::2], atol=1e-4)
    np.testing.assert_allclose(found[1], straight[1], atol=1e-4)


def test_another_calibration_or_threshold_needs_no_new_model(
    loaded: Loaded, openvino: OpenVINOEngine
) -> None:
    offsets = (0.1, 0.0, 0.0, 0.0, 0.0, -0.1)
    config = replace(
        loaded.network.config, temperature=2.0, class_offsets=offsets, abstain_below=0.5
    )

    assert int8.load(loaded.folder, loaded.digest, config, openvino)


def test_a_convention_with_a_body_of_its_own_runs_the_weights_and_nothing_is_said(
    loaded: Loaded, openvino: OpenVINOEngine, caplog: pytest.LogCaptureFixture
) -> None:
    config = replace(loaded.network.config, conventions=("jaffe",), conventions_by="offset")
    told = config.answering("jaffe")

    assert int8.load(loaded.folder, loaded.digest, config, openvino)
    assert int8.load(loaded.folder, loaded.digest, told, openvino) is None

    files = [(loaded.folder / name).read_bytes() for name in (int8.STRUCTURE, int8.CONSTANTS)]
    int8.write(loaded.folder, (files[0], files[1]), loaded.digest, told, {})
    assert int8.load(loaded.folder, loaded.digest, told, openvino)
    assert int8.load(loaded.folder, loaded.digest, config, openvino) is None
    assert not caplog.records


@pytest.mark.parametrize("name", [int8.RECORD, int8.STRUCTURE, int8.CONSTANTS])
@pytest.mark.parametrize("damage", ["cut", "emptied", "gone"])
def test_a_damaged_model_is_one_line_and_the_weights_run(
    name: str,
    damage: str,
    loaded: Loaded,
    openvino: OpenVINOEngine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = loaded.folder / name
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    if damage == "gone":
        file.unlink()

    assert int8.load(loaded.folder, loaded.digest, loaded.network.config, openvino) is None
    missing_altogether = damage == "gone" and name == int8.RECORD
    assert len(caplog.messages) == (0 if missing_altogether else 1)
    assert all("\n" not in line and "not used" in line for line in caplog.messages)


@pytest.fixture
def embedded() -> tuple[Loaded, dict[str, Any]]:
    """The shipped weights and what was measured of the 8-bit model beside them."""
    if not (EMBEDDED / int8.RECORD).exists():
        pytest.skip("no 8-bit model is shipped; make it: python -m train export --weights embedded")
    return load("embedded"), json.loads((EMBEDDED / int8.RECORD).read_text("utf-8"))["measured"]


def test_the_shipped_model_is_of_the_shipped_weights_and_within_the_limits(
    embedded: tuple[Loaded, dict[str, Any]], openvino: OpenVINOEngine
) -> None:
    loaded, measured = embedded

    assert Classifier(loaded.network, openvino, (loaded.folder, loaded.digest)).engine.endswith(
        "int8"
    )
    assert too_costly(measured["all"]) is None


@pytest.mark.corpora
def test_the_shipped_models_maps_and_answers_are_those_of_the_weights(
    embedded: tuple[Loaded, dict[str, Any]], openvino: OpenVINOEngine, shared_data: Path
) -> None:
    loaded, _ = embedded
    rows = load_corpus("fer2013", shared_data / "fer2013.zip", splits=["public"]).splits["public"]
    chosen = rows.select(range(0, len(rows), len(rows) // 40))
    faces = np.stack([plain_crop(decode_image(image_bytes(r["image"])))[0] for r in chosen])

    exact, maps = Classifier(loaded.network, openvino)(faces)
    rough, rough_maps = Classifier(loaded.network, openvino, (loaded.folder, loaded.digest))(faces)

    labels = exact.logits.argmax(1).numpy()
    assert np.nanmean(cam_correlation(maps, rough_maps, labels)) > 0.98
    assert (rough.logits.argmax(1).numpy() == labels).mean() > 0.9


def test_an_interrupted_replacement_leaves_no_model_of_two_halves(
    loaded: Loaded, openvino: OpenVINOEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("emotion.int8.write_text", stop)
    with pytest.raises(KeyboardInterrupt):
        int8.write(loaded.folder, (b"a", b"b"), loaded.digest, loaded.network.config, {})

    assert int8.load(loaded.folder, loaded.digest, loaded.network.config, openvino) is None
