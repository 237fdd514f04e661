"""OpenVINO computes what torch computes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from emotion import Analyzer
from emotion.align import align_face, plain_crop
from emotion.classifier import Classifier
from emotion.detect import RetinaFaceDetector
from emotion.engine import TorchEngine
from emotion.engine.openvino_engine import OpenVINOEngine
from emotion.images import decode_image
from emotion.network import EmotionNet, Outputs
from emotion.weights import load_weights
from train.corpora import image_bytes, load_corpus
from train.corpora.drawing import draw_face

Crops = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def openvino() -> OpenVINOEngine:
    return OpenVINOEngine()


def everything() -> EmotionNet:
    """The embedded body with all that a network can have behind it."""
    embedded = load_weights()
    torch.manual_seed(0)
    config = replace(
        embedded.config,
        mirror=True,
        calm=True,
        conventions=("ours",),
        convention="ours",
        calibrations={},
    )
    network = EmotionNet(config)
    network.load_state_dict(embedded.state_dict(), strict=False)
    return network.eval()


@pytest.fixture(scope="module")
def reference() -> Classifier:
    return Classifier(everything(), TorchEngine())


@pytest.fixture(scope="module")
def compiled(openvino: OpenVINOEngine) -> Classifier:
    return Classifier(everything(), openvino)


@pytest.fixture(scope="module")
def drawn() -> Crops:
    """Six drawn expressions, aligned, and what no face looks like: noise, black and white."""
    labels = ("happiness", "surprise", "sadness", "anger", "disgust", "fear")
    faces = [align(*draw_face(label, 0, i)) for i, label in enumerate(labels)]
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    return np.stack([*faces, noise, np.zeros_like(noise), np.full_like(noise, 255)])


def align(picture: bytes, landmarks: tuple[float, ...]) -> Crops:
    return align_face(decode_image(picture), np.reshape(landmarks, (5, 2)))[0]


def arrays(answer: tuple[Outputs, npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
    """Return what a classifier answered as arrays over the same memory."""
    outputs, maps = answer
    return [maps, *(value.numpy() for value in outputs if value is not None)]


def assert_same(ours: Classifier, reference: Classifier, crops: Crops) -> None:
    (one, maps), (other, other_maps) = ours(crops), reference(crops)
    for name, a, b in zip(one._fields, one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-3, err_msg=name)
    np.testing.assert_allclose(maps, other_maps, rtol=0, atol=1e-3)
    assert (one.logits.argmax(1) == other.logits.argmax(1)).all()


def test_logits_maps_and_features_of_drawn_faces_are_torchs(
    compiled: Classifier, reference: Classifier, drawn: Crops
) -> None:
    assert_same(compiled, reference, drawn)


@pytest.mark.corpora
def test_logits_maps_and_features_of_a_corpus_sample_are_torchs(
    compiled: Classifier, reference: Classifier, shared_data: Path
) -> None:
    rows = load_corpus("fer2013", shared_data / "fer2013.zip", splits=["public"]).splits["public"]
    chosen = rows.select(range(0, len(rows), len(rows) // 48))
    crops = [plain_crop(decode_image(image_bytes(row["image"])))[0] for row in chosen]

    assert_same(compiled, reference, np.stack(crops))


def test_a_batch_is_its_single_crops_whatever_came_before(
    compiled: Classifier, drawn: Crops
) -> None:
    singles = [compiled(crop[None]) for crop in drawn[:3]]
    batch = compiled(drawn[:3])
    again = compiled(drawn[:1])

    for index, single in enumerate(singles):
        for one, many in zip(arrays(single), arrays(batch), strict=True):
            np.testing.assert_allclose(one[0], many[index], atol=1e-5)
    for one, many in zip(arrays(singles[0]), arrays(again), strict=True):
        np.testing.assert_array_equal(one, many)


def test_answers_stay_what_they_were_when_the_engine_goes_on(
    compiled: Classifier, drawn: Crops
) -> None:
    first = arrays(compiled(drawn[:2]))
    copies = [array.copy() for array in first]

    compiled(drawn[2:4])

    for array, copy in zip(first, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_crops_that_may_not_be_written_or_are_no_block_are_accepted(
    compiled: Classifier, drawn: Crops
) -> None:
    expected = compiled(drawn[:4:2])[0].logits
    frozen = drawn[:4:2].copy()
    frozen.flags.writeable = False
    flipped = np.ascontiguousarray(drawn[:4:2, :, ::-1])[:, :, ::-1]

    np.testing.assert_array_equal(compiled(frozen)[0].logits, expected)
    np.testing.assert_array_equal(compiled(flipped)[0].logits, expected)


def test_threads_sharing_a_classifier_get_the_single_thread_answers(
    compiled: Classifier, drawn: Crops
) -> None:
    batches = [drawn[i : i + 1 + i % 3] for i in range(6)]
    expected = [compiled(batch) for batch in batches]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(compiled, batches * 2))

    for ours, right in zip(answers, expected * 2, strict=True):
        for one, other in zip(arrays(ours), arrays(right), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(512, 512), (240, 320), (61, 47), (480, 641)])
def test_the_detector_finds_the_same_faces_at_any_size(
    openvino: OpenVINOEngine, astronaut: Crops, shape: tuple[int, int]
) -> None:
    ours, reference = RetinaFaceDetector(engine=openvino), RetinaFaceDetector()
    picture = np.full((*shape, 3), 127, np.uint8)
    side = min(shape)
    head = astronaut[20:220, 120:320]
    picture[:side, :side] = cv2.resize(head, (side, side), interpolation=cv2.INTER_AREA)

    found, expected = ours.detect(picture), reference.detect(picture)

    assert len(found) == len(expected) == 1
    np.testing.assert_allclose(found[0].box, expected[0].box, atol=1e-2)
    np.testing.assert_allclose(found[0].landmarks, expected[0].landmarks, atol=1e-2)
    assert found[0].score == pytest.approx(expected[0].score, abs=1e-4)


def test_a_photo_gets_the_same_answer_from_both_engines(
    monkeypatch: pytest.MonkeyPatch, astronaut: Crops
) -> None:
    # The 8-bit model may lie beside the embedded weights; its limits have tests of their own.
    monkeypatch.setattr("emotion.int8.helps", lambda: False)
    answers = []
    for name in ("openvino", "torch"):
        monkeypatch.setenv("EMOTION_ENGINE", name)
        answers.append(Analyzer.from_weights().analyze(astronaut))

    for ours, other in zip(*answers, strict=True):
        np.testing.assert_allclose(ours.probabilities, other.probabilities, atol=1e-3)
        np.testing.assert_allclose(ours.cams, other.cams, atol=1e-3)
