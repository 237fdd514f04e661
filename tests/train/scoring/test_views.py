from __future__ import annotations

import numpy as np
import pytest

from train.config.faces import Averaging
from train.scoring.views import VIEW_SIZE, average_over_views


def brightness(crops: np.ndarray) -> np.ndarray:
    """Say how bright the left, the right and the upper half are: a stand-in with a known answer."""
    parts = (crops[:, :, :32], crops[:, :, 32:], crops[:, :32])
    return np.stack([part.mean((1, 2)) for part in parts], 1).astype(np.float32)


@pytest.fixture
def crops(random: np.random.Generator) -> np.ndarray:
    return random.integers(0, 256, (5, 64, 64), dtype=np.uint8)


def test_without_averaging_the_crop_itself_is_classified(crops: np.ndarray) -> None:
    assert np.array_equal(average_over_views(brightness, crops, "none"), brightness(crops))


def test_flip_is_the_mean_of_crop_and_mirror_image(crops: np.ndarray) -> None:
    answer = average_over_views(brightness, crops, "flip")

    left, right, top = brightness(crops).T
    expected = np.stack([(left + right) / 2, (left + right) / 2, top], 1)
    assert np.allclose(answer, expected, atol=1e-3)


def test_ten_crop_sees_four_corners_the_centre_and_their_mirror_images() -> None:
    # One bright pixel in each corner of the crop: exactly the four corner parts hold one.
    crop = np.zeros((1, 64, 64), np.uint8)
    crop[0, [0, 0, 63, 63], [0, 63, 0, 63]] = 255
    seen: list[np.ndarray] = []

    def record(view: np.ndarray) -> np.ndarray:
        seen.append(view[0])
        return np.ones((1, 6), np.float32) / 6

    average_over_views(record, crop, "ten-crop")

    assert len(seen) == 10
    for part, mirror in zip(seen[::2], seen[1::2], strict=True):
        assert np.array_equal(part[:, ::-1], mirror)
    corners = [tuple(part[[0, 0, 63, 63], [0, 63, 0, 63]] > 0) for part in seen[::2]]
    single = [tuple(k == i for k in range(4)) for i in range(4)]
    assert corners == [*single, (False,) * 4]
    assert VIEW_SIZE < 64


@pytest.mark.parametrize(("averaging", "count"), [("none", 1), ("flip", 1), ("ten-crop", 5)])
def test_who_answers_from_the_mirror_image_too_is_not_asked_about_it_again(
    crops: np.ndarray, averaging: Averaging, count: int
) -> None:
    asked = 0

    def both(views: np.ndarray) -> np.ndarray:
        nonlocal asked
        asked += 1
        return (brightness(views) + brightness(views[:, :, ::-1])) / 2

    answer = average_over_views(both, crops, averaging, mirrors=True)

    assert asked == count
    assert np.allclose(answer, average_over_views(both, crops, averaging), atol=1e-3)
