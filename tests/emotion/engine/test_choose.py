"""Which engine runs, and what users are told about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from emotion import Analyzer
from emotion.engine import TorchEngine, choose
from emotion.engine.openvino_engine import OpenVINOEngine
from emotion.engine.threads import usable_threads
from emotion.errors import ConfigError


def test_openvino_runs_where_it_is_installed() -> None:
    assert isinstance(choose(), OpenVINOEngine)


def test_the_variable_chooses_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_ENGINE", " Torch ")

    assert isinstance(choose(), TorchEngine)


def test_without_openvino_torch_answers_and_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    astronaut: npt.NDArray[np.uint8],
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)

    analyzer = Analyzer.from_weights()

    assert analyzer.description["engine"] == "torch"
    assert analyzer.analyze(astronaut)[0].label == "happiness"
    (line,) = caplog.messages
    assert "torch runs the networks" in line
    assert "\n" not in line


def test_torch_answers_on_a_processor_on_which_openvino_errs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # OpenVINO would answer there that no picture holds a face.
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("cv2.checkHardwareSupport", lambda feature: feature != 10)

    assert isinstance(choose(), TorchEngine)
    (line,) = caplog.messages
    assert "without AVX" in line
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert isinstance(choose(), OpenVINOEngine)


def test_openvino_that_is_asked_for_and_missing_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setenv("EMOTION_ENGINE", "openvino")

    with pytest.raises(ConfigError, match="pip install openvino"):
        choose()


def test_an_unknown_engine_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_ENGINE", "tensorrt")

    with pytest.raises(ConfigError, match="auto, openvino or torch, not 'tensorrt'"):
        choose()


def test_openvino_reports_nothing_to_its_makers() -> None:
    code = (
        "import sys; from emotion.engine import choose; choose();"
        "assert 'openvino' in sys.modules;"
        "print([n for n, m in sys.modules.items() if n.startswith('openvino_telemetry') and m])"
    )

    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert output.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("files", "threads"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "max 100000\n"}, 6),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 6),
        ({}, 6),
    ],
    ids=["version 2", "no limit", "half a processor", "version 1", "version 1, no limit", "none"],
)
def test_the_pool_has_the_size_of_the_container_not_of_its_host(
    files: dict[str, str], threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)))
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)

    assert usable_threads(tmp_path) == threads


def test_the_pool_is_smaller_where_the_user_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)))

    assert usable_threads(tmp_path) == 2
