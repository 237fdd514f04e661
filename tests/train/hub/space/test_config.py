"""What ``space.yaml`` may say, and how it is told that it may not."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from emotion.errors import ConfigError
from tests.train.hub.space.conftest import change
from train.hub.space.config import read
from train.hub.space.stage import stage

REPOSITORY = Path(__file__).resolve().parents[4]


def test_the_projects_own_file_is_valid() -> None:
    config = read(REPOSITORY)

    assert config.card.custom_headers["cross-origin-embedder-policy"] == "require-corp"
    assert config.model == "embedded"
    assert config.pinned_model is None


def test_gradios_floor_pin_and_sdk_version_agree_with_what_the_tests_run() -> None:
    config = read(REPOSITORY)
    lines = (REPOSITORY / "requirements.txt").read_text("utf-8").splitlines()
    (floor,) = (Requirement(line) for line in lines if line.startswith("gradio>"))
    readme = stage(config, REPOSITORY, preload=False)["README.md"].decode()

    assert f"\nsdk_version: {config.gradio}\n" in readme
    assert f"gradio=={config.gradio}" in config.requirements
    assert floor.specifier.contains(config.gradio)
    assert version("gradio") == config.gradio, "raise the pin in space.yaml to what was tested"


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("  title: Page\n", "", "card.title", "is missing"),
        ("files: [app.py, emotion]\n", "", "files", "is missing"),
        ("colorTo:", "colour:", "card.colour", "is no known key; known are title, emoji"),
        ("variables:", "variable:", "variable", "is no known key"),
        ("title: Page", "title: 7", "card.title", "must be text; put it in quotes"),
        ('SPEED: "2"', "SPEED: 2", "variables.SPEED", "must be text; put it in quotes"),
        ("python_version: 3.12.12", "python_version: 3.12", "card.python_version", "must be text"),
        ("3.12.12", "3.14.0", "card.python_version", "'3.14.0'"),
        ("colorFrom: yellow", "colorFrom: orange", "card.colorFrom", "choose 'red', 'yellow'"),
        ("cpu-basic", "t4-small", "space.hardware", "choose 'cpu-basic'"),
        ("🎭", "mask", "card.emoji", "one emoji"),
        ("me/page", "me/pa/ge", "space.repository", "OWNER/NAME"),
        ("me/page", "me/pa--ge", "space.repository", "OWNER/NAME"),
        ("me/page", '""', "space.repository", "OWNER/NAME"),
        ("[app.py, emotion]", "app.py", "files", "must be a list"),
        ("[app.py, emotion]", "[app.py, emotions]", "files[1]", "names emotions, which is not"),
        ("[app.py, emotion]", "[app.py, ../..]", "files[1]", "which is not there"),
        ("gradio==6.31.0", "gradio>=6.31", "requirements[0]", "NAME==VERSION"),
        ("gradio==6.31.0", "gradio==6.*", "requirements[0]", "NAME==VERSION"),
        ("gradio==6.31.0", "gradio==7.0.0", "requirements[0]", "outside requirements.txt's"),
        ("torch==2.11.0", "gradio==6.30.0", "requirements[1]", "a second time"),
        ("- gradio==6.31.0", "- numpy==2.4.6", "requirements", "must pin gradio"),
        ("SPEED:", "EMOTION_WEIGHTS:", "variables.EMOTION_WEIGHTS", "model"),
        ("SPEED:", "SP-EED:", "variables.SP-EED", "letters, digits and _"),
        ("files:", "secrets: [SPEED]\nfiles:", "variables.SPEED", "is a secret too"),
        ("files:", "model: hf://me/model@main\nfiles:", "model", "40 digits"),
        ("short_description: A page", f"short_description: {'x' * 61}", "card.", "60 fit"),
        (
            "license: mit",
            "license: mit\n  custom_headers: {x-frame-options: DENY}",
            "card.custom_headers",
            "",
        ),
        ("card:\n", "card: no\nother:\n", "card", "must be a section"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_key(
    project: Path, old: str, new: str, key: str, says: str
) -> None:
    change(project, old, new)

    with pytest.raises(ConfigError) as caught:
        read(project)

    match = re.fullmatch(r"space\.yaml, line (\d+): (\S+) (.*)\.", str(caught.value))
    assert match
    assert match[2].startswith(key)
    assert says in match[3]
    line = (project / "space.yaml").read_text("utf-8").splitlines()[int(match[1]) - 1]
    section, _, name = key.rpartition(".")
    if "missing" in says:  # it stands nowhere; its section does
        assert line.startswith(section or "space")
    else:
        assert name.split("[")[0] in line or new.removeprefix("- ") in line


def test_the_first_of_several_mistakes_is_told(project: Path) -> None:
    change(project, "torch==2.11.0", "torch")
    change(project, "colorTo: blue", "colorTo: 3")

    with pytest.raises(ConfigError, match=r"line 9: card\.colorTo"):
        read(project)


@pytest.mark.parametrize("model", ["embedded", "", "null"])
def test_an_empty_model_is_the_embedded_one(project: Path, model: str) -> None:
    change(project, "files:", f"model: {model}\nfiles:")

    assert read(project).model == "embedded"


def test_a_pinned_model_is_taken_apart(project: Path) -> None:
    change(project, "files:", f"model: hf://me/model@{'a' * 40}\nfiles:")

    assert read(project).pinned_model == ("me/model", "a" * 40)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("space: [", "line 1 is no valid YAML"),
        ("space: 1\nspace: 2\n", "line 2: space is there twice"),
        ("", "KEY: VALUE"),
        ("- a", "KEY: VALUE"),
        ("space: \x00", "is no valid YAML"),
    ],
)
def test_what_is_no_yaml_mapping_is_refused(project: Path, text: str, says: str) -> None:
    (project / "space.yaml").write_text(text)

    with pytest.raises(ConfigError, match=says):
        read(project)


def test_a_missing_file_is_told(project: Path) -> None:
    (project / "space.yaml").unlink()

    with pytest.raises(ConfigError, match=r"There is no .*space\.yaml"):
        read(project)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("3.12.12", "3.12.11", r"card\.python_version is not offered by ZeroGPU"),
        ("torch==2.11.0", "torch==2.14.1", r"torch that ZeroGPU offers"),
    ],
)
def test_zerogpu_takes_only_what_it_offers(project: Path, old: str, new: str, says: str) -> None:
    change(project, "cpu-basic", "zero-a10g")
    read(project)
    change(project, old, new)

    with pytest.raises(ConfigError, match=says):
        read(project)
