from __future__ import annotations

import cv2
import numpy as np
import pytest

from emotion.align import umeyama
from emotion.errors import ConfigError
from emotion.labels import LABELS
from train.corpora import load_corpus
from train.corpora.drawing import SIZE, draw_face


def _decode(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


@pytest.fixture(scope="module")
def corpus():
    return load_corpus("synthetic", "280")


def test_seed_and_index_determine_the_face():
    assert draw_face("fear", 3, 14) == draw_face("fear", 3, 14)


@pytest.mark.parametrize(("seed", "index"), [(4, 14), (3, 15)])
def test_another_seed_or_index_draws_another_face(seed, index):
    assert draw_face("fear", 3, 14) != draw_face("fear", seed, index)


def test_a_larger_corpus_starts_with_the_smaller_one(corpus):
    smaller = load_corpus("synthetic", "70").splits["train"]
    larger = {row["sample_id"]: row for row in corpus.splits["train"]}
    assert all(larger[row["sample_id"]] == row for row in smaller)


def test_every_expression_has_the_same_share_of_every_split(corpus):
    per_split = {"train": 32, "valid": 4, "test": 4}
    assert corpus.class_counts == {
        split: dict.fromkeys((*LABELS, "neutral"), count) for split, count in per_split.items()
    }
    assert len(corpus.splits["other"]) == 40


def test_landmarks_lie_on_eyes_and_mouth(corpus):
    # An iris is darker than the white beside it, whatever the light: five exact points give both.
    darker = []
    for row in corpus.splits["train"].select(range(96)):
        image = _decode(row["image"]["bytes"]).mean(2)
        points = np.reshape(row["landmarks"], (5, 2))
        left, right = points[:2]
        assert np.all((points >= 0) & (points < SIZE))
        assert left[0] < right[0]
        assert points[3, 0] < points[4, 0]
        across = (right - left) / np.linalg.norm(right - left)
        step = 0.17 * np.linalg.norm(right - left)
        for eye in (left, right):
            values = [
                cv2.getRectSubPix(image.astype(np.float32), (1, 1), tuple(map(float, place)))[0, 0]
                for place in (eye, eye - step * across, eye + step * across)
            ]
            darker.append(values[0] < max(values[1:]))
    assert np.mean(darker) > 0.9


def test_poses_vary_in_turn_and_scale(corpus):
    template = np.array([(-0.5, 0), (0.5, 0), (0, 0.66), (-0.4, 1.13), (0.4, 1.13)])
    fits = [
        umeyama(template, np.reshape(points, (5, 2)))
        for points in corpus.splits["train"]["landmarks"]
    ]
    angles = [np.degrees(np.arctan2(fit[1, 0], fit[0, 0])) for fit in fits]
    scales = [np.hypot(fit[0, 0], fit[1, 0]) for fit in fits]
    assert np.std(angles) > 5
    assert np.ptp(scales) > 4


def test_some_faces_are_grey_and_some_are_coloured_in_every_class(corpus):
    for label in range(6):
        rows = corpus.splits["train"].filter(lambda row, label=label: row["label"] == label)
        spread = [np.ptp(_decode(image["bytes"]), axis=2).max() for image in rows["image"]]
        assert 0 < sum(value == 0 for value in spread) < len(spread)


def test_a_small_learner_tells_the_expressions_apart_but_not_at_once():
    from sklearn.linear_model import LogisticRegression

    corpus = load_corpus("synthetic", "700")

    def aligned(rows):
        template = np.array([(11, 10), (21, 10), (16, 16), (12, 22), (20, 22)], float)
        crops = []
        for row in rows:
            image = cv2.cvtColor(_decode(row["image"]["bytes"]), cv2.COLOR_BGR2GRAY)
            matrix = umeyama(np.reshape(row["landmarks"], (5, 2)), template)
            crop = cv2.warpAffine(image, matrix, (32, 32)).astype(np.float64)
            crops.append(((crop - crop.mean()) / crop.std()).ravel())
        return np.stack(crops)

    train, held_out = corpus.splits["train"], corpus.splits["test"]
    model = LogisticRegression(C=0.01, max_iter=200).fit(aligned(train), train["label"])
    accuracy = model.score(aligned(held_out), held_out["label"])
    assert 0.4 < accuracy < 0.97


@pytest.mark.parametrize("count", ["7", "many", "-70", "1000000", "1.5"])
def test_a_count_that_cannot_work_is_refused(count):
    with pytest.raises(ConfigError, match="number of images from 70 to 100,000"):
        load_corpus("synthetic", count)
