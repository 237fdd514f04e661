from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion.ui.clients import Client, RateLimit, address_of, client_of
from emotion.ui.gate import (
    BETWEEN_FRAMES,
    CLAIM_LASTS,
    CLAIMS_PER_ADDRESS,
    FRAMES_AT_ONCE,
    LONGEST_WAIT,
    NEWCOMERS_AT_ONCE,
    SLOT_LASTS,
    BusyError,
    Gate,
)


def test_a_live_frame_is_refused_while_every_slot_is_taken():
    gate = Gate(slots=1)
    with gate.enter_at_once(), pytest.raises(BusyError), gate.enter_at_once():
        pytest.fail("two analyses ran in one slot")


def test_a_slot_is_free_again_after_an_error():
    gate = Gate(slots=1)
    with pytest.raises(ZeroDivisionError), gate.enter_at_once():
        raise ZeroDivisionError
    with gate.enter_at_once():
        pass


def test_a_photo_waits_for_a_slot():
    gate = Gate(slots=1)
    inside, order = threading.Event(), []

    def photo() -> None:
        inside.set()
        with gate.enter():
            order.append("photo")

    with gate.enter_at_once():
        thread = threading.Thread(target=photo)
        thread.start()
        inside.wait()
        order.append("frame")
    thread.join()
    assert order == ["frame", "photo"]


def test_a_photo_gives_up_when_its_time_is_over():
    gate = Gate(slots=1)
    with gate.enter_at_once(), pytest.raises(BusyError), gate.enter(timeout=0.01):
        pytest.fail("two analyses ran in one slot")


def test_a_full_waiting_room_refuses_at_once():
    gate = Gate(slots=1, room=0)
    with gate.enter_at_once(), pytest.raises(BusyError), gate.enter(timeout=3600):
        pytest.fail("two analyses ran in one slot")


def test_a_free_slot_needs_no_waiting_room():
    with Gate(slots=1, room=0).enter(timeout=0):
        pass


