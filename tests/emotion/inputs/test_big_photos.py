"""Photos of many megapixels are judged from their own pixels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from emotion import Analyzer
from emotion.align import align_face, warp
from emotion.images import decode_image
from emotion.overlay import heat_on_photo
from emotion.result import FaceResult

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer.from_weights()


@pytest.mark.parametrize("size", [100, 40])
def test_the_case_has_its_face_where_it_is(analyzer: Analyzer, cases: Path, size: int) -> None:
    (face,) = analyzer.analyze(decode_image(cases / "big-photo" / f"in{size}.jpg"))

    assert face.box is not None
    place = np.array([4200 + 177 * size / 92, 2500 + 56 * size / 92])
    assert np.abs(face.box[:2] - place).max() < 0.25 * size
    assert abs(face.box[2] - face.box[0] - size) < 0.25 * size
    assert (face.label, face.sure) == ("happiness", True)


@pytest.fixture
def wide(astronaut: Pixels) -> tuple[Pixels, Pixels]:
    """A panorama with a face of 26 px where two tiles meet, and the small picture of it."""
    small = cv2.resize(astronaut[:300, 60:360], (84, 84), interpolation=cv2.INTER_AREA)
    photo = np.full((700, 3500, 3), 150, np.uint8)
    photo[200:284, 1180:1264] = small
    return photo, np.asarray(small, np.uint8)


def test_a_small_face_of_a_panorama_is_found_once_and_cut_from_its_own_pixels(
    analyzer: Analyzer, wide: tuple[Pixels, Pixels]
) -> None:
    photo, small = wide

    (face,) = analyzer.analyze(photo)

    assert face.box is not None
    assert face.landmarks is not None
    assert face.box[2] - face.box[0] < 32
    crop, _ = align_face(small, face.landmarks - (1180, 200), analyzer.network.config.zoom)
    assert np.abs(crop.astype(int) - face.crop).mean() < 3


def test_the_heat_of_a_panorama_changes_only_its_face(
    analyzer: Analyzer, wide: tuple[Pixels, Pixels]
) -> None:
    photo, _ = wide
    (face,) = analyzer.analyze(photo)

    changed = np.abs(heat_on_photo(photo, face, face.index).astype(int) - photo).max(2) > 0

    assert face.box is not None
    rows, columns = np.nonzero(changed)
    assert rows.min() > face.box[1] - 20
    assert rows.max() < face.box[3] + 20
    assert columns.min() > face.box[0] - 20
    assert columns.max() < face.box[2] + 20
    assert changed.sum() > 100


def test_pictures_wider_than_opencv_warps_are_cut_too(astronaut: Pixels) -> None:
    strip = np.full((200, 33_000, 3), 90, np.uint8)
    strip[:, 32_000:32_200] = astronaut[20:220, 120:320]
    matrix = np.array([[1.0, 0.0, -32_060.0], [0.0, 1.0, -40.0]])

    np.testing.assert_array_equal(warp(strip, matrix), strip[40:104, 32_060:32_124])


def test_a_face_across_the_border_of_tiles_is_one(analyzer: Analyzer, astronaut: Pixels) -> None:
    head = cv2.resize(astronaut[20:220, 120:320], (150, 150), interpolation=cv2.INTER_AREA)
    places = [(0, 0), (2450, 0), (1180, 1100), (1100, 50)]
    photo = np.full((2000, 2600, 3), 127, np.uint8)
    for x, y in places:
        photo[y : y + 150, x : x + 150] = head

    faces = analyzer.analyze(photo)

    def corner(face: FaceResult) -> tuple[int, int]:
        assert face.box is not None
        return round(float(face.box[0]) / 50), round(float(face.box[1]) / 50)

    assert len(faces) == len({corner(face) for face in faces}) == len(places)
