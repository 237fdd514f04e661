from __future__ import annotations

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from emotion import Analyzer
from emotion.align import template
from emotion.analyzer import FRAME_SIDE
from emotion.labels import LABELS
from emotion.network import EmotionNet, normalise
from emotion.result import FaceResult

Image = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer.from_weights()


def test_the_smiling_portrait_is_happy_with_its_heat_on_the_face(
    analyzer: Analyzer, astronaut: Image
) -> None:
    (face,) = analyzer.analyze(astronaut)

    assert face.label == "happiness"
    assert face.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert face.cams[0].sum() > 0


def test_the_result_describes_the_crop_it_was_made_from(
    analyzer: Analyzer, astronaut: Image
) -> None:
    (face,) = analyzer.analyze(astronaut)

    assert face.landmarks is not None
    moved = face.landmarks @ face.matrix[:, :2].T + face.matrix[:, 2]
    assert np.abs(moved - template(analyzer.network.config.zoom)).max() < 6
    probabilities, cams, _ = analyzer.classify(face.crop[None])
    np.testing.assert_allclose(face.probabilities, probabilities[0], atol=1e-6)
    np.testing.assert_allclose(face.cams, cams[0], atol=1e-6)


def test_several_faces_in_one_batch_equal_single_faces(
    analyzer: Analyzer, astronaut: Image, hopper: Image
) -> None:
    scene = np.full((700, 1100, 3), 127, np.uint8)
    scene[:512, :512] = astronaut
    scene[50:650, 560:1072] = hopper

    faces = analyzer.analyze(scene)

    assert len(faces) == 2
    for face in faces:
        probabilities, cams, _ = analyzer.classify(face.crop[None])
        np.testing.assert_allclose(face.probabilities, probabilities[0], atol=1e-5)
        np.testing.assert_allclose(face.cams, cams[0], atol=1e-5)
    assert len(analyzer.analyze(scene, max_faces=1)) == 1


def test_five_faces_are_five_results_the_largest_first(
    analyzer: Analyzer, astronaut: Image
) -> None:
    head = astronaut[20:220, 120:320]
    scene = np.full((420, 1100, 3), 127, np.uint8)
    for number, side in enumerate((200, 180, 160, 140, 120)):
        scene[10 : 10 + side, 215 * number : 215 * number + side] = cv2.resize(head, (side, side))

    faces = analyzer.analyze(scene)

    lefts = [face.box[0] for face in faces if face.box is not None]
    assert len(lefts) == 5
    assert lefts == sorted(lefts)


def test_a_live_frame_has_the_largest_faces_and_the_number_of_all(
    analyzer: Analyzer, astronaut: Image
) -> None:
    scene = np.full((480, 640, 3), 127, np.uint8)
    for number, side in enumerate((150, 180, 120)):
        head = cv2.resize(astronaut[20:220, 120:320], (side, side), interpolation=cv2.INTER_AREA)
        scene[150 : 150 + side, 200 * number : 200 * number + side] = head

    faces = analyzer.analyze(scene, max_faces=2, max_side=FRAME_SIDE, exact=False)

    assert faces.found == 3
    expected = analyzer.analyze(scene)[:2]
    for face, careful in zip(faces, expected, strict=True):
        assert face.landmarks is not None
        assert careful.landmarks is not None
        assert careful.box is not None
        width = careful.box[2] - careful.box[0]
        assert np.abs(face.landmarks - careful.landmarks).max() < 0.1 * width


def test_a_picture_without_a_face_has_no_result(analyzer: Analyzer) -> None:
    assert analyzer.analyze(np.zeros((100, 100, 3), np.uint8)) == []


def test_without_detection_the_whole_picture_is_one_face(
    analyzer: Analyzer, astronaut: Image
) -> None:
    (face,) = analyzer.analyze(astronaut[40:190, 150:300], detect=False)

    assert face.box is None
    assert face.landmarks is None
    assert face.probabilities.shape == (6,)


def test_below_the_threshold_the_answer_is_not_sure(analyzer: Analyzer, astronaut: Image) -> None:
    def answer(threshold: float) -> FaceResult:
        network = EmotionNet(replace(analyzer.network.config, abstain_below=threshold))
        network.load_state_dict(analyzer.network.state_dict())
        return Analyzer(network, analyzer.detector).analyze(astronaut)[0]

    confidence = answer(0).confidence

    assert analyzer.analyze(astronaut)[0].sure
    assert answer(confidence - 0.001).sure
    assert not answer(confidence + 0.001).sure


