from __future__ import annotations

import pytest

from emotion.ui.gate import BusyError
from emotion.ui.visitors import CAPACITY, LIFETIME, Visitors


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_number_of_visitors_is_bounded():
    visitors = Visitors(0.0)
    for number in range(2 * CAPACITY):
        visitors.follow(f"visitor {number}", [], 0.0)
    assert len(visitors) == CAPACITY


def test_those_who_left_are_forgotten_and_those_who_stay_are_not():
    clock = Clock()
    visitors = Visitors(0.0, clock)
    visitors.follow("left", [], 0.0)
    for _ in range(10):
        clock.now += LIFETIME / 5
        visitors.follow("stays", [], clock.now)
    assert len(visitors) == 1
    with pytest.raises(BusyError):
        visitors.follow("stays", [], 0.0)
    visitors.follow("left", [], -1.0)


def test_nobody_without_a_name_is_remembered():
    visitors = Visitors(0.0)
    visitors.follow("", [], 1.0)
    visitors.follow("", [], 0.0)
    assert len(visitors) == 0
