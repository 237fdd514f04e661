"""Serve the page: ``python app.py [--host H] [--port P] [--weights SPEC]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from emotion import page
from emotion.errors import EmotionError, imports_explained


def main() -> int:
    """Run the server until SIGINT or SIGTERM; exit code 2 and one sentence if it cannot start."""
    parser = argparse.ArgumentParser(prog="app.py", description="Serve the page in a browser.")
    page.add_arguments(parser)
    arguments = parser.parse_args()
    deployment = Path(__file__).with_name("space.yaml")
    try:
        with imports_explained():
            page.serve(arguments, deployment)
    except EmotionError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
