"""8-bit models that came with weights of somebody else."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from emotion import int8
from emotion.classifier import EXAMPLE, VARYING, Classifier, ClassifierGraph
from emotion.engine import trial
from emotion.engine.openvino_engine import OpenVINOEngine
from emotion.network import EmotionNet
from emotion.weights import EMBEDDED, TENSORS, Loaded, load

pytestmark = pytest.mark.skipif(
    not int8.helps() or not (EMBEDDED / int8.RECORD).exists(),
    reason="this processor, or these weights, have no 8-bit model",
)


@pytest.fixture(scope="module")
def engine() -> OpenVINOEngine:
    return OpenVINOEngine()


@pytest.fixture
def copied(tmp_path: Path) -> Loaded:
    """The embedded weights in a folder of somebody else."""
    folder = tmp_path / "weights"
    shutil.copytree(EMBEDDED, folder)
    return load(str(folder))


def runs(loaded: Loaded, engine: OpenVINOEngine) -> bool:
    graph = partial(ClassifierGraph, loaded.network)
    return int8.load(loaded.folder, loaded.digest, loaded.network.config, engine, graph) is not None


def replaced(loaded: Loaded, structure: bytes, constants: bytes) -> Loaded:
    """Lay another model beside the tensors, with a record that fits it."""
    int8.write(
        loaded.folder, (structure, constants), loaded.digest, loaded.network.config, measured={}
    )
    return loaded


def exported(network: EmotionNet, engine: OpenVINOEngine, folder: Path) -> tuple[bytes, bytes]:
    path = folder / "other.xml"
    engine.save(engine.convert(ClassifierGraph(network), EXAMPLE, VARYING), path)
    return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def test_an_honest_model_runs(copied, engine):
    classifier = Classifier(copied.network, engine, (copied.folder, copied.digest))
    assert classifier.engine == "OpenVINO int8"


def test_a_model_that_answers_something_else_does_not_run(copied, engine, tmp_path, caplog):
    torch.manual_seed(0)
    other = EmotionNet(copied.network.config).eval()
    replaced(copied, *exported(other, engine, tmp_path))
    assert not runs(copied, engine)
    assert "something else than its tensors" in caplog.text


def test_a_model_whose_constants_were_changed_does_not_run(copied, engine, caplog):
    structure = (copied.folder / int8.STRUCTURE).read_bytes()
    constants = bytearray((copied.folder / int8.CONSTANTS).read_bytes())
    constants[: len(constants) // 2] = bytes(len(constants) // 2)
    replaced(copied, structure, bytes(constants))
    assert not runs(copied, engine)
    assert "is not used" in caplog.text


@pytest.mark.parametrize(
    "damage",
    [
        lambda structure: structure.replace(b'size="', b'size="9999999'),
        # Each starts a child, which takes seconds.
        *(
            pytest.param(damage, marks=pytest.mark.slow)
            for damage in (
                lambda structure: structure[: len(structure) // 2],
                lambda structure: structure.replace(b'offset="', b'offset="9'),
                lambda _: b"<?xml version='1.0'?><net/>",
                lambda _: b"",
            )
        ),
    ],
)
def test_a_structure_that_cannot_be_parsed_ends_nothing(copied, engine, damage, caplog):
    structure = (copied.folder / int8.STRUCTURE).read_bytes()
    replaced(copied, damage(structure), (copied.folder / int8.CONSTANTS).read_bytes())
    assert not runs(copied, engine)
    assert "is not used" in caplog.text


def test_a_child_that_crashes_is_a_model_that_is_not_used(copied, monkeypatch):
    monkeypatch.setattr(trial.sys, "executable", "/bin/false")
    with pytest.raises(ValueError, match="cannot be parsed"):
        trial.check(b"", b"", ClassifierGraph(copied.network))


@pytest.mark.parametrize(
    "answer",
    [
        lambda expected: b"",
        lambda expected: np.full_like(expected, np.nan).tobytes(),
        lambda expected: np.zeros_like(expected).tobytes(),
        lambda expected: (-expected).tobytes(),
    ],
)
def test_only_features_like_those_of_the_tensors_pass(copied, monkeypatch, answer):
    graph = ClassifierGraph(copied.network)
    crops = trial.draw_crops(7)
    monkeypatch.setattr(trial.secrets, "randbits", lambda _: 7)
    with torch.inference_mode():
        expected = graph(torch.from_numpy(crops))[-1].numpy()
    monkeypatch.setattr(trial, "_ask", lambda *_: expected.tobytes())
    trial.check(b"", b"", graph)
    monkeypatch.setattr(trial, "_ask", lambda *_: answer(expected))
    with pytest.raises(ValueError, match="it computes"):
        trial.check(b"", b"", graph)


def test_tensors_are_what_the_weights_are_known_by(copied):
    assert (copied.folder / TENSORS).exists()
    assert copied.digest == load("embedded").digest
