"""``python -m train export``."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from emotion import graph_file, int8
from emotion.classifier import EXAMPLE, VARYING, Classifier, ClassifierGraph
from emotion.config import NetworkConfig
from emotion.engine.openvino_engine import OpenVINOEngine
from emotion.network import EmotionNet
from emotion.weights import load
from train.cli import main
from train.scoring import browser
from train.scoring import export as exporter
from train.scoring.export import cam_correlation, measure, quantise, read_faces, too_costly
from train.scoring.inference import save_network

GOOD = {"accuracy_float32": 0.71, "accuracy_int8": 0.7072, "cam_correlation": 0.981}


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Untrained narrow weights that say they come from drawn faces."""
    torch.manual_seed(1)
    config = NetworkConfig(widths=(8, 8, 16, 16), trained_on=("synthetic/train",))
    save_network(EmotionNet(config), tmp_path)
    return tmp_path


def test_the_model_is_written_measured_and_then_used(
    run_folder: Path,
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Untrained weights hardly tell the twelve faces apart, so that anything turns an answer.
    monkeypatch.setattr(exporter, "MAX_LOSS", 0.5)
    monkeypatch.setattr(exporter, "MIN_CORRELATION", 0.9)

    code = main(["export", "--run", str(run_folder), "--data", str(prepared)])

    output = capsys.readouterr().out
    measured = json.loads((run_folder / int8.RECORD).read_text("utf-8"))["measured"]
    assert code == 0
    assert list(measured) == ["synthetic", "all"]
    assert measured["all"]["n"] == 12
    assert f"{measured['all']['cam_correlation']:.4f}" in output
    loaded = load(str(run_folder))
    place = (loaded.folder, loaded.digest)
    engine = OpenVINOEngine()
    graph = graph_file.read_int8(run_folder, loaded.digest, loaded.network.config)
    assert graph is not None
    costs = browser.measured_of(graph)["all"]
    assert costs["n"] == 12
    assert f"{costs['cam_correlation']:.4f}" in output
    ours, exact = Classifier(loaded.network, engine, place), Classifier(loaded.network, engine)
    crops = np.random.default_rng(0).integers(0, 256, (4, 64, 64), np.uint8)
    assert ours.engine == "OpenVINO int8"
    assert 0 < (ours(crops)[0].logits - exact(crops)[0].logits).abs().max() < 0.5
    (single, single_maps), (batch, maps) = ours(crops[:1]), ours(crops)
    for one, many in ((single.logits, batch.logits), (single_maps, maps)):
        np.testing.assert_allclose(one[0], many[0], atol=1e-4)


def test_a_face_in_the_dark_is_the_same_face_in_8_bits(prepared: Path) -> None:
    torch.manual_seed(1)
    network = EmotionNet(NetworkConfig(widths=(8, 8, 16, 16), standardise="crop"))
    faces, _ = read_faces(prepared, ["synthetic"], 20, 0)
    engine = OpenVINOEngine()
    model = engine.load(*quantise(network, faces, engine))
    dark = faces.numpy()[:4] // 8

    (features,) = model(dark)

    (bright,) = model(dark * 8)
    np.testing.assert_allclose(features, bright, atol=1e-3)


def test_without_the_browsers_quantiser_one_sentence_says_so_and_nothing_is_written(
    run_folder: Path,
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    before = sorted(run_folder.iterdir())

    code = main(["export", "--run", str(run_folder), "--data", str(prepared)])

    errors = capsys.readouterr().err
    assert code == 2
    assert "onnxruntime" in errors
    assert "requirements-dev.txt" in errors
    assert errors.count("\n") == 1
    assert sorted(run_folder.iterdir()) == before


def test_answers_are_measured_as_they_are_calibrated(run_folder: Path, prepared: Path) -> None:
    network = load(str(run_folder)).network
    _, stores = read_faces(prepared, ["synthetic"], 20, 0)
    labels = stores["synthetic"].labels
    for label in (1, 4):
        offsets = tuple(100.0 * (index == label) for index in range(6))
        network.config = replace(network.config, class_offsets=offsets)
        engine = OpenVINOEngine()
        quantised = engine.compile(ClassifierGraph(network), EXAMPLE, VARYING)

        figures = measure(network, quantised, engine, stores)["all"]

        share = float((labels == label).float().mean())
        for kind in ("float32", "int8"):
            assert figures[f"accuracy_{kind}"] == pytest.approx(share, abs=1e-4)
            # Every answer is certain, so what is wrong of them is the calibration error.
            assert figures[f"ece_{kind}"] == pytest.approx(1 - share, abs=1e-4)


def test_a_model_beyond_the_limits_is_not_written_and_the_numbers_are_said(
    run_folder: Path,
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(exporter, "MIN_CORRELATION", 0.999999)
    before = sorted(run_folder.iterdir())

    code = main(["export", "--weights", str(run_folder), "--data", str(prepared)])

    assert code == 1
    assert "must be above 0.999999" in capsys.readouterr().out
    assert sorted(run_folder.iterdir()) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"accuracy_int8": 0.75}, None),
        ({"accuracy_int8": 0.706}, "0.40 points"),
        ({"cam_correlation": 0.98}, "0.9800"),
        ({"cam_correlation": float("nan")}, "nan"),
    ],
)
def test_the_limits_are_those_of_the_design(changes: dict[str, float], words: str | None) -> None:
    reason = too_costly({**GOOD, **changes})

    assert reason is None if words is None else words in str(reason)


def test_the_maps_correlation_is_spearmans_for_the_chosen_class() -> None:
    random = np.random.default_rng(0)
    exact = np.maximum(random.normal(size=(5, 6, 8, 8)), 0).astype(np.float32)
    rough = np.maximum(exact + random.normal(0, 0.3, exact.shape), 0).astype(np.float32)
    chosen = np.array([0, 5, 2, 2, 1])
    exact[4, 1] = 0

    values = cam_correlation(exact, rough, chosen)

    for face in range(4):
        expected = spearmanr(exact[face, chosen[face]].ravel(), rough[face, chosen[face]].ravel())
        assert values[face] == pytest.approx(expected.statistic, abs=1e-5)
    assert np.isnan(values[4])


def test_calibration_sees_training_faces_only(prepared: Path) -> None:
    training, validation = read_faces(prepared, ["synthetic"], 20, 5)

    held = {face.numpy().tobytes() for face in validation["synthetic"].faces}
    assert len(training) == 20
    assert len(validation["synthetic"]) == 5
    assert not held & {face.numpy().tobytes() for face in training}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--weights", "hf://a/b", "--data", "{data}"], "download them"),
        (["--weights", "{run}"], "holds no prepared synthetic"),
        (["--weights", "{run}", "--data", "{data}", "--calibration", "0"], "--calibration"),
        (["--weights", "{run}/gone", "--data", "{data}"], "are not there"),
    ],
)
def test_unusable_input_is_one_sentence_and_exit_code_2(
    arguments: list[str],
    words: str,
    run_folder: Path,
    prepared: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = main(["export", *(text.format(run=run_folder, data=prepared) for text in arguments)])

    errors = capsys.readouterr().err
    assert code == 2
    assert words in errors
    assert errors.count("\n") == 1
