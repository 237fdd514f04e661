from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# A fresh process, whose heap is no other test's: of 1,200 small blocks, one in 20 stays.
SCRIPT = """
import re
from pathlib import Path
from emotion.memory import give_back_free_pages

def resident():
    return int(re.findall(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[0]) / 1024

blocks = [bytearray(60_000) for _ in range(1200)]
blocks = blocks[::20]
before = resident()
give_back_free_pages()
print(before, resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is the habit of glibc")
def test_pages_between_blocks_in_use_go_back_to_the_system() -> None:
    answer = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    before, after = map(float, answer.stdout.split())
    assert before - after > 40  # MB, of 68 that were freed
