from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from emotion.align import align_face, plain_crop
from emotion.detect import RetinaFaceDetector
from emotion.errors import ConfigError
from train.config.faces import AlignConfig
from train.corpora import FEATURES, load_corpus
from train.faces.align_rows import PREPARED, align_in_batches, align_rows
from train.faces.near_duplicates import perceptual_hashes, thumbnail

Picture = npt.NDArray[np.uint8]


def encode(picture: Picture, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind)
    return buffer.getvalue()


def align(encoded: bytes, options: dict | None = None, **columns: object) -> dict:
    """Align one row; the columns that are not given are null."""
    rows = {name: [None] for name in FEATURES}
    rows["image"] = [{"bytes": encoded, "path": "picture"}]
    rows |= {name: [value] for name, value in columns.items()}
    aligned = align_rows(rows, AlignConfig(**(options or {})))
    assert set(aligned) == set(PREPARED)
    return {name: values[0] for name, values in aligned.items()}


def crop(aligned: dict) -> Picture:
    return np.frombuffer(aligned["px"], np.uint8).reshape(64, 64)


@pytest.fixture(scope="module")
def portrait_points() -> npt.NDArray[np.float32]:
    """The astronaut's landmarks (5, 2) as the detector sees them."""
    from skimage import data

    return RetinaFaceDetector().detect(data.astronaut())[0].landmarks


def test_landmarks_of_the_corpus_are_used() -> None:
    rows = load_corpus("synthetic", "70").splits["train"][:4]

    columns = align_rows(rows, AlignConfig())

    assert columns["landmarks"] == [[float(v) for v in row] for row in rows["landmarks"]]
    assert all(columns["face_found"])
    assert columns["label"] == rows["label"]
    assert columns["sample_id"] == rows["sample_id"]
    first = np.frombuffer(columns["px"][0], np.uint8).reshape(64, 64)
    assert columns["phash"][0] == int(perceptual_hashes(thumbnail(first)[None])[0])


def test_without_them_the_detector_finds_the_face(
    astronaut: Picture, portrait_points: npt.NDArray[np.float32]
) -> None:
    aligned = align(encode(astronaut))

    np.testing.assert_allclose(np.reshape(aligned["landmarks"], (5, 2)), portrait_points, atol=1e-3)
    np.testing.assert_array_equal(crop(aligned), align_face(astronaut, portrait_points)[0])
    assert (aligned["width"], aligned["face_found"], aligned["error"]) == (512, True, None)


def test_landmarks_that_fit_no_face_give_way_to_the_detector(
    astronaut: Picture, portrait_points: npt.NDArray[np.float32]
) -> None:
    swapped = portrait_points[[1, 0, 2, 4, 3]].ravel().tolist()

    aligned = align(encode(astronaut), landmarks=swapped)

    np.testing.assert_allclose(np.reshape(aligned["landmarks"], (5, 2)), portrait_points, atol=1e-3)


def test_the_face_in_the_corpus_box_is_chosen(astronaut: Picture, hopper: Picture) -> None:
    scene = np.full((600, 1024, 3), 128, np.uint8)
    scene[:, :512] = hopper  # the larger face
    scene[:512, 512:] = astronaut

    without = align(encode(scene))
    within = align(encode(scene), box=[690.0, 56.0, 782.0, 176.0])

    assert np.reshape(without["landmarks"], (5, 2))[:, 0].max() < 512
    assert np.reshape(within["landmarks"], (5, 2))[:, 0].min() > 690


