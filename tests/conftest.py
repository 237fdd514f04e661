"""What all tests share: the environment, two public-domain portraits, reasons for skipping."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections import Counter
from contextlib import suppress
from pathlib import Path

# torch, gradio and huggingface_hub read these once, when imported; subprocesses of tests inherit
# them. One thread, because the tests' arrays are small and a busy machine punishes a second one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="emotion-tests-")
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["GRADIO_TEMP_DIR"] = os.path.join(os.environ["HF_HOME"], "gradio")
os.environ["MPLBACKEND"] = "Agg"

import hypothesis
import numpy as np
import numpy.typing as npt
import pytest

from tests.support.browser import find_browser
from tests.support.corpora import data_root

REPOSITORY = Path(__file__).resolve().parents[1]

# A deadline per example would time the machine, not the code.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


def pytest_runtest_setup(item: pytest.Item) -> None:
    _leave_realtime(item.nodeid)
    if item.get_closest_marker("corpora") and not data_root().is_dir():
        pytest.skip(f"no corpora in {data_root()}; set EMOTION_DATA_ROOT to their folder")
    if item.get_closest_marker("browser") and find_browser() is None:
        pytest.skip("no chromium or google-chrome that runs; install one: apt install chromium")


def _leave_realtime(before: str) -> None:
    """Take back a real-time priority: a browser that inherits it stops the machine for good.

    SVT-AV1's encoder gives it to the thread that calls it, where that is root's.
    """
    if hasattr(os, "SCHED_FIFO") and os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR):
        warnings.warn(f"this process ran in real time before {before}", stacklevel=1)
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # The browser's driver swallows an exception out of a signal: only a thread ends its tests.
        if item.get_closest_marker("browser") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(600, method="thread"))


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["HF_HOME"], ignore_errors=True)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailuresAtOnce(config))


class FailuresAtOnce:
    """Name each test that fails when it fails: who stops a long run early has seen why."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._config.pluginmanager.getplugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.write_line(f"\n{report.when} of {report.nodeid} failed: {_reason(report)}")


def _reason(report: pytest.TestReport) -> str:
    lines = report.longreprtext.strip().splitlines() or ["no reason"]
    return next((line[1:].strip() for line in lines if line.startswith("E ")), lines[-1])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.items():
        terminalreporter.line(f"{count} skipped: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Path of a browser that runs; tests that use it are marked ``browser``."""
    path = find_browser()
    assert path is not None, "mark this test with pytest.mark.browser"
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the corpora; tests that use it are marked ``corpora``."""
    assert data_root().is_dir(), "mark this test with pytest.mark.corpora"
    return data_root()


@pytest.fixture
def astronaut() -> npt.NDArray[np.uint8]:
    """NASA's portrait of Eileen Collins (public domain): uint8 RGB (512, 512, 3), smiling."""
    from skimage import data

    return data.astronaut()


@pytest.fixture
def hopper() -> npt.NDArray[np.uint8]:
    """The US Navy's portrait of Grace Hopper (public domain): uint8 RGB (600, 512, 3)."""
    from matplotlib import cbook
    from PIL import Image

    with cbook.get_sample_data("grace_hopper.jpg") as file:
        return np.asarray(Image.open(file).convert("RGB"))


def cases_root() -> Path:
    """Return where the small inputs that once went wrong lie, whether or not they are there."""
    return data_root().parent / "cases"


@pytest.fixture(scope="session")
def cases() -> Path:
    """Folder of those inputs; without it the test is skipped."""
    if not cases_root().is_dir():
        pytest.skip(f"no cases in {cases_root()}")
    return cases_root()
