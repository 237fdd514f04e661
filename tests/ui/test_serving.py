"""Weights that are renewed while the page runs."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from emotion.analyzer import Analyzer
from emotion.config import NetworkConfig
from emotion.detect import RetinaFaceDetector
from emotion.engine import choose
from emotion.errors import WeightsError
from emotion.network import EmotionNet
from emotion.ui import serving as module
from emotion.ui.gate import BusyError, Gate
from emotion.ui.serving import Serving, renewal, weights_name
from emotion.ui.strings import table
from emotion.weights import load

CROPS = np.full((1, 64, 64), 128, np.uint8)


def save(folder: Path, seed: int, width: int = 8) -> None:
    torch.manual_seed(seed)
    EmotionNet(NetworkConfig(widths=(width,) * 4)).save_pretrained(folder)


@pytest.fixture(scope="module")
def detector() -> RetinaFaceDetector:
    return RetinaFaceDetector(engine=choose())


@pytest.fixture(autouse=True)
def one_detector(detector: RetinaFaceDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights do not change it, and making it anew for each of these networks takes minutes."""
    monkeypatch.setattr("emotion.analyzer.RetinaFaceDetector", lambda engine: detector)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "weights", 1)
    return tmp_path / "weights"


@pytest.fixture
def serving(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Serving:
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    return Serving(Analyzer.from_weights(str(folder)), str(folder))


@pytest.fixture
def gate() -> Gate:
    return Gate(1)


def test_it_answers_as_its_analyzer_does(serving, folder):
    expected, *_ = Analyzer.from_weights(str(folder)).classify(CROPS)
    assert np.array_equal(serving.analyzer.classify(CROPS)[0], expected)
    assert serving.analyzer.description["weights"] == str(folder)


def test_newer_weights_answer_after_a_renewal_and_not_before(serving, gate, folder):
    before, *_ = serving.analyzer.classify(CROPS)
    save(folder, 2, width=16)
    assert np.array_equal(serving.analyzer.classify(CROPS)[0], before)

    assert serving.renew(gate)

    expected, *_ = Analyzer.from_weights(str(folder)).classify(CROPS)
    assert np.array_equal(serving.analyzer.classify(CROPS)[0], expected)
    assert not np.array_equal(expected, before)
    assert not serving.renew(gate)


def test_a_new_calibration_of_the_same_tensors_is_newer_too(serving, gate, folder):
    before, *_ = serving.analyzer.classify(CROPS)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "temperature": 9.0}))

    assert serving.renew(gate)

    assert serving.analyzer.classify(CROPS)[0].max() < before.max()


def test_weights_that_cannot_be_had_leave_the_old_ones_at_work(serving, gate, folder):
    before, *_ = serving.analyzer.classify(CROPS)
    (folder / "model.safetensors").write_bytes(b"")

    with pytest.raises(WeightsError, match="is damaged"):
        serving.renew(gate)

    assert np.array_equal(serving.analyzer.classify(CROPS)[0], before)
    answer = renewal(serving, gate)()
    assert answer["said"] == "weights_kept"
    assert str(folder.parent) not in answer["detail"]


def test_requests_in_flight_never_meet_half_of_a_network(serving, gate, folder):
    """Networks of different widths cannot be mixed without an exception."""
    stop, problems, served = threading.Event(), [], set()

    def visit() -> None:
        while not stop.is_set():
            try:
                served.add(serving.analyzer.classify(CROPS)[0].tobytes())
            except Exception as error:
                problems.append(error)
            stop.wait(0.001)  # three that never rest leave the renewal no processor

    visitors = [threading.Thread(target=visit) for _ in range(3)]
    for visitor in visitors:
        visitor.start()
    for seed in range(4):
        save(folder, seed, width=8 + 8 * (seed % 2))
        serving.renew(gate)
    stop.set()
    for visitor in visitors:
        visitor.join()

    assert problems == []
    assert len(served) > 1


def test_a_page_that_fell_back_gets_what_was_asked_for_once_it_is_there(tmp_path, gate):
    asked = tmp_path / "weights"
    serving = Serving(Analyzer.from_weights("embedded"), str(asked))
    save(asked, 3)

    answer = renewal(serving, gate)()

    assert (answer["said"], answer["weights"], answer["notice"]) == (
        "weights_renewed",
        "weights",
        None,
    )
    assert serving.analyzer.description["weights"] == str(asked)


def test_two_looks_at_once_are_one(folder, gate):
    serving = Serving(Analyzer.from_weights(str(folder)), str(folder))
    assert not serving.renew(gate)
    with pytest.raises(BusyError):
        serving.renew(gate)
    assert renewal(serving, gate)()["said"] == "weights_busy"


def test_a_new_network_waits_for_its_turn(serving, gate, folder):
    save(folder, 4)
    done = threading.Event()
    with gate.enter():
        thread = threading.Thread(target=lambda: (serving.renew(gate), done.set()))
        thread.start()
        assert not done.wait(0.3)
    thread.join()
    assert done.is_set()


@pytest.mark.parametrize(
    ("spec", "revision", "shown"),
    [
        ("embedded", None, "embedded"),
        ("/srv/runs/mine", None, "mine"),
        ("hf://me/model", "0123456789abcdef" * 2 + "01234567", "hf://me/model (0123456789ab)"),
        ("hf://me/model@0123", "0123", "hf://me/model@0123"),
    ],
)
def test_what_runs_is_named_without_folders_and_with_its_commit(spec, revision, shown):
    assert weights_name({"weights": spec, "revision": revision}) == shown


def test_every_answer_has_a_sentence(serving, gate):
    assert renewal(serving, gate)()["said"] in table()["en"]
    for key in ("weights_renewed", "weights_same", "weights_busy", "weights_kept", "internal"):
        assert key in table()["de"]


def test_the_description_says_where_weights_came_from(folder):
    loaded = load(str(folder))
    assert Analyzer.from_loaded(loaded).description["revision"] is None
    assert Analyzer.from_loaded(loaded).description["notice"] is None
