"""Start the page on ZeroGPU hardware; ``python -m train space`` puts this file beside app.py.

The page computes on the CPU: a face takes it some 30 ms, less than a GPU takes to be assigned. But
the platform stops a Space that registers no function for the GPU while it starts. With what
`spaces` replaces in torch, networks on OpenVINO were seen to find no face, for a reason that is not
known; so torch runs them there.
"""

from __future__ import annotations

import os
import sys

import spaces  # before torch, else it refuses
import torch

from app import main

os.environ.setdefault("EMOTION_ENGINE", "torch")


@spaces.GPU  # type: ignore[untyped-decorator]
def gpu_name() -> str:
    """Name the GPU; registered for the platform's sake, called by nobody."""
    return str(torch.cuda.get_device_name())


if __name__ == "__main__":
    sys.exit(main())
