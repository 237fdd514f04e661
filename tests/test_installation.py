"""What the Makefile and the configuration promise about the environment the code runs in."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from importlib.metadata import version

import cv2
import pytest
from pytest_socket import SocketConnectBlockedError


def test_the_loaded_opencv_needs_no_graphics_library() -> None:
    assert cv2.version.headless, "run make install: the other OpenCV wheel lies on top"


def test_both_opencv_wheels_have_one_version() -> None:
    assert version("opencv-python") == version("opencv-python-headless")


@pytest.mark.parametrize("command", [[], ["classify"], ["video"], ["page"]])
def test_no_help_of_the_command_line_waits_for_torch_or_opencv(command: list[str]) -> None:
    program = f"""
import contextlib, io, sys
from emotion.shell.cli import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main([*{command}, "--help"])
print(*{{"torch", "cv2", "gradio"}} & sys.modules.keys())
"""

    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "\n"


@pytest.mark.filterwarnings("ignore:A test tried to use socket")
def test_tests_cannot_connect_beyond_this_machine() -> None:
    documentation_address = ("192.0.2.1", 80)  # RFC 5737: never routed

    with pytest.raises(SocketConnectBlockedError):
        socket.create_connection(documentation_address, timeout=1)


def test_tests_can_talk_to_their_own_asyncio_server() -> None:
    async def ask_own_server() -> bytes:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("localhost", port)
            received = await reader.read()
            writer.close()
            return received

    assert asyncio.run(ask_own_server()) == b"hello"
