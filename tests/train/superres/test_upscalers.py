from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emotion.errors import ConfigError, DataError, WeightsError
from train.superres import METHODS, Bicubic, UpScaler, load_upscaler, resize_grey
from train.superres.subspace import fit_subspace
from train.superres.zero_shot import SharedStart, ZeroShot
from train.superres.zero_shot_published import ZeroShotPerImage


@pytest.fixture(scope="module")
def models(
    faces25: np.ndarray, start: SharedStart, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("models")
    fit_subspace(resize_grey(faces25, 64, 64), components=8).save(folder / "eigenface.safetensors")
    start.save(folder / "zssr.safetensors")
    return folder


def build(name: str, models: Path) -> UpScaler:
    if name == "zssr_per_image":
        return ZeroShotPerImage(max_steps=3, depth=3, width=8, back_projections=1)
    file = {"zssr": "zssr", "eigenface_map": "eigenface", "eigenface_lmmse": "eigenface"}.get(name)
    return load_upscaler(name, models / f"{file}.safetensors" if file else None)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_turns_48_into_64_pixels(name: str, models: Path, small48: np.ndarray) -> None:
    enlarged = build(name, models)(small48[:3])

    assert enlarged.shape == (3, 64, 64)
    assert enlarged.dtype == np.uint8


@pytest.mark.parametrize("name", METHODS)
def test_no_picture_depends_on_its_batch(name: str, models: Path, small48: np.ndarray) -> None:
    upscaler = build(name, models)

    together = upscaler(small48[:5])

    np.testing.assert_array_equal(together[::-1], upscaler(small48[:5][::-1].copy()))
    np.testing.assert_array_equal(together[3:4], upscaler(small48[3:4]))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("shape", [(20, 20), (40, 48), (1, 1), (64, 64)])
def test_sizes_that_a_method_does_not_serve_get_bicubic(
    name: str, shape: tuple[int, int], models: Path, small48: np.ndarray
) -> None:
    upscaler = build(name, models)
    images = resize_grey(small48[:2], *shape)

    np.testing.assert_array_equal(upscaler(images), Bicubic()(images))
    assert (upscaler.falls_back(images) == (name != "bicubic")).all()


@pytest.mark.parametrize("name", ["eigenface_lmmse", "zssr"])
def test_a_fitted_method_leaves_other_square_sizes_to_bicubic(
    name: str, models: Path, small48: np.ndarray
) -> None:
    images = resize_grey(small48[:2], 40, 40)

    assert build(name, models).falls_back(images).all()


def test_zssr_without_a_model_serves_other_square_sizes(small48: np.ndarray) -> None:
    images = resize_grey(small48[:1], 40, 40)
    upscaler = ZeroShot(None, steps=50)

    assert not upscaler.falls_back(images).any()
    assert (upscaler(images) != Bicubic()(images)).any()


@pytest.mark.parametrize("name", METHODS)
def test_pictures_of_the_target_size_come_back_unchanged(
    name: str, models: Path, crops64: np.ndarray
) -> None:
    np.testing.assert_array_equal(build(name, models)(crops64[:2]), crops64[:2])


@pytest.mark.parametrize("name", METHODS)
def test_an_empty_batch_gives_an_empty_batch(name: str, models: Path) -> None:
    assert build(name, models)(np.zeros((0, 48, 48), np.uint8)).shape == (0, 64, 64)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 48, 48), np.float32), "uint8"),
        (np.zeros((48, 48), np.uint8), "N x height x width"),
        (np.zeros((1, 48, 48, 3), np.uint8), "N x height x width"),
        (np.zeros((1, 0, 48), np.uint8), "N x height x width"),
        (np.zeros((1, 48, 65), np.uint8), "65x48 are larger than 64x64"),
    ],
)
def test_arrays_that_are_no_small_grey_pictures_are_refused(
    name: str, images: np.ndarray, message: str, models: Path
) -> None:
    with pytest.raises(DataError, match=message):
        build(name, models)(images)


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="eigenface_lmmse"):
        load_upscaler("magic")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["eigenface_map", "eigenface_lmmse"])
def test_eigenfaces_without_a_model_name_the_command_that_makes_one(name: str) -> None:
    with pytest.raises(ConfigError, match="python -m train superres-fit"):
        load_upscaler(name)


@pytest.mark.parametrize("name", ["bicubic", "zssr_per_image"])
def test_a_model_for_a_method_without_one_is_refused(name: str, models: Path) -> None:
    with pytest.raises(ConfigError, match="no fitted model"):
        load_upscaler(name, models / "zssr.safetensors")


def test_a_model_of_another_method_is_refused(models: Path) -> None:
    with pytest.raises(WeightsError, match="not zero-shot start"):
        load_upscaler("zssr", models / "eigenface.safetensors")
