from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emotion.align import box_crop
from emotion.labels import CALM, NOT_SURE
from emotion.result import FaceResult
from emotion.tracker import (
    HOLD,
    LONGEST_PAUSE,
    PATIENCE,
    TIME_CONSTANT,
    TrackedFace,
    Tracker,
    smooth,
)

Array = npt.NDArray[np.float32]

FRAME = np.full((240, 320, 3), 100, np.uint8)
_PLACES = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)


def face(
    probabilities: npt.ArrayLike, x: float = 100, y: float = 60, size: float = 80, cam: float = 0.1
) -> FaceResult:
    """A face in a square box at (x, y), its landmarks where a frontal face has them."""
    box = np.array([x, y, x + size, y + size], np.float32)
    crop, matrix = box_crop(FRAME, box)
    landmarks = (box[:2] + _PLACES * size).astype(np.float32)
    cams = np.full((6, 8, 8), cam, np.float32)
    return FaceResult(
        box, landmarks, 0.9, np.asarray(probabilities, np.float32), cams, crop, matrix
    )


HAPPY = np.array([0.9, 0.02, 0.02, 0.02, 0.02, 0.02])
SAD = np.array([0.02, 0.02, 0.9, 0.02, 0.02, 0.02])
UNDECIDED = np.full(6, 1 / 6)

weights = arrays(np.float64, 6, elements=st.floats(0, 1)).filter(lambda w: w.sum() > 1e-3)
distributions = weights.map(lambda w: w / w.sum())
pauses = st.floats(0, PATIENCE)
places = st.tuples(st.floats(0, 1000), st.floats(0, 1000), st.floats(20, 400))


def only(tracked: list[TrackedFace]) -> TrackedFace:
    (single,) = tracked
    return single


@given(st.lists(st.tuples(distributions, pauses), min_size=1, max_size=12))
def test_smoothed_probabilities_stay_a_distribution(frames) -> None:
    tracker, now = Tracker(), 0.0
    for probabilities, pause in frames:
        now += pause
        smoothed = only(tracker.update([face(probabilities)], now)).face.probabilities
        assert smoothed.min() >= 0
        assert smoothed.sum() == pytest.approx(1, abs=1e-5)


@given(distributions, distributions, st.lists(pauses, min_size=1, max_size=10))
def test_the_frame_rate_does_not_matter(before, after, pauses_between) -> None:
    total = min(sum(pauses_between), PATIENCE)
    rare, often, now = Tracker(), Tracker(), 0.0
    for tracker in (rare, often):
        tracker.update([face(before, cam=0.3)], 0.0)
    for pause in pauses_between:
        now = min(now + pause, total)
        many = only(often.update([face(after, cam=0.1)], now)).face
    once = only(rare.update([face(after, cam=0.1)], total)).face
    np.testing.assert_allclose(many.probabilities, once.probabilities, atol=1e-4)
    np.testing.assert_allclose(many.cams, once.cams, atol=1e-5)


@given(st.floats(0.01, 3), st.floats(0, 10), st.floats(0, 10))
def test_smoothing_is_the_step_response_of_a_low_pass(elapsed, before, now) -> None:
    smoothed = smooth(np.float32([before]), np.float32([now]), elapsed)[0]
    expected = now + (before - now) * np.exp(-elapsed / TIME_CONSTANT)
    assert smoothed == pytest.approx(expected, abs=1e-5)


def test_after_one_time_constant_the_logits_have_gone_63_percent_of_the_way() -> None:
    tracker = Tracker()
    tracker.update([face(HAPPY)], 0.0)
    half_way = only(tracker.update([face(SAD)], TIME_CONSTANT)).face.probabilities
    log_odds = np.log(half_way[2] / half_way[0])
    whole = np.log(0.9 / 0.02)
    assert log_odds == pytest.approx(-whole + 2 * whole * (1 - np.exp(-1)), abs=1e-3)


def test_a_single_odd_frame_does_not_change_the_label() -> None:
    tracker = Tracker()
    for frame in range(20):
        tracker.update([face(HAPPY)], frame / 20)
    odd = np.array([0, 0, 1, 0, 0, 0])
    assert only(tracker.update([face(odd)], 1.0)).face.label == "happiness"


def test_a_lasting_change_shows_within_a_second() -> None:
    tracker = Tracker()
    tracker.update([face(HAPPY)], 0.0)
    labels = [only(tracker.update([face(SAD)], t / 10)).face.label for t in range(1, 11)]
    assert labels[-1] == "sadness"


