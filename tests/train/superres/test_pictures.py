from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion.errors import DataError
from train.superres import resize_grey
from train.superres.pictures import read_faces


@pytest.fixture
def folder(tmp_path: Path, crops64: np.ndarray) -> Path:
    root = tmp_path / "pictures"
    for index, crop in enumerate(crops64[:6]):
        place = root / "train" / ("happy" if index < 4 else "sad")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(crop).save(place / f"{index}.png")
    small = root / "test" / "sad"
    small.mkdir(parents=True)
    Image.fromarray(crops64[9][:20, :20]).save(small / "small.png")
    (small / "broken.jpg").write_bytes(b"no picture")
    (root / "notes.txt").write_text("not a picture")
    return root


def test_a_folder_is_read_with_its_class_folders_as_labels(
    folder: Path, crops64: np.ndarray
) -> None:
    faces = read_faces(folder, 48, inside="train")

    np.testing.assert_array_equal(faces.images, resize_grey(crops64[:6], 48, 48))
    assert faces.labels.tolist() == ["happy"] * 4 + ["sad"] * 2


def test_pictures_that_cannot_be_used_are_counted_and_named(folder: Path) -> None:
    Image.new("L", (64, 64), 90).save(folder / "flat.png")
    faces = read_faces(folder, 48)

    assert len(faces.images) == 6
    assert faces.too_small == 1
    assert len(faces.left_out) == 2
    assert "flat.png" in faces.left_out[0]
    assert "broken.jpg" in faces.left_out[1]


def test_a_zip_gives_what_its_folder_gives(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for path in folder.rglob("*.*"):
            archive.write(path, path.relative_to(folder))

    zipped = read_faces(tmp_path / "pictures.zip", 48)

    np.testing.assert_array_equal(zipped.images, read_faces(folder, 48).images)


def test_an_array_is_read_as_it_is(crops64: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "faces.npy", crops64)

    faces = read_faces(tmp_path / "faces.npy", 64)

    np.testing.assert_array_equal(faces.images, crops64)


def test_a_colour_picture_gives_its_centred_square(tmp_path: Path) -> None:
    wide = np.zeros((64, 100, 3), np.uint8)
    wide[:, 18:50] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")

    faces = read_faces(tmp_path, 64)

    assert (faces.images[0, :, :32] == 200).all()
    assert (faces.images[0, :, 32:] == 0).all()


def test_a_limit_draws_the_same_pictures_each_time(crops64: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "faces.npy", crops64)

    first = read_faces(tmp_path / "faces.npy", 64, limit=10, seed=1).images

    assert len(first) == 10
    np.testing.assert_array_equal(
        first, read_faces(tmp_path / "faces.npy", 64, limit=10, seed=1).images
    )
    assert (first != read_faces(tmp_path / "faces.npy", 64, limit=10, seed=2).images).any()


def test_sources_without_usable_pictures_are_refused(folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "floats.npy", np.zeros((2, 64, 64)))
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)

    with pytest.raises(DataError, match="no picture of at least 65x65"):
        read_faces(folder, 65)
    with pytest.raises(DataError, match="does not exist"):
        read_faces(tmp_path / "nowhere", 48)
    with pytest.raises(DataError, match="does not exist"):
        read_faces(tmp_path / "nowhere.npy", 48)
    with pytest.raises(DataError, match="uint8"):
        read_faces(tmp_path / "floats.npy", 48)
    with pytest.raises(DataError, match="not a numpy array"):
        read_faces(tmp_path / "objects.npy", 48)
    with pytest.raises(DataError):
        read_faces(folder / "notes.txt", 48)