class Clock:
    """A clock that stands still until it is told to go on."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def served(gate: Gate, client: Client, decoded: bool = True) -> bool:
    """Send one frame, which is a picture or not, and say whether it had a turn."""
    try:
        with gate.enter_at_once(client) as turn:
            turn.decoded = decoded
            return True
    except BusyError:
        return False


def acquainted(gate: Gate, *clients: Client) -> Gate:
    """Let a gate see a picture of each visitor, and the addresses rest afterwards."""
    assert all(served(gate, client) for client in clients)
    if isinstance(gate._clock, Clock):
        gate._clock.now += 1
    return gate


ANN, BEN, EVE = Client("10.0.0.1", "ann"), Client("10.0.0.2", "ben"), Client("10.0.0.3", "eve")


def test_two_visitors_take_turns_however_fast_one_of_them_asks(clock):
    gate = acquainted(Gate(slots=1, clock=clock), ANN, BEN)
    with gate.enter_at_once(ANN) as turn:
        turn.decoded = True
        assert not served(gate, BEN)
    assert not served(gate, ANN)
    assert served(gate, BEN)
    assert served(gate, ANN)


def test_visitors_behind_one_address_take_turns_too(clock):
    ann, ben = Client("10.0.0.1", "ann"), Client("10.0.0.1", "ben")
    gate = acquainted(Gate(slots=1, clock=clock), ann, ben)
    with gate.enter_at_once(ann) as turn:
        turn.decoded = True
        assert not served(gate, ben)
    assert not served(gate, ann)
    assert served(gate, ben)


def ben_waits(gate: Gate, order: list[str], **patience: float) -> threading.Thread:
    """Let Ben wait in a thread, and return once he does; then he writes down that he was served."""

    def frame() -> None:
        with gate.enter_at_once(BEN, **patience):
            order.append("ben")

    thread = threading.Thread(target=frame)
    thread.start()
    while not gate._claims:
        time.sleep(0.001)
    return thread


def test_a_patient_frame_gets_the_slot_as_soon_as_it_is_free():
    gate = acquainted(Gate(slots=1), ANN, BEN)
    order: list[str] = []
    with gate.enter_at_once(ANN) as turn:
        turn.decoded = True
        waiting = ben_waits(gate, order, patience=60)
        assert not served(gate, ANN)
        order.append("ann")
    waiting.join(timeout=30)
    assert order == ["ann", "ben"]
    assert served(gate, ANN)


def test_a_frame_is_sent_away_where_the_slot_is_not_free_soon(clock):
    gate = acquainted(Gate(slots=1, clock=clock), ANN, BEN)
    with gate.enter_at_once(ANN) as turn:
        turn.decoded = True
        clock.now += 1  # what a frame takes from now on
    with gate.enter_at_once(ANN), pytest.raises(BusyError) as busy, gate.enter_at_once(BEN, 0.1):
        pytest.fail("two analyses ran in one slot")
    assert busy.value.wait > 0.1


def test_a_patient_frame_is_sent_away_in_the_end():
    gate = acquainted(Gate(slots=1), ANN, BEN)
    with gate.enter_at_once(ANN), pytest.raises(BusyError), gate.enter_at_once(BEN, 0.06):
        pytest.fail("two analyses ran in one slot")
    assert served(gate, BEN)


def test_nobody_gains_turns_by_pretending_to_be_many(clock):
    many = [Client("10.0.0.3", f"eve {number}") for number in range(20)]
    gate = acquainted(Gate(slots=1, clock=clock), *many, ANN, BEN)
    with gate.enter_at_once(ANN) as turn:
        turn.decoded = True
        assert not any(served(gate, client) for client in [*many, BEN])
    turns = []
    for _ in range(3):
        turns.append("eve" if any(served(gate, client) for client in many) else "")
        turns.append("ben" if served(gate, BEN) else "")
        with gate.enter_at_once(ANN) as turn:
            turn.decoded = True
            assert not any(served(gate, client) for client in [*many[:5], BEN])
        clock.now += 0.5
    assert turns == ["eve", "ben"] * 3


def test_the_turn_of_a_visitor_who_left_is_not_kept_for_long(clock):
    gate = acquainted(Gate(slots=1, clock=clock), ANN, BEN)
    with gate.enter_at_once(ANN) as turn:
        turn.decoded = True
        assert not served(gate, BEN)
    assert not served(gate, ANN)
    clock.now += LONGEST_WAIT + CLAIM_LASTS
    assert served(gate, ANN)


def test_who_let_a_turn_pass_has_none_kept_for_a_while(clock):
    gate = acquainted(Gate(slots=1, clock=clock), ANN, BEN)

    def ben_is_refused_and_leaves() -> bool:
        with gate.enter_at_once(ANN) as turn:
            turn.decoded = True
            assert not served(gate, BEN)
        return not served(gate, ANN)

    assert ben_is_refused_and_leaves()
    clock.now += LONGEST_WAIT + CLAIM_LASTS
    acquainted(gate, ANN, BEN)
    assert not ben_is_refused_and_leaves()
    clock.now += 20
    acquainted(gate, BEN, ANN, BEN)
    assert ben_is_refused_and_leaves()


@given(st.lists(st.tuples(st.floats(0, 0.4), st.integers(0, 3), st.floats(0, 0.3)), max_size=80))
@pytest.mark.parametrize("slots", [1, 2])
def test_no_slot_stands_empty_for_names_that_are_used_once(slots, calls):
    clock = Clock()
    gate = Gate(slots=slots, clock=clock)
    running: list[tuple[float, object]] = []
    for number, (pause, address, seconds) in enumerate(calls):
        clock.now += pause
        for end, held in [run for run in running if run[0] <= clock.now]:
            held.__exit__(None, None, None)
            running.remove((end, held))
        held = gate.enter_at_once(Client(f"10.0.0.{address}", f"name {number}"))
        if gate._rate._buckets.get(f"10.0.0.{address}", (2, 0))[0] < 1:
            continue
        try:
            turn = held.__enter__()
        except BusyError:
            assert len(running) == slots
        else:
            turn.decoded = number % 2 == 0
            running.append((clock.now + seconds, held))
    assert not gate._claims


def honest_answers(
    name_of: Callable[[int], Client], period: float, eve_takes: float = 0.001
) -> int:
    """Let two polite visitors watch for a minute, and somebody send a picture per period."""
    clock = Clock()
    gate = Gate(slots=1, clock=clock)
    honest = dict.fromkeys([ANN, BEN], clock.now)
    seconds, free_at, held = 0.027, 0.0, None
    start = next_eve = clock.now
    sent = answers = 0

    def call(client: Client, takes: float) -> float:
        nonlocal held, free_at, answers
        entered = gate.enter_at_once(client)
        try:
            entered.__enter__().decoded = True
        except BusyError as error:
            return max(error.wait, 0.03)
        held, free_at = entered, clock.now + takes
        answers += client in honest
        return takes + 0.02

    while clock.now - start < 60:
        clock.now += 0.001
        if held is not None and clock.now >= free_at:
            held.__exit__(None, None, None)
            held = None
        if clock.now >= next_eve:
            call(name_of(sent), eve_takes)
            sent, next_eve = sent + 1, clock.now + period
        for client, when in honest.items():
            if clock.now >= when:
                honest[client] = clock.now + call(client, seconds)
    return answers


@pytest.mark.parametrize("addresses", [1, 5, 500])
@pytest.mark.parametrize("period", [0.05, 0.125, 0.7])
@pytest.mark.parametrize("uses", [1, 2, 3])
def test_visitors_who_do_not_return_cost_the_others_little(uses, period, addresses):
    def eve(sent: int) -> Client:
        return Client(f"10.0.1.{sent // uses % addresses}", f"eve {sent // uses}")

    undisturbed = honest_answers(eve, math.inf)
    assert honest_answers(eve, period) > 0.75 * undisturbed


@pytest.mark.parametrize("addresses", [1, 2])
def test_pictures_under_names_used_once_cost_the_others_little(addresses):
    def eve(sent: int) -> Client:
        return Client(f"10.0.1.{sent % addresses}", f"eve {sent}")

    undisturbed = honest_answers(eve, math.inf)
    assert honest_answers(eve, 0.05, eve_takes=0.027) > 0.8 * undisturbed


def test_the_pause_between_a_visitors_frames_is_not_filled_by_one_name_after_another(clock):
    gate = acquainted(Gate(slots=1, clock=clock), ANN)
    for number in range(30):
        gate._newcomers.wait(EVE.address)
        assert served(gate, ANN)
        clock.now += 0.03
        assert not served(gate, Client(EVE.address, f"eve {number}")) or number < NEWCOMERS_AT_ONCE
    clock.now += 2 * BETWEEN_FRAMES
    assert served(gate, Client(EVE.address, "when nobody is there"))


def test_the_pause_between_a_visitors_frames_is_not_filled_by_one_call_after_another(clock):
    gate = acquainted(Gate(slots=1, clock=clock), ANN)
    calls = 0
    for _ in range(120):
        with gate.enter_at_once(ANN) as turn:
            turn.decoded = True
            clock.now += 0.03
        clock.now += 0.03
        try:
            with gate.enter(EVE, timeout=0):
                clock.now += 0.1
                calls += 1
        except BusyError:
            pass
    assert 8 <= calls <= 20
    clock.now += 1
    for _ in range(3):  # nobody looks
        with gate.enter(EVE, timeout=0):
            clock.now += 0.1


def test_new_names_come_last_where_an_address_brings_more_than_a_school_does(clock):
    gate = acquainted(Gate(slots=1, clock=clock), ANN, BEN)
    used_up = sum(gate._newcomers.wait(EVE.address) == 0 for _ in range(30))
    assert used_up == NEWCOMERS_AT_ONCE
    with gate.enter_at_once(ANN) as turn:
        turn.decoded = True
        assert not served(gate, BEN)
    assert not served(gate, EVE)  # although its address was never served
    assert served(gate, BEN)
    clock.now += 2 * BETWEEN_FRAMES
    assert served(gate, EVE)  # nobody else asks
    with gate.enter_at_once(BEN) as turn:
        turn.decoded = True
        assert not served(gate, ANN)
    assert served(gate, Client("10.0.0.4", "the first of an address"))


def test_an_address_that_takes_long_turns_gets_fewer(clock):
    gate = acquainted(Gate(slots=1, clock=clock), ANN, BEN)
    for _ in range(20):
        for client in (ANN, BEN):
            with gate.enter_at_once(client) as turn:
                turn.decoded = True
                clock.now += 0.05
    order: list[str] = []

    def turn_of(client: Client, seconds: float) -> None:
        order.append(client.visitor)
        clock.now += seconds

    # All three always wait, so the order decides alone.
    for _ in range(40):
        claims = {client: gate._claim(client) for client in (ANN, BEN, EVE)}
        first = min(claims, key=lambda client: gate._order(claims[client]))
        if first is EVE:
            with gate.enter(EVE):
                turn_of(EVE, 0.2)
        else:
            with gate.enter_at_once(first) as turn:
                turn.decoded = True
                turn_of(first, 0.05)
    large = order.count("eve") * 0.2
    frames = (len(order) - order.count("eve")) * 0.05
    assert 0.08 < large / (large + frames) < 0.25


def what_three_calls_cost(clock: Clock, *, at_once: bool) -> float:
    """Let an address have three calls of one length; return what they count, in frames."""
    gate = Gate(slots=1, clock=clock)

    def call() -> None:
        with gate.enter(EVE, timeout=1000.0):
            clock.now += 0.1

    threads = [threading.Thread(target=call) for _ in range(3)]
    with gate.enter(BEN):
        for number, thread in enumerate(threads, 1):
            if at_once:
                thread.start()
                while len(gate._claims) < number:
                    time.sleep(0.001)
    for thread in threads:
        if not at_once:
            thread.start()
        thread.join()
    return gate._shares.order(EVE)[0]


def test_an_address_with_many_calls_at_once_gets_fewer_than_one_that_asks_in_turn(clock):
    in_turn = what_three_calls_cost(clock, at_once=False)
    assert what_three_calls_cost(clock, at_once=True) > 1.5 * in_turn > 0


def test_a_name_that_sends_no_picture_any_more_is_a_new_one(clock):
    gate = acquainted(Gate(slots=1, clock=clock), ANN, EVE)
    assert served(gate, EVE, decoded=False)
    with gate.enter_at_once(ANN) as turn:
        turn.decoded = True
        assert not served(gate, EVE)
    assert served(gate, ANN)


def test_so_many_turns_are_kept_for_one_address_and_no_more(clock):
    school = [Client("10.0.0.9", f"pupil {number}") for number in range(20)]
    gate = acquainted(Gate(slots=1, clock=clock), *school)
    with gate.enter_at_once(school[0]) as turn:
        turn.decoded = True
        assert not any(served(gate, pupil) for pupil in school[1:])
        assert len(gate._claims) == CLAIMS_PER_ADDRESS


def test_a_newcomer_waits_where_turns_are_kept_for_all_others():
    gate = acquainted(Gate(slots=1), ANN)
    order: list[str] = []
    with gate.enter_at_once(ANN) as turn:
        turn.decoded = True
        thread = ben_waits(gate, order, first_patience=60)
        with pytest.raises(BusyError), gate.enter_at_once(Client(BEN.address, "x"), 0, 60):
            pytest.fail("two newcomers of one address wait")
    if served(gate, ANN):
        order.append("ann")
    thread.join(timeout=30)
    assert order == ["ben"]


def test_an_analysis_that_hangs_does_not_keep_its_slot(clock):
    gate = Gate(slots=1, clock=clock)
    with gate.enter(EVE):
        assert not served(gate, ANN)
        assert not gate.stuck()
        clock.now += SLOT_LASTS + 1
        assert gate.stuck()
        assert served(gate, ANN)
    assert not gate.stuck()


def test_as_many_visitors_as_there_are_slots_never_meet_a_busy_server(clock):
    gate = Gate(slots=2, clock=clock)
    for _ in range(5):
        with gate.enter_at_once(ANN), gate.enter_at_once(BEN):
            clock.now += 0.1


@pytest.mark.parametrize("slots", [1, 2, 3])
@pytest.mark.parametrize("seconds", [0.02, 0.3, 1.5])
def test_nobody_starves(clock, slots, seconds):
    visitors = [Client(f"10.0.0.{number}", "x") for number in range(slots + 4)]
    gate = acquainted(Gate(slots=slots, clock=clock), *visitors)
    last = dict.fromkeys(visitors, clock.now)
    running: list[tuple[float, Client, object]] = []
    chance, longest = random.Random(0), 0.0
    retry = dict.fromkeys(visitors, 0.0)
    while clock.now < 100 + 100 * seconds:
        for end, client, held in [run for run in running if run[0] <= clock.now]:
            held.__exit__(None, None, None)
            running.remove((end, client, held))
            retry[client] = clock.now + 0.04
        for client in chance.sample(visitors, len(visitors)):
            if retry[client] > clock.now or any(client == other for _, other, _ in running):
                continue
            held = gate.enter_at_once(client)
            try:
                held.__enter__().decoded = True
            except BusyError as error:
                retry[client] = clock.now + max(error.wait, 0.03)
                continue
            longest = max(longest, clock.now - last[client])
            last[client] = clock.now
            running.append((clock.now + seconds, client, held))
        clock.now += 0.01
    turn = (seconds + 0.1) * len(visitors) / slots  # 0.1 s: nobody comes at the very moment
    assert longest < 2 * turn
    assert min(last.values()) > clock.now - 2 * turn


def test_the_wait_that_is_proposed_follows_how_long_a_frame_takes(clock):
    gate = Gate(slots=1, clock=clock)
    for _ in range(30):
        with gate.enter_at_once(ANN) as turn:
            turn.decoded = True
            clock.now += 0.3
    with gate.enter_at_once(ANN):
        clock.now += 0.1
        with pytest.raises(BusyError) as busy, gate.enter_at_once(BEN):
            pytest.fail("two analyses ran in one slot")
    assert busy.value.wait == pytest.approx(0.2, abs=0.02)


def test_a_photo_comes_before_the_next_frame_of_somebody_who_was_just_served():
    gate = Gate(slots=1)
    order = []

    def photo() -> None:
        with gate.enter(BEN):
            order.append("photo")

    thread = threading.Thread(target=photo)
    with gate.enter_at_once(ANN):
        thread.start()
        while not gate._claims:
            time.sleep(0.001)
    if served(gate, ANN):
        order.append("frame")
    thread.join()
    assert order == ["photo"]


def test_a_live_visitor_gets_turns_between_the_photos_of_another(clock):
    gate = acquainted(Gate(slots=1), ANN)
    with gate.enter(EVE):
        assert not served(gate, ANN)
    with pytest.raises(BusyError), gate.enter(EVE, timeout=0):
        pytest.fail("the second photo did not wait for the live visitor")
    assert served(gate, ANN)


def test_one_address_cannot_fill_the_waiting_room():
    gate = Gate(slots=1, room=2)
    entered = threading.Event()

    def photo(client: Client) -> None:
        entered.set()
        with gate.enter(client):
            pass

    with gate.enter_at_once(ANN):
        waiting = threading.Thread(target=photo, args=[EVE])
        waiting.start()
        while not gate._claims:
            time.sleep(0.001)
        with pytest.raises(BusyError), gate.enter(EVE, timeout=3600):
            pytest.fail("two photos of one address wait in half a room of two")
        other = threading.Thread(target=photo, args=[BEN])
        other.start()
    for thread in (waiting, other):
        thread.join(timeout=30)
        assert not thread.is_alive()


def test_a_flood_from_one_address_is_slowed_and_another_address_is_served(clock):
    gate = Gate(slots=4, clock=clock)
    passed = 0
    for _ in range(100):
        passed += served(gate, EVE)
        clock.now += 0.01
    assert FRAMES_AT_ONCE < passed < 100
    assert served(gate, ANN)


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=60))
def test_no_stretch_of_time_lets_more_through_than_rate_and_burst(pauses):
    clock = Clock()
    limit = RateLimit(rate=10, burst=3, clock=clock)
    passed = []
    for pause in pauses:
        clock.now += pause
        if limit.wait("address") == 0:
            passed.append(clock.now)
    for i, first in enumerate(passed):
        for j, last in enumerate(passed[i:]):
            assert j + 1 <= 3 + 10 * (last - first) + 1e-6


def test_after_the_proposed_wait_the_next_call_passes(clock):
    limit = RateLimit(rate=10, burst=1, clock=clock)
    assert limit.wait("address") == 0
    clock.now += limit.wait("address") + 1e-9
    assert limit.wait("address") == 0


def test_what_the_gate_remembers_is_bounded(clock):
    gate = Gate(slots=1, clock=clock)
    for number in range(3000):
        assert served(gate, Client(f"address {number}", "x"))
        clock.now += 1
    assert len(gate._shares) <= 2048
    assert len(gate._rate._buckets) <= 2048
    assert not gate._claims


def test_clients_are_told_apart_by_address_and_name():
    request = SimpleNamespace(client=SimpleNamespace(host="10.0.0.1"))
    assert client_of(request, "ann") == ANN
    assert client_of(None) == Client("")
    assert client_of(SimpleNamespace(client=None), "ann") == Client("", "ann")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:socket", "unix:socket"),
        ("", ""),
    ],
)
def test_who_has_one_ipv6_address_has_many(host, expected):
    assert address_of(host) == expected
