from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from emotion.align import box_crop
from emotion.labels import COLORS, UNSURE_COLOR
from emotion.overlay import draw_faces, heat, heat_on_photo, spotlight_on_photo
from emotion.result import FaceResult

Image = npt.NDArray[np.uint8]


@pytest.fixture
def photo() -> Image:
    return np.full((200, 300, 3), 100, np.uint8)


@pytest.fixture
def result(photo: Image) -> FaceResult:
    """A face in the box (100, 40)-(228, 168) whose evidence for class 3 lies top right."""
    box = np.array([100, 40, 228, 168], np.float32)
    crop, matrix = box_crop(photo, box)
    cams = np.zeros((6, 8, 8), np.float32)
    cams[3, 0:2, 6:8] = 0.2
    probabilities = np.array([0, 0, 0, 0.9, 0.1, 0], np.float32)
    return FaceResult(box, None, 0.9, probabilities, cams, crop, matrix)


def test_an_unsure_face_gets_a_chip_with_two_names_in_no_classs_colour(
    photo: Image, result: FaceResult
) -> None:
    sure, unsure = (draw_faces(photo, [replace(result, sure=value)]) for value in (True, False))

    def has(picture: Image, color: str) -> bool:
        wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        return bool((picture == wanted).all(2).any())

    assert has(sure, COLORS["anger"])
    assert not has(sure, UNSURE_COLOR)
    assert has(unsure, UNSURE_COLOR)
    assert not has(unsure, COLORS["anger"])
    # Two names take more room than one name and its percentage.
    assert (unsure[:40] != photo[:40]).any(2).sum() > (sure[:40] != photo[:40]).any(2).sum()


def test_heat_is_drawn_where_the_evidence_lies_in_the_photo(
    photo: Image, result: FaceResult
) -> None:
    changed = (heat_on_photo(photo, result, 3) != photo).any(2)

    rows, columns = np.nonzero(changed)
    # Two of eight cells of 16 px each, plus the half cell that interpolation spreads to.
    assert columns.min() >= 100 + 5 * 16
    assert columns.max() <= 229
    assert rows.min() >= 39  # drawing interpolates over the edge by one pixel
    assert rows.max() <= 40 + 3 * 16


def test_a_class_without_evidence_changes_nothing(photo: Image, result: FaceResult) -> None:
    np.testing.assert_array_equal(heat_on_photo(photo, result, 0), photo)
    assert (heat(result, 0) == 0).all()


def test_heat_is_relative_to_the_strongest_evidence(result: FaceResult) -> None:
    faint = replace(result, cams=result.cams / 100)

    np.testing.assert_allclose(heat(result, 3), heat(faint, 3), atol=1e-5)
    assert heat(result, 3).max() == pytest.approx(1)


def test_the_maps_of_a_face_share_the_scale_of_the_strongest(result: FaceResult) -> None:
    cams = result.cams.copy()
    cams[4] = result.cams[3] / 10

    other = replace(result, cams=cams)

    assert heat(other, 4).max() == pytest.approx(0.1)
    assert heat(other, 3).max() == pytest.approx(1)


def test_the_spotlight_leaves_evidence_in_colour_and_dims_the_rest_of_the_face(
    result: FaceResult,
) -> None:
    photo = np.full((200, 300, 3), (200, 100, 50), np.uint8)
    cams = result.cams.copy()
    cams[3] = 0
    cams[3, 2:4, 4:6] = 0.2  # around (100 + 5 * 16, 40 + 3 * 16)

    drawn = spotlight_on_photo(photo, replace(result, cams=cams), 3)

    assert (drawn[88, 180] == photo[88, 180]).all()
    dim = drawn[140, 130].astype(int)
    assert dim.max() < 120
    assert np.ptp(dim) < 0.5 * np.ptp(photo[140, 130])
    assert (drawn[:, 240:] == photo[:, 240:]).all()
    assert (drawn.min(2) > 150).any()  # the lines
    assert np.array_equal(spotlight_on_photo(photo, result, 3, opacity=0), photo)


def test_a_calm_face_gets_a_chip_without_the_name_of_an_expression(
    photo: Image, result: FaceResult
) -> None:
    calm = draw_faces(photo, [replace(result, calm=0.8)])
    grey = [int(UNSURE_COLOR[i : i + 2], 16) for i in (1, 3, 5)]
    assert (calm == grey).all(2).any()
    held = draw_faces(photo, [result], answers=["no clear expression"])
    np.testing.assert_array_equal(held, calm)


def test_opacity_zero_leaves_the_photo_and_the_input_is_never_written(
    photo: Image, result: FaceResult
) -> None:
    before = photo.copy()

    np.testing.assert_array_equal(heat_on_photo(photo, result, 3, opacity=0), photo)
    heat_on_photo(photo, result, 3)
    draw_faces(photo, [result])

    np.testing.assert_array_equal(photo, before)


def test_the_box_is_drawn_around_the_face(photo: Image, result: FaceResult) -> None:
    drawn = draw_faces(photo, [result])

    assert drawn.shape == photo.shape
    orange = np.array([0xD5, 0x5E, 0x00])  # anger
    assert (drawn[100, 100] == orange).all()
    assert (drawn[100, 228] == orange).all()
    assert (drawn[100, 160] == photo[100, 160]).all()


def test_boxes_beyond_the_border_are_drawn_inside(photo: Image, result: FaceResult) -> None:
    outside = replace(result, box=np.array([-50, -60, 400, 900], np.float32))
    tiny = replace(result, box=np.array([299, 199, 299.2, 199.1], np.float32))

    assert draw_faces(photo, [outside, tiny]).shape == photo.shape


def test_a_face_without_a_box_is_not_drawn(photo: Image, result: FaceResult) -> None:
    np.testing.assert_array_equal(draw_faces(photo, [replace(result, box=None)]), photo)
