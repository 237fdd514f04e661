from __future__ import annotations

import cv2
import numpy as np
import pytest

from train.corpora.drawing import draw_face
from train.faces.near_duplicates import (
    group,
    near_duplicates,
    perceptual_hashes,
    resolve,
    thumbnail,
)


def _grey(image):
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def _recompressed(grey):
    return cv2.imdecode(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 0)


def _brighter(grey):
    return np.clip(grey.astype(int) + 25, 0, 255).astype(np.uint8)


def _flatter(grey):
    return (grey * 0.6 + 40).astype(np.uint8)


def _smaller(grey):
    return cv2.resize(grey, (48, 48), interpolation=cv2.INTER_AREA)


def _nudged(grey):
    height, width = grey.shape
    return grey[height // 64 :, width // 64 :]


def _pairs(images):
    return near_duplicates(np.stack([thumbnail(image) for image in images])).tolist()


@pytest.fixture(scope="module")
def faces():
    """140 drawn faces, each of another person, uint8 (96, 96)."""
    labels = ("happiness", "surprise", "sadness", "anger", "disgust", "fear", "neutral")
    encoded = [draw_face(labels[index % 7], 0, index)[0] for index in range(140)]
    return [cv2.imdecode(np.frombuffer(content, np.uint8), 0) for content in encoded]


@pytest.mark.parametrize("change", [_recompressed, _brighter, _flatter, _smaller, _nudged])
def test_a_changed_copy_of_a_photograph_is_found(astronaut, hopper, change):
    first, second = _grey(astronaut), _grey(hopper)
    assert _pairs([first, second, change(first), change(second)]) == [[0, 2], [1, 3]]


def test_different_photographs_are_no_pair(astronaut, hopper):
    assert _pairs([_grey(astronaut), _grey(hopper)]) == []


def test_different_faces_are_no_pair(faces):
    assert _pairs(faces) == []


def test_every_recompressed_face_finds_its_original_and_nothing_else(faces):
    copies = [_recompressed(face) for face in faces]
    count = len(faces)
    assert _pairs(faces + copies) == [[index, index + count] for index in range(count)]


def test_the_order_of_the_images_does_not_matter(faces):
    thumbnails = np.stack([thumbnail(f) for f in (*faces[:40], *map(_brighter, faces[:20]))])
    order = np.random.default_rng(0).permutation(len(thumbnails))
    shuffled = np.sort(order[near_duplicates(thumbnails[order])], axis=1)
    expected = near_duplicates(thumbnails)
    np.testing.assert_array_equal(shuffled[np.lexsort(shuffled.T[::-1])], expected)


def test_the_fast_search_finds_what_comparing_all_pairs_finds():
    # Low-frequency noise around a few centres: many pairs on both sides of the threshold.
    noise = np.random.default_rng(1)
    small = noise.normal(128, 50, (30, 1, 6, 6)) + noise.normal(0, 9, (30, 12, 6, 6))
    images = small.clip(0, 255).astype(np.uint8).reshape(-1, 6, 6)
    thumbnails = np.stack(
        [cv2.resize(image, (32, 32), interpolation=cv2.INTER_CUBIC) for image in images]
    )
    hashes = perceptual_hashes(thumbnails)
    expected = []
    for first in range(len(images)):
        for second in range(first + 1, len(images)):
            close = (int(hashes[first]) ^ int(hashes[second])).bit_count() <= 8
            pair = thumbnails[[first, second]].reshape(2, -1)
            if close and np.corrcoef(pair)[0, 1] >= 0.93:
                expected.append([first, second])
    assert len(expected) > 50
    assert near_duplicates(thumbnails).tolist() == expected


def test_empty_images_are_the_same_image_and_resemble_nothing_else(astronaut):
    black, white = np.zeros((48, 48), np.uint8), np.full((48, 48), 255, np.uint8)
    assert _pairs([black, _grey(astronaut), white]) == [[0, 2]]


def test_no_images_have_no_duplicates():
    assert near_duplicates(np.empty((0, 32, 32), np.uint8)).shape == (0, 2)


def test_a_hash_ignores_brightness_and_contrast(astronaut):
    grey = thumbnail(_grey(astronaut))[None]
    first = perceptual_hashes(grey)
    second = perceptual_hashes((grey // 2 + 60).astype(np.uint8))
    assert np.bitwise_count(first ^ second)[0] <= 2


def test_pairs_are_joined_along_chains():
    pairs = np.array([[4, 5], [1, 4], [0, 2], [5, 7]])
    assert group(8, pairs).tolist() == [0, 1, 0, 3, 1, 1, 6, 1]


def _resolve(groups, labels, held_out):
    keys = [f"image{index}" for index in range(len(groups))]
    return resolve(np.array(groups), labels, np.array(held_out, bool), keys)


def test_a_held_out_row_stays_and_its_training_copies_go():
    result = _resolve([0, 0, 0, 3], [1, 1, 1, 1], [0, 1, 1, 0])
    assert result.keep.tolist() == [False, True, True, True]
    assert (result.leaks, result.repeats) == (1, 0)


def test_of_training_copies_one_stays():
    result = _resolve([0, 0, 0], [2, 2, 2], [0, 0, 0])
    assert result.keep.tolist() == [True, False, False]
    assert (result.leaks, result.repeats) == (0, 2)
    assert result.groups == ((0, 1, 2),)


def test_the_copy_that_stays_has_the_label_of_the_majority():
    result = _resolve([0, 0, 0], [5, 2, 2], [0, 0, 0])
    assert result.keep.tolist() == [False, True, False]


def test_copies_with_different_labels_are_listed():
    result = _resolve([0, 0, 2, 2, 4], [5, 2, 3, 3, 1], [0, 1, 0, 0, 0])
    assert result.conflicts == ((0, 1),)
    assert result.groups == ((0, 1), (2, 3))


def test_the_decision_depends_on_the_rows_and_not_on_their_order():
    noise = np.random.default_rng(2)
    keys = [f"image{index:03d}" for index in range(200)]
    groups, labels = noise.integers(0, 60, 200), noise.integers(0, 6, 200)
    held_out = noise.random(200) < 0.2
    first = resolve(groups, labels.tolist(), held_out, keys)
    order = noise.permutation(200)
    second = resolve(
        groups[order], labels[order].tolist(), held_out[order], [keys[i] for i in order]
    )
    np.testing.assert_array_equal(second.keep, first.keep[order])
    assert [[keys[order[row]] for row in rows] for rows in second.groups] == [
        [keys[row] for row in rows] for rows in first.groups
    ]
    assert (second.leaks, second.repeats) == (first.leaks, first.repeats)
