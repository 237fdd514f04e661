"""The package as others get it: a wheel, in an environment that knows nothing of this checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import httpx
import numpy.typing as npt
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

import emotion
from tests.support.visit import free_port

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, since a build leaves folders beside its sources."""
    copy = tmp_path_factory.mktemp("sources")
    for name in ("pyproject.toml", "README.md", "LICENSE", "app.py", "space.yaml"):
        shutil.copy(REPOSITORY / name, copy)
    leftovers = shutil.ignore_patterns("__pycache__", "*.pyi")
    for package in ("emotion", "train"):
        shutil.copytree(REPOSITORY / package, copy / package, ignore=leftovers)
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps"]
    subprocess.run([*command, "--wheel-dir", out, copy], check=True)
    (path,) = out.iterdir()
    return path


@pytest.fixture(scope="module")
def borrowing(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs of an environment that has the wheel, and sees the libraries installed here."""
    environment = tmp_path_factory.mktemp("borrowing") / "environment"
    venv.create(environment)
    python = environment / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"]
    subprocess.run([*command, wheel], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return environment / "bin"


@pytest.fixture
def portrait(astronaut: npt.NDArray, tmp_path: Path) -> Path:
    Image.fromarray(astronaut).save(tmp_path / "portrait.png")
    return tmp_path / "portrait.png"


def call(programs: Path, *arguments: object, cwd: Path, **settings: str) -> str:
    run = subprocess.run(
        [programs / "sep-emotion", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@contextmanager
def opened_page(programs: Path, cwd: Path) -> Iterator[str]:
    """Run ``sep-emotion page``; its address, once it prints one."""
    command = [programs / "sep-emotion", "page", "--port", str(free_port())]
    with subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            told = []
            for line in process.stdout:
                told.append(line)
                if match := re.search(r"http://\S+", line):
                    yield match[0]
                    break
            else:
                pytest.fail("".join(told))
        finally:
            process.terminate()


def assert_it_classifies_and_opens_the_page(programs: Path, portrait: Path) -> None:
    faces = portrait.with_name("faces.json")
    call(programs, "classify", portrait, "--json", faces, cwd=portrait.parent)
    assert json.loads(faces.read_text("utf-8"))[0]["faces"][0]["label"] == "happiness"
    with opened_page(programs, portrait.parent) as address:
        page = httpx.get(address)
        assert page.status_code == 200
        assert "emotionPage" in page.text  # the scripts are in it
        assert "em-header" in httpx.get(f"{address}config").text


def test_the_wheel_holds_the_package_its_data_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "emotion").rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".pyi"}
    }

    assert {name for name in names if not name.startswith("sep_emotion")} == sources
    assert "emotion/py.typed" in sources


def test_it_asks_for_what_requirements_txt_names(wheel: Path) -> None:
    metadata = metadata_of(wheel)
    files = [REPOSITORY / "requirements-dev.txt", REPOSITORY / "requirements.txt"]  # mcp: in dev
    lines = [
        line.split("#")[0].strip() for f in files for line in f.read_text("utf-8").splitlines()
    ]
    named = [Requirement(text) for text in lines if text and not text.startswith("-")]
    ranges = {canonicalize_name(one.name): one.specifier for one in named}
    asked = [Requirement(text) for text in metadata.requires or ()]

    assert {one.name: one.specifier for one in asked} == {
        one.name: ranges[canonicalize_name(one.name)] for one in asked
    }
    assert metadata.version == emotion.__version__


def metadata_of(wheel: Path) -> Distribution:
    archive = zipfile.ZipFile(wheel)
    (folder,) = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
    return PathDistribution(zipfile.Path(archive, f"{folder}/"))


def test_installed_without_the_checkout_it_classifies_and_opens_the_page(
    borrowing: Path, portrait: Path
) -> None:
    where = [borrowing / "python", "-c", "import emotion; print(emotion.__file__)"]
    home = subprocess.run(where, cwd=portrait.parent, capture_output=True, text=True).stdout
    assert str(REPOSITORY) not in home

    assert call(borrowing, "--version", cwd=portrait.parent).endswith(f"{emotion.__version__}\n")
    assert_it_classifies_and_opens_the_page(borrowing, portrait)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_in_an_environment_of_its_own_too(wheel: Path, portrait: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"{wheel}[page,openvino]"], check=True)
    version = "from importlib.metadata import version; print(version('opencv-python'))"
    shown = subprocess.run([*pip[:1], "-c", version], check=True, capture_output=True, text=True)
    headless = f"opencv-python-headless=={shown.stdout.strip()}"
    subprocess.run([*pip, "--force-reinstall", "--no-deps", headless], check=True)

    assert_it_classifies_and_opens_the_page(environment / "bin", portrait)


@pytest.mark.parametrize(
    "arguments", [["-m", "emotion", "classify", "a.jpg"], ["-c", "from emotion import Analyzer"]]
)
def test_an_opencv_that_lacks_the_systems_libraries_is_a_sentence_with_both_ways_out(
    arguments: list[str], tmp_path: Path
) -> None:
    sentence = "libGL.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "cv2.py").write_text(f"raise ImportError({sentence!r})\n")
    (tmp_path / "a.jpg").write_bytes(b"")
    places = os.pathsep.join([str(tmp_path), str(REPOSITORY)])

    run = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": places},
        capture_output=True,
        text=True,
    )

    assert run.returncode == (2 if "-m" in arguments else 1)
    (line,) = [line for line in run.stderr.splitlines() if "OpenCV cannot be loaded" in line]
    assert "libGL.so.1" in line
    assert "opencv-python-headless" in line
    assert "apt install libgl1" in line
    assert ("Traceback" in run.stderr) == ("-m" not in arguments)
