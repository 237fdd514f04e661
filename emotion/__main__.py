"""``python -m emotion``."""

from __future__ import annotations

import sys

from emotion.shell.cli import main

if __name__ == "__main__":
    sys.exit(main(program="python -m emotion"))
