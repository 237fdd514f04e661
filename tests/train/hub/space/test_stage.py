"""Which files a Space is made of."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import yaml
from packaging.utils import canonicalize_name

from tests.train.hub.space.conftest import change
from train.hub.space.config import read
from train.hub.space.stage import stage

REPOSITORY = Path(__file__).resolve().parents[4]


def front_matter(staged: dict[str, bytes]) -> dict[str, object]:
    return yaml.safe_load(staged["README.md"].decode().split("---\n")[1])


def test_the_stage_holds_what_is_listed_and_no_leftovers(project: Path) -> None:
    staged = stage(read(project), project, preload=False)

    assert list(staged) == [
        "README.md",
        "app.py",
        "emotion/labels.py",
        "emotion/model.safetensors",
        "pre-requirements.txt",
        "requirements.txt",
        "space.yaml",
    ]
    assert staged["emotion/labels.py"] == b"LABELS = ()\n"


def test_the_card_holds_the_platforms_keys_and_the_text(project: Path) -> None:
    staged = stage(read(project), project, preload=False)

    assert front_matter(staged) == {
        "title": "Page",
        "emoji": "🎭",
        "colorFrom": "yellow",
        "colorTo": "blue",
        "short_description": "A page",
        "license": "mit",
        "python_version": "3.12.12",
        "tags": [],
        "custom_headers": {},
        "sdk": "gradio",
        "sdk_version": "6.31.0",
        "app_file": "app.py",
        "suggested_hardware": "cpu-basic",
    }
    assert staged["README.md"].decode().endswith("---\n\nWhat it does.\n")


def test_cpu_hardware_takes_torch_from_the_cpu_index(project: Path) -> None:
    requirements = stage(read(project), project, preload=False)["requirements.txt"].decode()

    assert requirements.splitlines() == [
        "--extra-index-url https://download.pytorch.org/whl/cpu",
        "gradio==6.31.0",
        "torch==2.11.0",
    ]


def test_zerogpu_starts_with_its_own_file_and_the_gpu_build_of_torch(project: Path) -> None:
    change(project, "cpu-basic", "zero-a10g")

    staged = stage(read(project), project, preload=False)

    assert front_matter(staged)["app_file"] == "zerogpu.py"
    assert "zerogpu.py" in staged
    assert staged["requirements.txt"] == b"gradio==6.31.0\ntorch==2.11.0\n"


def test_a_pinned_model_is_fetched_while_the_space_is_built_if_all_may_see_it(
    project: Path,
) -> None:
    commit = "a" * 40
    change(project, "files:", f"model: hf://me/model@{commit}\nfiles:")
    config = read(project)

    public = front_matter(stage(config, project, preload=True))
    private = front_matter(stage(config, project, preload=False))

    files = "config.json,model.safetensors"
    assert public["preload_from_hub"] == [f"me/model {files} {commit}"]
    assert "preload_from_hub" not in private
    assert public["models"] == private["models"] == ["me/model"]


def test_the_headless_opencv_is_installed_after_the_other_in_the_same_version() -> None:
    staged = stage(read(REPOSITORY), REPOSITORY, preload=False)
    (plain,) = staged["pre-requirements.txt"].decode().splitlines()

    assert plain.startswith("opencv-python==")
    headless = plain.replace("opencv-python", "opencv-python-headless")
    assert headless in staged["requirements.txt"].decode().splitlines()


def test_every_library_that_the_page_imports_is_pinned() -> None:
    config = read(REPOSITORY)
    staged = stage(config, REPOSITORY, preload=False)
    providers = packages_distributions()
    comes_with_gradio = ("starlette", "gradio-client", "uvicorn", "anyio", "pandas")
    asked_for = ("mcp",)  # imported with --mcp alone, which no Space is started with
    unpinned = {}
    for path, data in staged.items():
        for name in _imports(data) if path.endswith(".py") else ():
            if name in sys.stdlib_module_names | {"emotion", "app"}:
                continue
            packages = {canonicalize_name(package) for package in providers[name]}
            # What gradio's server is made of comes with it, in versions that fit it.
            if not packages & {*config.pins, *comes_with_gradio, *asked_for}:
                unpinned[path] = name

    assert unpinned == {}, "add them to requirements in space.yaml"


def test_nothing_of_the_trainer_or_the_tests_is_staged() -> None:
    staged = stage(read(REPOSITORY), REPOSITORY, preload=False)

    assert {path.split("/")[0] for path in staged if "/" in path} == {"emotion"}
    assert sum(map(len, staged.values())) < 60_000_000


def _imports(source: bytes) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found
