from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.ops import nms

from emotion.detect import Face, RetinaFaceDetector
from emotion.detect.checkpoint import MOBILENET_WEIGHTS
from emotion.detect.mobilenet import resnet50_retinaface
from emotion.detect.priors import suppress
from emotion.errors import WeightsError

Image = npt.NDArray[np.uint8]

# Read off the portrait by eye: left eye, right eye, nose tip, mouth corners.
ASTRONAUT = np.array([[205, 101], [246, 103], [225, 125], [203, 144], [243, 146]])


@pytest.fixture(scope="module")
def detector() -> RetinaFaceDetector:
    return RetinaFaceDetector()


def head(astronaut: Image) -> Image:
    return astronaut[30:200, 140:310]


def overlap(first: Face, box: npt.NDArray[np.float32]) -> float:
    low, high = np.maximum(first.box[:2], box[:2]), np.minimum(first.box[2:], box[2:])
    shared = np.prod(np.clip(high - low, 0, None))
    areas = [np.prod(b[2:] - b[:2]) for b in (first.box, box)]
    return float(shared / (sum(areas) - shared))


def test_the_landmarks_lie_on_eyes_nose_and_mouth(
    detector: RetinaFaceDetector, astronaut: Image
) -> None:
    (face,) = detector.detect(astronaut)

    assert face.score > 0.9
    assert np.abs(face.landmarks - ASTRONAUT).max() < 6
    assert (face.landmarks >= face.box[:2]).all()
    assert (face.landmarks <= face.box[2:]).all()


def test_faces_come_largest_first(
    detector: RetinaFaceDetector, astronaut: Image, hopper: Image
) -> None:
    small = cv2.resize(head(astronaut), None, fx=0.6, fy=0.6)
    scene = np.full((700, 900, 3), 128, np.uint8)
    scene[:600, 380:892] = hopper
    scene[40 : 40 + small.shape[0], 30 : 30 + small.shape[1]] = small

    faces = detector.detect(scene)

    assert len(faces) == 2
    assert faces[0].size > faces[1].size
    assert faces[0].box[0] > 380 > faces[1].box[2]


def test_coordinates_follow_the_picture_when_it_is_moved_and_scaled(
    detector: RetinaFaceDetector, astronaut: Image
) -> None:
    (face,) = detector.detect(astronaut)
    wide = np.pad(astronaut, ((100, 0), (200, 50), (0, 0)), mode="edge")
    (moved,) = detector.detect(np.ascontiguousarray(wide))
    (half,) = detector.detect(cv2.resize(astronaut, None, fx=0.5, fy=0.5))

    assert overlap(moved, face.box + np.float32([200, 100, 200, 100])) > 0.85
    assert overlap(half, face.box / 2) > 0.8


@pytest.mark.parametrize("side", [48, 64, 100])
def test_a_small_tight_crop_is_found_on_an_enlarged_copy(
    detector: RetinaFaceDetector, astronaut: Image, side: int
) -> None:
    crop = cv2.resize(astronaut[50:190, 155:295], (side, side), interpolation=cv2.INTER_AREA)
    grey = np.repeat(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)

    (face,) = detector.detect(grey)

    expected = (ASTRONAUT - [155, 50]) * (side / 140)
    assert np.abs(face.landmarks - expected).max() < 0.06 * side


def test_a_smaller_copy_is_enough_for_large_faces_only(
    detector: RetinaFaceDetector, astronaut: Image
) -> None:
    scene = np.full((480, 640, 3), 127, np.uint8)
    scene[40:210, 40:210] = head(astronaut)
    small = cv2.resize(head(astronaut), (40, 40), interpolation=cv2.INTER_AREA)
    scene[300:340, 500:540] = small

    assert len(detector.detect(scene)) == 2
    (face,) = detector.detect(scene, max_side=240)

    assert overlap(detector.detect(scene)[0], face.box) > 0.75


def test_every_face_of_a_large_group_photo_is_found(
    detector: RetinaFaceDetector, astronaut: Image
) -> None:
    small = cv2.resize(head(astronaut), (110, 110), interpolation=cv2.INTER_AREA)
    photo = np.full((1500, 2000, 3), 120, np.uint8)
    places = [(100 + 350 * row, 100 + 380 * column) for row in range(4) for column in range(5)]
    for y, x in places:
        photo[y : y + 110, x : x + 110] = small

    faces = detector.detect(photo)

    found = {(int(f.box[1]) // 350, int(f.box[0]) // 380) for f in faces}
    assert len(faces) == len(found) == len(places)


@pytest.mark.parametrize("margin", [10, 30])
def test_a_face_that_fills_a_large_photo_is_one_face(
    detector: RetinaFaceDetector, astronaut: Image, margin: int
) -> None:
    close = astronaut[60 - margin : 170 + margin, 170 - margin : 280 + margin]
    photo = cv2.resize(close, (2000, 2000), interpolation=cv2.INTER_CUBIC)

    (face,) = detector.detect(photo)

    assert face.size > 900


def test_a_face_cut_by_the_border_is_found(detector: RetinaFaceDetector, astronaut: Image) -> None:
    (face,) = detector.detect(np.ascontiguousarray(astronaut[:, 195:]))

    assert face.box[0] < 10


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (1, 2000), (4, 4), (300, 7)])
def test_pictures_too_small_for_a_face_have_none(
    detector: RetinaFaceDetector, shape: tuple[int, int]
) -> None:
    assert detector.detect(np.full((*shape, 3), 127, np.uint8)) == []


