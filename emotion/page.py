"""``sep-emotion page`` and ``app.py``: the one place that loads weights and serves the page."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from emotion.errors import ConfigError

DEPLOYMENT = Path("space.yaml")
"""Where the command line looks for the description of a deployment: the working directory."""

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
    parser.add_argument("--weights", metavar="SPEC", help=WEIGHTS_HELP)


def serve(host: str, port: str, weights: str | None, deployment: Path) -> None:
    """Load the weights, build the page, print its address and block.

    Args:
        host: address to listen on.
        port: digits.
        weights: SPEC; None for the default.
        deployment: where ``space.yaml`` is looked for, see ``emotion.weights.default_spec``.

    Raises:
        ConfigError: if the page cannot be served there, or Gradio is not installed.
        WeightsError: if the weights that were asked for cannot be used.
    """
    if find_spec("gradio") is None:
        raise ConfigError(
            "The page needs Gradio, which is not installed; install this package with its extra "
            "'page', or Gradio alone: pip install gradio"
        )
    if not port.isdigit():
        raise ConfigError(f"{port} is not a port; give a number with --port.")
    # torch and Gradio take seconds to import, so what can be wrong is checked before each of them.
    from emotion.ui import address

    address.check(host, int(port))
    from emotion.analyzer import Analyzer
    from emotion.weights import load_or_fall_back

    loaded = load_or_fall_back(weights, deployment)
    if loaded.notice:
        print(loaded.notice, file=sys.stderr)
    from emotion.ui.demo import build
    from emotion.ui.launch import start

    demo = build(Analyzer.from_loaded(loaded), weights, deployment)
    print(f"Six expressions, and why: {start(demo, host, int(port))} (Ctrl-C ends it)", flush=True)
    demo.block_thread()