def test_a_frame_of_the_same_moment_changes_no_number() -> None:
    tracker = Tracker()
    first = only(tracker.update([face(HAPPY, cam=0.3)], 1.0)).face
    second = only(tracker.update([face(SAD, cam=0.1)], 1.0)).face
    np.testing.assert_allclose(first.probabilities, second.probabilities, atol=1e-6)
    np.testing.assert_allclose(first.cams, second.cams)


def test_box_landmarks_and_crop_are_the_newest_frames_own() -> None:
    tracker = Tracker()
    tracker.update([face(HAPPY)], 0.0)
    moved = face(HAPPY, x=110)
    tracked = only(tracker.update([moved], 0.1)).face
    assert tracked.box is moved.box
    assert tracked.landmarks is moved.landmarks
    assert tracked.crop is moved.crop
    assert tracked.matrix is moved.matrix


@given(distributions, distributions)
def test_a_new_track_knows_nothing_of_the_old_one(before, after) -> None:
    tracker = Tracker()
    old = only(tracker.update([face(before, cam=0.3)], 0.0))
    tracker.update([], PATIENCE + 0.1)
    new = only(tracker.update([face(after, cam=0.1)], PATIENCE + 0.2))
    fresh = only(Tracker().update([face(after, cam=0.1)], 0.0))
    assert new.id > old.id
    np.testing.assert_array_equal(new.face.probabilities, fresh.face.probabilities)
    np.testing.assert_array_equal(new.face.cams, fresh.face.cams)


def test_a_face_elsewhere_starts_a_track_of_its_own() -> None:
    tracker = Tracker()
    tracker.update([face(HAPPY, x=0)], 0.0)
    elsewhere = only(tracker.update([face(SAD, x=200)], 0.1))
    assert elsewhere.id == 2
    assert elsewhere.face.label == "sadness"


def test_a_machine_that_sees_few_frames_does_not_lose_the_face() -> None:
    tracker = Tracker()
    ids = [only(tracker.update([face(HAPPY)], 3.0 * frame)).id for frame in range(5)]
    assert set(ids) == {1}


def test_after_a_long_pause_nobody_is_taken_for_the_same() -> None:
    tracker = Tracker()
    tracker.update([face(HAPPY)], 0.0)
    assert only(tracker.update([face(HAPPY)], LONGEST_PAUSE + 0.1)).id == 2


def test_a_face_that_blinks_away_and_returns_keeps_its_track() -> None:
    tracker = Tracker()
    first = only(tracker.update([face(HAPPY)], 0.0))
    assert tracker.update([], 0.5) == []
    assert only(tracker.update([face(HAPPY)], 1.0)).id == first.id


def test_faces_keep_their_tracks_while_they_move_and_change_order() -> None:
    tracker = Tracker()
    left, right = tracker.update([face(HAPPY, x=20), face(SAD, x=200)], 0.0)
    for step in range(1, 10):
        faces = [face(SAD, x=200 - 2 * step, size=85), face(HAPPY, x=20 + 6 * step)]
        first, second = tracker.update(faces, step / 10)
        assert (first.id, second.id) == (right.id, left.id)
        assert (first.face.label, second.face.label) == ("sadness", "happiness")


def test_one_track_is_not_given_to_two_faces() -> None:
    tracker = Tracker()
    tracker.update([face(HAPPY)], 0.0)
    ids = [tracked.id for tracked in tracker.update([face(HAPPY), face(SAD, x=110)], 0.1)]
    assert ids == [1, 2]


@given(st.lists(places, max_size=6), st.lists(places, max_size=6))
def test_every_face_of_a_frame_has_one_track_of_its_own(before, after) -> None:
    tracker = Tracker()
    known = {t.id for t in tracker.update([face(HAPPY, *place) for place in before], 0.0)}
    tracked = tracker.update([face(SAD, *place) for place in after], 0.1)
    ids = [t.id for t in tracked]
    assert len(set(ids)) == len(after)
    assert [t.face.box[0] for t in tracked] == [np.float32(x) for x, _, _ in after]
    assert all(i in known or i > len(known) for i in ids)


