"""How many threads the machine has for us."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def usable_threads(cgroups: Path = _CGROUPS) -> int:
    """Count the processors that this process may really use, at least 1.

    A container often sees every processor of its host and may use the time of two; a pool of the
    host's size is then many times slower than one of two threads. ``OMP_NUM_THREADS`` lowers the
    number further, as it does for torch.

    Args:
        cgroups: where Linux mounts its control groups.
    """
    threads = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    quota = _quota(cgroups)
    if quota is not None:
        threads = min(threads, math.ceil(quota))
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit():
        threads = min(threads, int(asked))
    return max(1, int(threads))


def _quota(cgroups: Path) -> float | None:
    """Return the processors' worth of time that the container gets, or None for no limit."""
    try:
        if (cgroups / "cpu.max").exists():
            quota, period = (cgroups / "cpu.max").read_text("ascii").split()
        else:
            quota = (cgroups / "cpu" / "cpu.cfs_quota_us").read_text("ascii")
            period = (cgroups / "cpu" / "cpu.cfs_period_us").read_text("ascii")
        return float(quota) / float(period) if float(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
