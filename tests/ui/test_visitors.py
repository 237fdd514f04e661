from __future__ import annotations

import pytest

from emotion.ui.gate import BusyError
from emotion.ui.visitors import CAPACITY, LIFETIME, Visitors


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_number_of_visitors_is_bounded():
    visitors = Visitors()
    for number in range(2 * CAPACITY):
        visitors.follow(f"visitor {number}", [], 0.0, 0.0)
    assert len(visitors) == CAPACITY


def test_those_who_left_are_forgotten_and_those_who_stay_are_not():
    clock = Clock()
    visitors = Visitors(clock)
    visitors.follow("left", [], 0.0, 0.0)
    for _ in range(10):
        clock.now += LIFETIME / 5
        visitors.follow("stays", [], clock.now, 0.0)
    assert len(visitors) == 1
    with pytest.raises(BusyError):
        visitors.follow("stays", [], 0.0, 0.0)
    visitors.follow("left", [], -1.0, 0.0)


def test_nobody_without_a_name_is_remembered():
    visitors = Visitors()
    visitors.follow("", [], 1.0, 0.0)
    visitors.follow("", [], 0.0, 0.0)
    assert len(visitors) == 0


def test_the_bound_is_that_of_the_network_that_answers_now(analyzer, astronaut):
    visitors, results = Visitors(), analyzer.analyze(astronaut)
    for time_s in (0.0, 0.2):
        visitors.follow("stays", results, time_s, 0.0)
    (before,) = visitors.follow("stays", results, 0.4, 0.0)
    (after,) = visitors.follow("stays", results, 0.6, 1.1)
    assert before.face.sure
    assert not after.face.sure