def test_a_box_without_a_face_is_cut_out_upright_and_flagged(astronaut: Picture) -> None:
    flag = [0.0, 0.0, 128.0, 128.0]

    aligned = align(encode(astronaut), box=flag)

    assert not aligned["face_found"]
    assert aligned["landmarks"] is None
    expected = cv2.cvtColor(astronaut[:128, :128], cv2.COLOR_RGB2GRAY)
    reduced = cv2.resize(expected, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(crop(aligned).astype(int) - reduced).mean() < 2


def test_a_picture_without_a_face_keeps_its_plain_crop(random: np.random.Generator) -> None:
    noise = random.integers(0, 256, (48, 48, 3), np.uint8)

    aligned = align(encode(noise))

    assert not aligned["face_found"]
    np.testing.assert_array_equal(crop(aligned), plain_crop(noise)[0])


def test_pixels_of_a_picture_that_decoding_reduces_are_its_own(
    astronaut: Picture, portrait_points: npt.NDArray[np.float32]
) -> None:
    factor = 3000 / 512
    large = encode(cv2.resize(astronaut, (3000, 3000), interpolation=cv2.INTER_CUBIC), "JPEG")
    truth = (portrait_points + 0.5) * factor - 0.5
    box = [150 * factor, 40 * factor, 290 * factor, 190 * factor]

    given = align(large, landmarks=truth.ravel().tolist())
    detected = align(large, box=box)

    np.testing.assert_allclose(np.reshape(given["landmarks"], (5, 2)), truth, atol=1e-2)
    assert np.abs(np.reshape(detected["landmarks"], (5, 2)) - truth).max() < 0.02 * 3000
    assert given["width"] == detected["width"] == 3000
    small = align_face(astronaut, portrait_points)[0]
    assert np.corrcoef(crop(given).ravel(), small.ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda _: b"", "not a picture"),
        (lambda _: b"GIF89a, but only almost", "picture"),
        (lambda whole: whole[: len(whole) // 2], "damaged"),
    ],
    ids=["empty", "disguised", "truncated"],
)
def test_what_cannot_be_read_is_a_row_with_a_reason(
    damage: Callable[[bytes], bytes], reason: str, astronaut: Picture
) -> None:
    aligned = align(damage(encode(astronaut)), sample_id="broken", label=3)

    assert reason in aligned["error"]
    assert (aligned["px"], aligned["sample_id"], aligned["label"]) == (b"", "broken", 3)
    assert not aligned["face_found"]


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (5, 4, 3)])
def test_tiny_pictures_become_crops(shape: tuple[int, int, int]) -> None:
    aligned = align(encode(np.full(shape, 90, np.uint8)))

    assert set(aligned["px"]) == {90}
    assert not aligned["face_found"]


def test_super_resolution_enlarges_small_square_pictures_and_keeps_the_face_in_place(
    astronaut: Picture,
) -> None:
    face = cv2.resize(astronaut[40:200, 140:300], (48, 48), interpolation=cv2.INTER_AREA)
    wide = cv2.resize(astronaut[40:200, 120:320], (60, 48), interpolation=cv2.INTER_AREA)

    plain, better = align(encode(face)), align(encode(face), {"superres": "zssr"})
    others = [align(encode(p), {"superres": "zssr"}) for p in (wide, astronaut[40:200, 140:300])]

    assert (plain["upscaled"], better["upscaled"]) == (False, True)
    assert [aligned["upscaled"] for aligned in others] == [False, False]
    assert better["landmarks"] == plain["landmarks"]
    assert np.corrcoef(crop(plain).ravel(), crop(better).ravel())[0, 1] > 0.97
    assert (crop(plain) != crop(better)).any()


def test_batches_change_nothing_and_threads_are_given_back() -> None:
    rows = load_corpus("synthetic", "70").splits["train"].select(range(10))
    torch.set_num_threads(2)
    try:
        batches = list(align_in_batches(rows, AlignConfig(), batch_size=4))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)

    assert [len(batch["px"]) for batch in batches] == [4, 4, 2]
    joined = {name: [v for batch in batches for v in batch[name]] for name in PREPARED}
    assert joined == align_rows(rows[:], AlignConfig())


@pytest.mark.parametrize("zoom", [0.5, 1.7, float("nan")])
def test_a_zoom_that_shows_no_face_is_refused(zoom: float) -> None:
    with pytest.raises(ConfigError, match="zoom"):
        AlignConfig(zoom=zoom)


@pytest.mark.corpora
@pytest.mark.parametrize(
    ("corpus", "archive", "share"),
    [
        ("fer2013", "fer2013.zip", 0.93),
        ("raf-db", "raf-db.zip", 0.95),
        ("affectnet", "affectnet-yolo.zip", 0.95),
    ],
)
def test_faces_of_every_class_are_found_in_the_real_corpora(
    shared_data: Path, corpus: str, archive: str, share: float
) -> None:
    rows = load_corpus(corpus, shared_data / archive, splits=["train"]).splits["train"]
    labels = np.array(rows["label"])
    chosen = [i for label in range(6) for i in np.flatnonzero(labels == label)[::20][:10]]

    columns = align_rows(rows.select(chosen)[:], AlignConfig())

    assert {len(px) for px in columns["px"]} == {64 * 64}
    assert not any(columns["error"])
    assert np.bincount(columns["label"]).tolist() == [10] * 6
    assert np.mean(columns["face_found"]) >= share
