"""Calls from several threads: who waits for whom, and that nobody gets another's answer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from emotion.engine.openvino_engine import _MOST_LANES, OpenVINOEngine, _Compiled


class Compiled:
    """A model whose calls last until ``together`` of them run, and which counts them."""

    def __init__(self, together: int) -> None:
        self._barrier = threading.Barrier(together)
        self._lock = threading.Lock()
        self.running, self.most = 0, 0

    def create_infer_request(self) -> SimpleNamespace:
        return SimpleNamespace(infer=self._infer, output_tensors=[])

    def _infer(self, _arrays: object, **_options: object) -> None:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self._barrier.wait(timeout=30)
        with self._lock:
            self.running -= 1


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_as_many_calls_run_at_a_time_as_there_are_lanes(lanes):
    compiled = Compiled(together=lanes)
    run = _Compiled(compiled, lanes)
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(run, [np.zeros(1, np.uint8)] * 6)) == [()] * 6
    assert compiled.most == lanes


def test_a_call_that_fails_leaves_its_lane_to_the_next():
    class Broken(Compiled):
        def _infer(self, _arrays: object, **_options: object) -> None:
            raise RuntimeError("no memory")

    run = _Compiled(Broken(1), lanes=1)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no memory"):
            run(np.zeros(1, np.uint8))


@pytest.mark.parametrize(("threads", "lanes"), [(1, 1), (2, 2), (64, _MOST_LANES)])
def test_each_thread_is_a_lane_up_to_what_python_can_use(threads, lanes):
    assert OpenVINOEngine(threads).lanes == lanes


class Sums(nn.Module):
    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        return (inputs.float().sum(1),)


def test_everybody_gets_the_answer_to_their_own_call():
    run = OpenVINOEngine(2).compile(Sums(), torch.zeros(1, 4, dtype=torch.uint8), (0,), shared=True)
    inputs = [np.full((1 + value % 3, 4), value, np.uint8) for value in range(200)]
    with ThreadPoolExecutor(8) as pool:
        for value, (sums,) in zip(range(200), pool.map(run, inputs), strict=True):
            assert sums.tolist() == [4.0 * value] * (1 + value % 3)