def test_every_face_has_its_own_temperature_and_classes_their_offsets(
    analyzer: Analyzer, astronaut: Image, hopper: Image
) -> None:
    crops = np.stack([analyzer.analyze(photo)[0].crop for photo in (astronaut, hopper)])
    slope = torch.linspace(-1, 1, analyzer.network.config.widths[-1])
    config = replace(
        analyzer.network.config,
        temperature=0.8,
        temperature_slope=tuple(slope.tolist()),
        temperature_offset=0.1,
        class_offsets=(0.5, -0.5, 0.0, 0.2, 0.0, -0.2),
    )
    network = EmotionNet(config).eval()
    network.load_state_dict(analyzer.network.state_dict())
    with torch.inference_mode():
        features = network.evidence(normalise(crops, config))
        logits, exponent = network.classify(features), features.mean((2, 3)) @ slope - 0.1
    temperatures = 0.8 * exponent.clamp(-math.log(2), math.log(2)).exp()

    probabilities, *_ = Analyzer(network, analyzer.detector).classify(crops)

    assert abs(temperatures[0] - temperatures[1]) > 1e-3
    expected = ((logits + torch.tensor(config.class_offsets)) / temperatures[:, None]).softmax(1)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


def test_a_one_pixel_picture_is_answered(analyzer: Analyzer) -> None:
    pixel = np.zeros((1, 1, 3), np.uint8)

    assert analyzer.analyze(pixel) == []
    assert len(analyzer.analyze(pixel, detect=False)) == 1


def test_colour_and_grey_pictures_get_the_same_answer(analyzer: Analyzer, astronaut: Image) -> None:
    grey = np.repeat(cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)

    colour_face, grey_face = analyzer.analyze(astronaut)[0], analyzer.analyze(grey)[0]

    assert np.abs(colour_face.probabilities - grey_face.probabilities).max() < 0.1
    assert colour_face.label == grey_face.label


def test_threads_sharing_an_analyzer_get_the_single_thread_answer(
    analyzer: Analyzer, astronaut: Image
) -> None:
    expected = analyzer.analyze(astronaut)[0].probabilities

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: analyzer.analyze(astronaut)[0], range(12)))

    assert all(np.array_equal(result.probabilities, expected) for result in results)


def test_the_description_names_what_runs(analyzer: Analyzer) -> None:
    description = analyzer.description

    assert description["weights"] == "embedded"
    assert tuple(description["labels"]) == LABELS


def test_importing_the_package_pulls_in_no_heavy_library() -> None:
    heavy = "{'torch', 'gradio', 'datasets', 'matplotlib', 'cv2', 'openvino'}"
    code = f"import sys, emotion; print({heavy} & set(sys.modules))"

    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert output.stdout.strip() == "set()"


def test_serving_imports_neither_the_page_nor_the_trainers_libraries() -> None:
    heavy = "{'gradio', 'datasets', 'matplotlib', 'train', 'albumentations', 'openvino'}"
    code = f"import sys; from emotion import Analyzer; print({heavy} & set(sys.modules))"

    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert output.stdout.strip() == "set()"


def test_the_candidates_are_the_two_most_probable_classes_in_order(
    analyzer: Analyzer, astronaut: Image
) -> None:
    (face,) = analyzer.analyze(astronaut)
    probabilities = np.array([0.1, 0.3, 0.15, 0.26, 0.1, 0.09], np.float32)

    assert replace(face, probabilities=probabilities).candidates == ("surprise", "anger")


def test_a_frame_gives_its_largest_faces_and_the_number_of_all(
    analyzer: Analyzer, astronaut: Image
) -> None:
    head = astronaut[20:220, 120:320]

    picture = np.tile(head, (1, 3, 1))

    for options in ({}, {"max_side": FRAME_SIDE, "exact": False}):
        faces = analyzer.analyze(picture, max_faces=2, **options)
        assert (len(faces), faces.found) == (2, 3)
    (again,) = analyzer.analyze([picture], max_faces=1)
    assert (len(again), again.found) == (1, 3)
    assert analyzer.analyze(picture, detect=False).found == 1
