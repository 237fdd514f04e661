"""What the numbers of a benchmark were measured on."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path


def machine() -> str:
    """Name processor, cores, vector instructions and how busy the machine was."""
    import torch  # takes seconds, and attackers in processes of their own need none

    try:
        models = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"))
        flags = re.findall(r"^flags\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"), re.M)
    except OSError:
        models, flags = [], []
    name = models[0] if models else platform.processor() or platform.machine()
    vectors = torch.backends.cpu.get_cpu_capability()
    if flags and "avx512_vnni" in flags[0]:
        vectors += " VNNI"
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {name}, {vectors}, load {os.getloadavg()[0]:.1f}"
