from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.transform import estimate_transform

from emotion.align import align_face, box_crop, invert, plain_crop, template, umeyama, warp
from emotion.errors import AlignmentError


def similarity(angle: float, scale: float, x: float, y: float) -> npt.NDArray[np.float64]:
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cosine, -sine, x], [sine, cosine, y]])


def move(
    points: npt.NDArray[np.floating], matrix: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    return points @ matrix[:, :2].T + matrix[:, 2]


similarities = st.builds(
    similarity,
    st.floats(-np.pi, np.pi),
    st.floats(0.05, 20),
    st.floats(-500, 500),
    st.floats(-500, 500),
)


@given(similarities)
def test_umeyama_recovers_any_similarity(matrix: npt.NDArray[np.float64]) -> None:
    found = umeyama(template(), move(template(), matrix))

    np.testing.assert_allclose(found, matrix, atol=1e-8)


def test_umeyama_equals_scikit_image_on_noisy_points() -> None:
    random = np.random.default_rng(0)
    for _ in range(1000):
        source = random.normal(size=(5, 2)) * 20 + 50
        target = random.normal(size=(5, 2)) * 30

        expected = estimate_transform("similarity", source, target).params[:2]

        np.testing.assert_allclose(umeyama(source, target), expected, atol=1e-9)


def test_umeyama_never_reflects() -> None:
    mirrored = template() * [-1, 1]

    assert np.linalg.det(umeyama(mirrored, template())[:, :2]) > 0


@pytest.mark.parametrize(
    "landmarks",
    [
        np.full((5, 2), 7.0),
        np.full((5, 2), 7.0) + np.arange(10).reshape(5, 2) * 1e-9,
        np.full((5, 2), np.nan),
        np.array([[0, 0], [1, 0], [np.inf, 0], [0, 1], [1, 1]]),
        np.zeros((4, 2)),
        np.zeros((5, 3)),
    ],
    ids=["coincident", "almost coincident", "nan", "infinite", "four points", "three columns"],
)
def test_degenerate_landmarks_raise(landmarks: npt.NDArray[np.float64]) -> None:
    with pytest.raises(AlignmentError):
        umeyama(landmarks, template())


def test_swapped_eyes_and_mouth_corners_raise(astronaut: npt.NDArray[np.uint8]) -> None:
    swapped = template()[[1, 0, 2, 4, 3]] * 3 + 100

    with pytest.raises(AlignmentError, match="fit no face"):
        align_face(astronaut, swapped)


@given(similarities)
def test_the_inverse_brings_every_point_back(matrix: npt.NDArray[np.float64]) -> None:
    points = np.array([[0.0, 0.0], [63, 5], [20, 60]])

    np.testing.assert_allclose(move(move(points, matrix), invert(matrix)), points, atol=1e-6)


@pytest.mark.parametrize("scale", [0.3, 0.8, 2.0, 7.3, 20.0])
@pytest.mark.parametrize("angle", [0.0, 0.4, -1.2])
def test_landmarks_land_on_the_template(scale: float, angle: float) -> None:
    # One bright disc per landmark; its centre of mass in the crop must be the template's point.
    place = similarity(angle, scale, 0, 0)
    place[:, 2] = 900 - move(template().mean(0), place)
    landmarks = move(template(), place)
    for point, target in zip(landmarks, template(), strict=True):
        y, x = np.mgrid[0:1800, 0:1800]
        distance = np.hypot(x - point[0], y - point[1])
        disc = np.clip(2.5 * max(scale, 1) - distance, 0, 1) * 255
        photo = np.repeat(disc.astype(np.uint8)[:, :, None], 3, axis=2)

        crop, _ = align_face(photo, landmarks)

        rows, columns = np.mgrid[0:64, 0:64]
        centre = [(columns * crop).sum() / crop.sum(), (rows * crop).sum() / crop.sum()]
        np.testing.assert_allclose(centre, target, atol=0.35)


def test_shrinking_does_not_alias() -> None:
    # A one-pixel checkerboard has mean grey; a point sampler would return black or white.
    board = (np.indices((800, 800)).sum(0) % 2 * 255).astype(np.uint8)

    crop = warp(board, similarity(0.1, 0.07, 2.0, 3.0))

    assert np.abs(crop[8:48, 8:48].astype(int) - 127).max() < 12


def test_the_crop_of_a_mirrored_face_is_mirrored(astronaut: npt.NDArray[np.uint8]) -> None:
    landmarks = template() * 1.5 + [180, 70]
    mirrored = landmarks[[1, 0, 2, 4, 3]] * [-1, 1] + [astronaut.shape[1] - 1, 0]

    crop, _ = align_face(astronaut, landmarks)
    other, _ = align_face(np.ascontiguousarray(astronaut[:, ::-1]), mirrored)

    # The template itself is symmetric to within half a pixel only.
    assert np.corrcoef(crop[:, ::-1].ravel(), other.ravel())[0, 1] > 0.99


def test_a_larger_zoom_shows_a_larger_face() -> None:
    near, far = (template(zoom)[1, 0] - template(zoom)[0, 0] for zoom in (1.3, 1.0))

    assert near / far == pytest.approx(1.3)


@pytest.mark.parametrize("zoom", [0.1, 5.0, float("nan")])
def test_an_impossible_zoom_raises(zoom: float) -> None:
    with pytest.raises(AlignmentError):
        template(zoom)


def test_the_plain_crop_is_the_resized_centre_square(astronaut: npt.NDArray[np.uint8]) -> None:
    wide = np.pad(astronaut, ((0, 0), (64, 64), (0, 0)))

    crop, matrix = plain_crop(wide)

    small = cv2.resize(astronaut, (64, 64), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    assert np.corrcoef(crop.ravel(), grey.ravel())[0, 1] > 0.98
    np.testing.assert_allclose(move(np.array([63.5, -0.5]), matrix), [-0.5, -0.5], atol=1e-9)


def test_a_box_reaching_beyond_the_photo_is_cropped_without_error(
    astronaut: npt.NDArray[np.uint8],
) -> None:
    crop, _ = box_crop(astronaut, np.array([-300.0, -20.0, 40.0, 700.0]))

    assert crop.shape == (64, 64)


def test_a_photo_of_one_pixel_can_be_cropped() -> None:
    crop, _ = plain_crop(np.full((1, 1, 3), 9, np.uint8))

    assert (crop == 9).all()
