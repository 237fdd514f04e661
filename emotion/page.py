"""``sep-emotion page`` and ``app.py``: the one place that loads weights and serves the page."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

from emotion import memory
from emotion.errors import ConfigError

DEPLOYMENT = Path("space.yaml")
"""Where the command line looks for the description of a deployment: the working directory."""

SWITCH_EVERY = 0.0005
"""Seconds for which one thread may keep others from running Python; a frame's analysis asks for its
turn again after each step, and Python's own 5 ms add up while the server answers others."""

WEIGHTS_HELP = (
    "embedded, a folder, or hf://USER/NAME@REVISION (default: EMOTION_WEIGHTS, or the model of "
    "space.yaml, or embedded)"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options of the page."""
    host = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")
    port = os.environ.get("GRADIO_SERVER_PORT", "7860")
    parser.add_argument("--host", default=host, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", default=port, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--root-path",
        default=os.environ.get("GRADIO_ROOT_PATH", ""),
        metavar="PATH",
        help="path under which a proxy serves the page, as /emotion (docs/proxy.md)",
    )
    parser.add_argument("--weights", metavar="SPEC", help=WEIGHTS_HELP)
    parser.add_argument(
        "--mcp", action="store_true", help="answer programs that speak MCP, too (docs/http.md)"
    )


def serve(arguments: argparse.Namespace, deployment: Path) -> None:
    """Load the weights, build the page, print its address, and run until SIGINT or SIGTERM.

    It does not return: what is under way is answered and files are deleted, then the process ends.

    Args:
        arguments: what a parser with ``add_arguments`` gave.
        deployment: where ``space.yaml`` is looked for, see ``emotion.weights.default_spec``.

    Raises:
        ConfigError: if the page cannot be served there, or Gradio is not installed.
        WeightsError: if the weights that were asked for cannot be used.
    """
    host, port, weights = arguments.host, arguments.port, arguments.weights
    if find_spec("gradio") is None:
        raise ConfigError(
            "The page needs Gradio, which is not installed; install this package with its extra "
            "'page', or Gradio alone: pip install gradio"
        )
    if arguments.mcp and find_spec("mcp") is None:
        raise ConfigError(
            "MCP needs the package mcp, which is not installed; install this package with its "
            "extra 'mcp', or it alone: pip install mcp"
        )
    if not port.isdigit() or len(port) > 5:
        raise ConfigError(f"{port[:20]} is not a port; give a number with --port.")
    # torch and Gradio take seconds to import, so what can be wrong is checked before each of them.
    from emotion.ui import address

    address.check(host, int(port))
    from emotion.analyzer import Analyzer
    from emotion.weights import load_or_fall_back

    loaded = load_or_fall_back(weights, deployment)
    if loaded.notice:
        print(loaded.notice, file=sys.stderr)
    from emotion.ui import log
    from emotion.ui.uploads import Uploads

    memory.give_back_large_blocks()
    sys.setswitchinterval(SWITCH_EVERY)
    log.protect()
    uploads = Uploads()  # before Gradio, which notes once where temporary files go
    _ignore_ports()
    from emotion.ui.demo import build
    from emotion.ui.launch import start, stop

    page = build(Analyzer.from_loaded(loaded), weights, deployment, uploads)
    url = start(page, host, int(port), arguments.root_path, mcp=arguments.mcp)
    gc.collect()
    gc.freeze()  # half a million objects that stay; looking through them stops every thread
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        print(f"Six expressions, and why: {url} (Ctrl-C ends it)", flush=True)
        if arguments.mcp:
            print(f"MCP: {url}mcp", flush=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        stop(page)
        print("Stopped.", flush=True)
        sys.stderr.flush()
        os._exit(0)  # all is closed; Python would tidy up torch for many seconds


def _ignore_ports() -> None:
    """Keep Gradio from reading numbers that only matter where it chooses a port by itself."""
    for name in ("GRADIO_SERVER_PORT", "GRADIO_NUM_PORTS"):
        os.environ.pop(name, None)
