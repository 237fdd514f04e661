"""``python app.py`` as a newcomer meets it when something is wrong."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def run_app(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
    )


def assert_one_sentence(run: subprocess.CompletedProcess[str], *words: str) -> None:
    assert run.returncode == 2
    assert run.stdout == ""
    lines = run.stderr.strip().splitlines()
    assert len(lines) == 1
    assert all(word in lines[0] for word in words)


@pytest.fixture
def occupied_port():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield str(other.getsockname()[1])


def test_an_occupied_port_is_said_in_one_sentence(occupied_port):
    assert_one_sentence(run_app("--port", occupied_port), occupied_port, "--port")


@pytest.mark.parametrize("port", ["0", "70000", "http"])
def test_a_port_that_is_none_is_said_in_one_sentence(port):
    assert_one_sentence(run_app("--port", port), port, "--port")


def test_a_foreign_host_is_said_in_one_sentence():
    assert_one_sentence(run_app("--host", "192.0.2.1"), "192.0.2.1", "--host")


def test_missing_weights_are_said_in_one_sentence(tmp_path):
    missing = str(tmp_path / "nowhere")
    assert_one_sentence(run_app("--port", "7870", "--weights", missing), missing)


def test_damaged_weights_are_said_in_one_sentence(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{not a header}")
    assert_one_sentence(run_app("--port", "7870", "--weights", str(tmp_path)), "damaged")
