from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emotion.errors import DataError, WeightsError
from train.superres.cache import CachedUpScaler
from train.superres.zero_shot import SharedStart, ZeroShot


class Counting(ZeroShot):
    """A real up-scaler that remembers how many pictures it was asked for."""

    asked: int = 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        object.__setattr__(self, "asked", self.asked + len(images))
        return super().__call__(images)


def test_only_new_pictures_are_computed(
    start: SharedStart, small48: np.ndarray, tmp_path: Path
) -> None:
    inner = Counting(start)
    cached = CachedUpScaler(inner, tmp_path)

    first = cached(small48[:4])
    second = cached(small48[2:6])

    assert inner.asked == 6
    np.testing.assert_array_equal(np.concatenate([first, second[2:]]), ZeroShot(start)(small48[:6]))


def test_results_outlive_the_process(
    start: SharedStart, small48: np.ndarray, tmp_path: Path
) -> None:
    expected = CachedUpScaler(ZeroShot(start), tmp_path)(small48[:4])
    inner = Counting(start)

    again = CachedUpScaler(inner, tmp_path)(small48[:4][::-1].copy())[::-1]

    assert inner.asked == 0
    np.testing.assert_array_equal(again, expected)


def test_a_repeated_picture_is_computed_once(
    start: SharedStart, small48: np.ndarray, tmp_path: Path
) -> None:
    inner = Counting(start)

    enlarged = CachedUpScaler(inner, tmp_path)(small48[[0, 1, 0]])

    assert inner.asked == 2
    np.testing.assert_array_equal(enlarged[0], enlarged[2])


def test_settings_do_not_share_results(
    start: SharedStart, small48: np.ndarray, tmp_path: Path
) -> None:
    CachedUpScaler(ZeroShot(start), tmp_path)(small48[:2])
    other = Counting(start, steps=3)

    CachedUpScaler(other, tmp_path)(small48[:2])

    assert other.asked == 2


def test_what_a_killed_process_left_behind_is_ignored(
    start: SharedStart, small48: np.ndarray, tmp_path: Path
) -> None:
    CachedUpScaler(ZeroShot(start), tmp_path)(small48[:2])
    written = next(tmp_path.rglob("*.safetensors"))
    (written.parent / f".{written.name}.99999.partial").write_bytes(b"half")

    inner = Counting(start)
    CachedUpScaler(inner, tmp_path)(small48[:2])

    assert inner.asked == 0


def test_a_damaged_file_is_named(start: SharedStart, small48: np.ndarray, tmp_path: Path) -> None:
    CachedUpScaler(ZeroShot(start), tmp_path)(small48[:2])
    written = next(tmp_path.rglob("*.safetensors"))
    written.write_bytes(written.read_bytes()[:-10])

    with pytest.raises(WeightsError, match=written.name):
        CachedUpScaler(ZeroShot(start), tmp_path)


def test_a_folder_that_cannot_be_written_is_reported(
    start: SharedStart, small48: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(DataError, match="cannot be written"):
        CachedUpScaler(ZeroShot(start), tmp_path / "file")(small48[:1])


def test_an_empty_batch_writes_nothing(start: SharedStart, tmp_path: Path) -> None:
    enlarged = CachedUpScaler(ZeroShot(start), tmp_path)(np.zeros((0, 48, 48), np.uint8))

    assert enlarged.shape == (0, 64, 64)
    assert list(tmp_path.iterdir()) == []
