from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from emotion.errors import DataError
from train.superres import resize_grey, resize_matrix
from train.superres.resize import resize

SIZES = [(48, 64), (64, 48), (48, 36), (36, 48), (100, 64), (7, 3), (1, 5)]


@pytest.mark.parametrize(("source", "target"), SIZES)
def test_every_row_of_a_resize_matrix_sums_to_one(source: int, target: int) -> None:
    matrix = resize_matrix(source, target)

    assert matrix.shape == (target, source)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize(("source", "target"), SIZES)
def test_a_constant_picture_stays_constant(source: int, target: int) -> None:
    images = np.full((2, source, source), 137, np.uint8)

    assert (resize_grey(images, target, target) == 137).all()


# The stretched kernel of a reduction reproduces a ramp only nearly, as Pillow's does.
@pytest.mark.parametrize(("source", "target", "error"), [(48, 64, 1e-9), (64, 48, 5e-4)])
def test_a_linear_ramp_stays_linear_away_from_the_border(
    source: int, target: int, error: float
) -> None:
    ramp = np.tile(np.linspace(0.1, 0.9, source), (source, 1))
    slope = 0.8 / (source - 1) * source / target
    first = 0.1 + 0.8 / (source - 1) * (0.5 * source / target - 0.5)

    resized = resize(ramp, target, target)

    expected = first + slope * np.arange(target)
    np.testing.assert_allclose(
        resized[:, 4:-4], np.tile(expected, (target, 1))[:, 4:-4], atol=error
    )


@pytest.mark.parametrize(("source", "target"), [*SIZES[:6], (64, 20)])
def test_resizing_agrees_with_pillow(source: int, target: int, crops64: np.ndarray) -> None:
    picture = resize(crops64[0] / 255, source, source).astype(np.float32)
    reference = Image.fromarray(picture).resize((target, target), Image.Resampling.BICUBIC)

    np.testing.assert_allclose(resize(picture, target, target), np.asarray(reference), atol=1e-5)


def test_reducing_and_enlarging_agrees_with_pillow(crops64: np.ndarray) -> None:
    picture = Image.fromarray((crops64[0] / 255).astype(np.float32))
    small = picture.resize((48, 48), Image.Resampling.BICUBIC)
    reference = small.resize((64, 64), Image.Resampling.BICUBIC)

    ours = resize(resize(crops64[0] / 255, 48, 48), 64, 64)

    np.testing.assert_allclose(ours, np.asarray(reference), atol=1e-2)


def test_sides_may_differ(crops64: np.ndarray) -> None:
    resized = resize_grey(crops64[:1], 20, 50)

    reference = Image.fromarray(crops64[0]).resize((50, 20), Image.Resampling.BICUBIC)
    assert np.abs(resized[0].astype(int) - np.asarray(reference)).max() <= 1


@pytest.mark.parametrize(("source", "target"), [(0, 5), (5, 0)])
def test_a_side_below_one_pixel_is_refused(source: int, target: int) -> None:
    with pytest.raises(DataError, match="at least 1 px"):
        resize_matrix(source, target)
