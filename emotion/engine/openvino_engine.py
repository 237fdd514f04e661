"""OpenVINO: the same networks, compiled for this processor."""

from __future__ import annotations

import platform
import queue
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from emotion.engine.base import Run
from emotion.engine.threads import usable_threads
from emotion.quiet_openvino import import_openvino

_KEPT_KERNELS = 128  # of each kind; a network has some 60 layers, and a live view two sizes

_LARGE = 1 << 20  # values of an input from which on it is a photo and no camera's frame

_MOST_LANES = 4  # half of what a frame takes is Python, which runs one at a time

_AVX = 10  # OpenCV's CV_CPU_AVX, which Python does not get to see


class OpenVINOEngine:
    """Compiles networks with OpenVINO for the CPU; answers are those of torch to 1e-3 and better.

    A network runs one call at a time, with all threads, which is how a single photo is answered
    soonest, or is shared by ``lanes`` calls. Small inputs want that: a second thread makes a frame
    of one face or five no faster, and costs half as much again of the processor.

    Args:
        threads: of all calls; by default what the machine has, see ``usable_threads``.

    Attributes:
        lanes: how many calls of a shared network run at a time.

    Raises:
        ImportError: if OpenVINO is not installed, or its libraries do not load.
        RuntimeError: if it has no plugin for this processor, or would compute wrongly on it.
    """

    name = "OpenVINO"

    def __init__(self, threads: int | None = None) -> None:
        self._openvino = import_openvino()
        x86 = platform.machine().lower() in ("x86_64", "amd64")
        if x86 and not cv2.checkHardwareSupport(_AVX):
            # Maps that are enlarged to the size of another come out empty there (2026.4), so that
            # no face would ever be found, and some operations end the process.
            raise RuntimeError("it computes wrongly on processors without AVX")
        threads = threads or usable_threads()
        self.lanes = min(threads, _MOST_LANES)
        self._core = self._openvino.Core()
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            # Where the processor has bfloat16, that would be the default, and heat maps drift.
            "INFERENCE_PRECISION_HINT": "f32",
            # Pinned threads wait for their processor while others idle on a machine that is shared.
            "ENABLE_CPU_PINNING": False,
            # It keeps code for every size of a photo that ever came, and never lets it go.
            "CPU_RUNTIME_CACHE_CAPACITY": _KEPT_KERNELS,
        }
        self._core.get_property("CPU", "FULL_DEVICE_NAME")  # raises where there is no plugin

    def compile(
        self,
        network: nn.Module,
        example: Tensor,
        varying: tuple[int, ...],
        *,
        shared: bool = False,
    ) -> Run:
        """Convert and compile a network, see ``emotion.engine.base.Engine``."""
        return self._finish(self.convert(network, example, varying), shared)

    def convert(self, network: nn.Module, example: Tensor, varying: tuple[int, ...]) -> Any:
        """Convert a network to an ``openvino.Model``; the arguments are those of ``compile``."""
        with warnings.catch_warnings(), torch.inference_mode():
            # Tracing warns of every shape that it takes for a constant, and of its own old age.
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(network, example, check_trace=False)  # type: ignore[no-untyped-call]
            model = self._openvino.convert_model(traced, example_input=example)
        model.reshape([-1 if axis in varying else size for axis, size in enumerate(example.shape)])
        return model

    def save(self, model: Any, path: Path) -> None:
        """Write an ``openvino.Model`` to ``path`` (``.xml``) and its constants beside it."""
        self._openvino.save_model(model, path, compress_to_fp16=False)

    def load(self, structure: bytes, constants: bytes, *, shared: bool = False) -> Run:
        """Compile a model that was saved.

        Args:
            structure: content of its ``.xml`` file.
            constants: content of its ``.bin`` file.
            shared: see ``compile``.

        Raises:
            RuntimeError: if they are not a model.
        """
        tensor = self._openvino.Tensor(np.frombuffer(constants, np.uint8))
        return self._finish(self._core.read_model(model=structure, weights=tensor), shared)

    def _finish(self, model: Any, shared: bool) -> Run:
        lanes = self.lanes if shared else 1
        settings = {**self._settings, "NUM_STREAMS": lanes}
        return _Compiled(self._core.compile_model(model, "CPU", settings), lanes)


class _Compiled:
    """A ``Run``; calls from more threads than it has lanes take turns."""

    def __init__(self, compiled: Any, lanes: int) -> None:
        self._compiled = compiled
        self._alone = lanes == 1
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
        for _ in range(lanes):
            self._idle.put(compiled.create_infer_request())

    def __call__(self, inputs: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], ...]:
        """Map the input to all outputs, in the network's order, as arrays of their own."""
        request = self._idle.get()
        try:
            arrays = [np.ascontiguousarray(inputs)]
            request.infer(arrays, share_inputs=True, share_outputs=True)
            # The request's memory is written again by the next call.
            outputs = tuple(np.array(tensor.data) for tensor in request.output_tensors)
            if self._alone and inputs.size > _LARGE:
                self._compiled.release_memory()  # it would keep what the largest photo took
            return outputs
        finally:
            self._idle.put(request)
