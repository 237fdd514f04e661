"""Serve the page: ``python app.py [--host H] [--port P] [--weights SPEC]``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading

from emotion.errors import ConfigError, EmotionError


def main() -> int:
    """Run the server until SIGINT or SIGTERM; exit code 2 and one sentence if it cannot start."""
    arguments = _parser().parse_args()
    try:
        serve(arguments.host, arguments.port, arguments.weights, arguments.root_path)
    except EmotionError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", flush=True)
        sys.stderr.flush()
        os._exit(0)  # all is closed; Python would tidy up torch for many seconds
    return 0


def serve(host: str, port: str, weights: str | None, root_path: str) -> None:
    """Load the weights, build the page, print its address and block until interrupted."""
    if not port.isdigit() or len(port) > 5:
        raise ConfigError(f"{port[:20]} is not a port; give a number with --port.")
    # torch and Gradio take seconds to import, so what can be wrong is checked before each of them.
    from emotion.ui import address

    address.check(host, int(port))
    from emotion.analyzer import Analyzer
    from emotion.weights import load_or_fall_back

    loaded = load_or_fall_back(weights)
    if loaded.notice:
        print(loaded.notice, file=sys.stderr)
    from emotion.ui import log
    from emotion.ui.uploads import Uploads

    log.protect()
    uploads = Uploads()  # Gradio notes when it is imported where temporary files go
    from emotion.ui.demo import build
    from emotion.ui.launch import start, stop

    page = build(Analyzer.from_loaded(loaded), weights, uploads)
    address_there = start(page, host, int(port), root_path)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        print(f"Six expressions, and why: {address_there} (Ctrl-C ends it)", flush=True)
        threading.Event().wait()
    finally:
        stop(page)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="app.py", description="Serve the page in a browser.")
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
    parser.add_argument(
        "--weights",
        metavar="SPEC",
        help="embedded, a folder, or hf://USER/NAME@REVISION (default: EMOTION_WEIGHTS, or the "
        "model of space.yaml, or embedded)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
