from __future__ import annotations

import io
import logging
import traceback

import pytest

from emotion.ui import log
from emotion.ui.log import FOREIGN, LINE, BoundedStream


@pytest.fixture
def written():
    return io.StringIO()


@pytest.fixture
def logger(written):
    """A logger as ``protect`` sets it up."""
    handler = logging.StreamHandler(log._Entries(BoundedStream(written)))
    handler.setFormatter(log._OneEntry("%(levelname)s %(name)s: %(message)s"))
    named = logging.getLogger("emotion.test")
    named.handlers, named.propagate = [handler], False
    yield named
    named.handlers, named.propagate = [], True


FORGED = "x\r\nERROR root: all is lost"


def test_an_entry_is_one_line_whatever_its_message_holds(logger, written):
    logger.warning("a name: %s", FORGED)
    assert written.getvalue() == "WARNING emotion.test: a name: x\\r\\nERROR root: all is lost\n"


def test_a_traceback_cannot_pretend_to_be_an_entry(logger, written):
    try:
        raise ValueError(FORGED)
    except ValueError:
        logger.exception("failed")
    first, *others = written.getvalue().splitlines()
    assert first == "ERROR emotion.test: failed"
    assert all(line.startswith(FOREIGN) for line in others)


def test_neither_can_what_a_library_prints(written):
    stream = BoundedStream(written)
    try:
        raise ValueError(FORGED)
    except ValueError:
        traceback.print_exc(file=stream)
    print(FORGED, file=stream)
    lines = written.getvalue().splitlines()
    assert len(lines) > 3
    assert all(line.startswith(FOREIGN) for line in lines)


def test_a_line_of_megabytes_is_cut(logger, written):
    logger.warning("%s", "x" * 11_000_000)
    print("y" * 11_000_000, file=BoundedStream(written))
    assert len(written.getvalue()) < 2 * LINE + 200


@pytest.mark.parametrize("control", ["\x1b[2J", "\x00", "\x85", "\u2028", "\x7f"])
def test_control_characters_are_written_out(logger, written, control):
    logger.warning("a%sb", control)
    assert control[0] not in written.getvalue()


def test_a_flood_is_left_out_and_counted(written, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(log.time, "monotonic", lambda: now[0])
    stream = BoundedStream(written)
    for _ in range(100_000):
        stream.write("flood of a line\n")
    assert len(written.getvalue()) < log.PER_MINUTE + LINE + 100
    now[0] += 61
    stream.write("afterwards\n")
    assert "lines were left out" in written.getvalue()
    assert written.getvalue().endswith("afterwards\n")


def test_a_terminal_without_unicode_is_no_error():
    stream = BoundedStream(io.TextIOWrapper(io.BytesIO(), "ascii"))
    stream.write("naïve\n")