def test_noise_and_flat_pictures_have_no_face(detector: RetinaFaceDetector) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)

    assert detector.detect(noise) == []
    assert detector.detect(np.zeros((480, 640, 3), np.uint8)) == []


def test_thresholds_drop_weak_and_small_faces(
    detector: RetinaFaceDetector, astronaut: Image
) -> None:
    (face,) = detector.detect(astronaut)

    assert detector.detect(astronaut, min_size=face.size + 1) == []
    assert detector.detect(astronaut, min_score=face.score + 1e-6) == []
    assert detector.detect(astronaut, min_size=face.size - 1)


def test_decoding_equals_the_equations(astronaut: Image, detector: RetinaFaceDetector) -> None:
    # Box = prior centre + 0.1 * offset * prior size, size = prior size * exp(0.2 * offset); the
    # best anchor is decoded here by hand from the network's outputs.
    deltas, scores, points = detector._heads(astronaut[None])
    best = int(scores.argmax())
    anchors = []
    for step, sizes in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512))):
        cells = -(-512 // step)
        for row in range(cells):
            for column in range(cells):
                for size in sizes:
                    anchors.append(((column + 0.5) * step, (row + 0.5) * step, size))
    x, y, size = anchors[best]
    dx, dy, dw, dh = deltas[best].tolist()
    centre = np.array([x + 0.1 * dx * size, y + 0.1 * dy * size])
    half = np.exp([0.2 * dw, 0.2 * dh]) * size / 2
    landmarks = points[best].reshape(5, 2) * 0.1 * size + [x, y]

    (face,) = detector.detect(astronaut)

    np.testing.assert_allclose(face.box, [*(centre - half), *(centre + half)], atol=1e-2)
    np.testing.assert_allclose(face.landmarks, landmarks, atol=1e-2)


def test_the_resnet50_detector_loads_weights_from_a_path(tmp_path: Path, astronaut: Image) -> None:
    torch.manual_seed(0)
    network = resnet50_retinaface()
    save_file(network.state_dict(), tmp_path / "resnet50.safetensors")

    detector = RetinaFaceDetector("resnet50", tmp_path / "resnet50.safetensors")

    assert detector.backbone == "resnet50"
    assert isinstance(detector.detect(astronaut, min_score=0.99), list)


def test_the_same_resnet50_weights_saved_by_torch_load_too(tmp_path: Path) -> None:
    torch.save({"state_dict": resnet50_retinaface().state_dict()}, tmp_path / "resnet50.pth")

    assert RetinaFaceDetector("resnet50", tmp_path / "resnet50.pth").backbone == "resnet50"


def test_unusable_weights_are_refused_in_one_sentence(tmp_path: Path) -> None:
    truncated = tmp_path / "truncated.safetensors"
    truncated.write_bytes(MOBILENET_WEIGHTS.read_bytes()[:5000])
    foreign = tmp_path / "foreign.safetensors"
    tensors = load_file(MOBILENET_WEIGHTS)
    tensors.pop("ClassHead.0.conv1x1.bias")
    save_file(tensors, foreign)
    pickled = tmp_path / "evil.pth"
    torch.save({"state_dict": Path("evil")}, pickled)

    for path in (truncated, foreign, pickled, tmp_path / "missing.safetensors"):
        with pytest.raises(WeightsError) as caught:
            RetinaFaceDetector(weights=path)
        assert path.name in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(20))
def test_overlapping_boxes_are_dropped_as_torchvision_does(seed: int) -> None:
    chance = np.random.default_rng(seed)
    corners = chance.uniform(-20, 580, (seed * 10, 2)).astype(np.float32)
    sizes = chance.uniform(2, 80, corners.shape).astype(np.float32)
    boxes = np.hstack([corners, corners + sizes])
    scores = chance.random(len(boxes), np.float32)
    expected = nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.4).numpy()
    assert suppress(boxes, scores).tolist() == expected.tolist()