def test_landmarks_decide_between_boxes_that_overlap_equally() -> None:
    tracker = Tracker()
    tracker.update([face(HAPPY, x=100)], 0.0)
    turned, same = face(SAD, x=110), face(HAPPY, x=90)
    away = replace(turned, landmarks=turned.landmarks + np.float32(30))
    assert [t.id for t in tracker.update([away, same], 0.1)] == [2, 1]


def test_faces_without_landmarks_are_tracked_by_their_boxes() -> None:
    tracker = Tracker()
    bare = replace(face(HAPPY), landmarks=None)
    assert only(tracker.update([bare], 0.0)).id == only(tracker.update([bare], 0.1)).id


def test_what_was_not_detected_cannot_be_tracked() -> None:
    tracker = Tracker()
    tracker.update([face(HAPPY)], 0.0)
    with pytest.raises(ValueError, match="boxes"):
        tracker.update([replace(face(HAPPY), box=None)], 0.1)


def test_time_does_not_run_backwards() -> None:
    tracker = Tracker()
    tracker.update([], 1.0)
    with pytest.raises(ValueError, match="came after"):
        tracker.update([], 0.9)


def test_a_confidence_below_the_threshold_is_not_sure() -> None:
    tracker = Tracker(abstain_below=0.5)
    assert not only(tracker.update([face(UNDECIDED)], 0.0)).face.sure
    assert only(Tracker(abstain_below=0.5).update([face(HAPPY)], 0.0)).face.sure


def test_an_answer_turns_unsure_and_sure_again_over_time() -> None:
    tracker = Tracker(abstain_below=0.5)
    shown = [only(tracker.update([face(HAPPY)], 0.0)).answer]
    shown += [only(tracker.update([face(UNDECIDED)], t / 4)).answer for t in range(1, 13)]
    shown += [only(tracker.update([face(HAPPY)], 3 + t / 4)).answer for t in range(1, 13)]
    changes = [one != other for one, other in pairwise(shown)]
    assert sum(changes) == 2
    assert (shown[0], shown[12], shown[-1]) == ("happiness", NOT_SURE, "happiness")


@pytest.mark.parametrize("rate", [4, 25])
def test_an_answer_changes_when_the_next_one_has_held_for_half_a_second(rate: int) -> None:
    tracker = Tracker()
    tracker.update([face(HAPPY)], 0.0)
    since = None
    for frame in range(1, 3 * rate):
        tracked = only(tracker.update([face(SAD)], frame / rate))
        if since is None and tracked.face.label == "sadness":
            since = frame / rate
        held = since is not None and frame / rate - since >= HOLD
        assert tracked.answer == ("sadness" if held else "happiness")
        assert tracked.settled == (tracked.answer == tracked.face.label)


@given(st.lists(st.floats(0.45, 0.55), min_size=2, max_size=30))
def test_an_answer_does_not_flicker_at_the_threshold(confidences) -> None:
    tracker = Tracker(abstain_below=0.5)
    answers = []
    for frame, confidence in enumerate(confidences):
        rest = (1 - confidence) / 5
        tracked = only(tracker.update([face([confidence] + [rest] * 5)], frame / 10))
        assert tracked.face.sure == (tracked.face.confidence >= 0.5)  # one bound, no second one
        answers.append(tracked.answer)
    changes = [at for at, (one, other) in enumerate(pairwise(answers), 1) if one != other]
    assert all(later - earlier >= 5 for earlier, later in pairwise([0, *changes]))


def test_calm_is_smoothed_and_becomes_the_answer_when_it_lasts() -> None:
    tracker = Tracker()
    calm, lively = replace(face(HAPPY), calm=0.95), replace(face(HAPPY), calm=0.05)
    first = only(tracker.update([lively], 0.0))
    assert first.face.calm == pytest.approx(0.05)
    odd = only(tracker.update([calm], 0.04))
    assert odd.face.calm is not None
    assert 0.05 < odd.face.calm < 0.5
    answers = [only(tracker.update([calm], t / 10)).answer for t in range(1, 15)]
    assert (answers[0], answers[-1]) == ("happiness", CALM)
    assert only(Tracker().update([face(HAPPY)], 0.0)).face.calm is None


def test_two_faces_that_come_together_open_together():
    tracker = Tracker(patient=True)
    both = [face([1, 0, 0, 0, 0, 0], x=20), face([0, 1, 0, 0, 0, 0], x=200)]

    for number in range(3):
        tracked = tracker.update(both, number / 20)

    assert [one.id for one in tracked] == [1, 2]
