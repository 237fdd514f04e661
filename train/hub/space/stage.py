"""The files of a Space: the project's, its README and its requirements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from emotion.errors import DataError
from train.hub.space.config import FILE, ZERO_GPU, SpaceConfig

README = "README.md"

_CPU_TORCH = "https://download.pytorch.org/whl/cpu"
_ZERO_GPU_APP = "zerogpu.py"
_MODEL_FILES = "config.json,model.safetensors"
# What running and editing leaves among the sources.
_LEFT_OUT_FOLDERS = frozenset({"__pycache__"})
_LEFT_OUT_SUFFIXES = frozenset({".pyc", ".pyi", ".partial"})


def stage(config: SpaceConfig, root: Path, *, preload: bool) -> dict[str, bytes]:
    """Collect what the Space's repository shall hold.

    Args:
        config: what ``space.yaml`` in ``root`` says.
        root: the project's folder.
        preload: whether the platform shall fetch the pinned model while it builds; it can do so
            for public models only.

    Returns:
        Content by path with forward slashes, in the order of paths.

    Raises:
        DataError: if a file cannot be read.
    """
    files = {README: _readme(config, preload), "requirements.txt": _requirements(config)}
    if config.pre_requirements:
        files["pre-requirements.txt"] = _lines(config.pre_requirements)
    for path in _sources(config, root):
        try:
            files[path.relative_to(root).as_posix()] = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}).") from None
    return dict(sorted(files.items()))


def _sources(config: SpaceConfig, root: Path) -> Iterator[Path]:
    """Yield the listed files, those below listed folders, and what goes without saying."""
    yield root / FILE  # app.py reads the model there
    if config.space.hardware == ZERO_GPU:
        yield root / _ZERO_GPU_APP
    for name in config.files:
        top = root / name
        paths = top.rglob("*") if top.is_dir() else [top]
        yield from (path for path in paths if path.is_file() and _is_source(path.relative_to(root)))


def _is_source(path: Path) -> bool:
    return (
        not any(part in _LEFT_OUT_FOLDERS or part.startswith(".") for part in path.parts)
        and path.suffix not in _LEFT_OUT_SUFFIXES
    )


def _readme(config: SpaceConfig, preload: bool) -> bytes:
    """Write the front matter that the platform reads, and the card's text."""
    facts = config.card.model_dump(exclude={"text"})
    facts |= {
        "sdk": "gradio",
        "sdk_version": config.gradio,
        "app_file": _ZERO_GPU_APP if config.space.hardware == ZERO_GPU else "app.py",
        "suggested_hardware": config.space.hardware,
    }
    if config.pinned_model:
        repository, commit = config.pinned_model
        facts["models"] = [repository]
        if preload:
            facts["preload_from_hub"] = [f"{repository} {_MODEL_FILES} {commit}"]
    front = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{config.card.text}".encode()


def _requirements(config: SpaceConfig) -> bytes:
    """List the pins; without the index of CPU wheels, torch would bring gigabytes of CUDA."""
    index = [] if config.space.hardware == ZERO_GPU else [f"--extra-index-url {_CPU_TORCH}"]
    return _lines([*index, *config.requirements])


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
