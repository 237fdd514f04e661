"""The schema of ``space.yaml``; ``read`` is the only way to an instance."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from emotion.errors import ConfigError
from train.hub.space.document import Document, Place

FILE = "space.yaml"
EMBEDDED = "embedded"
ZERO_GPU = "zero-a10g"

# https://huggingface.co/docs/hub/spaces-zerogpu, as of August 2026
_ZERO_GPU_PYTHON = ("3.10.13", "3.12.12")
_ZERO_GPU_TORCH = ("2.8.0", "2.9.1", "2.10.0", "2.11.0")

_MISSING = "is missing"

_Colour = Literal["red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"]

_NAME = re.compile(r"(?:[\w.-]+/)?(?!.*(?:\.\.|--))[A-Za-z0-9_][\w.-]{0,94}[A-Za-z0-9_]", re.ASCII)
_MODEL = re.compile(r"hf://([\w.-]+/[\w.-]+)@([0-9a-f]{40})", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def _repository(value: str) -> str:
    if not _NAME.fullmatch(value) or value.endswith(".git"):
        raise ValueError(f"is {value!r}, no name of a Space; write NAME or OWNER/NAME")
    return value


def _model(value: str) -> str:
    if value != EMBEDDED and not _MODEL.fullmatch(value):
        raise ValueError(
            f"is {value!r}; write {EMBEDDED}, or hf://USER/NAME@COMMIT with all 40 digits"
        )
    return value


def _emoji(value: str) -> str:
    if not value or len(value) > 8 or not unicodedata.category(value[0]).startswith("S"):
        raise ValueError(f"is {value!r}; write one emoji")
    return value


def _pin(value: str) -> str:
    """Accept ``NAME==VERSION`` only: a range would give another page at the next rebuild."""
    try:
        requirement = Requirement(value)
        (specifier,) = requirement.specifier
        if specifier.operator == "==" and not (requirement.url or requirement.marker):
            Version(specifier.version)
            return value
    except (InvalidRequirement, InvalidVersion, ValueError):
        pass
    raise ValueError(f"is {value!r}; write NAME==VERSION")


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError(f"is {value!r}; a variable's name has letters, digits and _ only")
    return value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Space(_Section):
    """The repository: its name, who may see it, and on which machine it runs."""

    repository: Annotated[str, AfterValidator(_repository)]
    visibility: Literal["public", "private"]
    hardware: Literal["cpu-basic", "cpu-upgrade", "zero-a10g"]


_Header = Literal[
    "cross-origin-embedder-policy", "cross-origin-opener-policy", "cross-origin-resource-policy"
]
"""What the platform lets a Space send."""


class Card(_Section):
    """Front matter of the Space's README under the Hub's own names, and the text below it."""

    title: Annotated[str, Field(min_length=1)]
    emoji: Annotated[str, AfterValidator(_emoji)]
    colorFrom: _Colour  # noqa: N815 -- the Hub's spelling
    colorTo: _Colour  # noqa: N815
    short_description: Annotated[str, Field(max_length=60)]
    license: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.+-]*$")]
    python_version: Annotated[str, Field(pattern=r"^3\.(10|11|12)(\.\d+)?$")]
    tags: list[str] = []
    custom_headers: dict[_Header, str] = {}
    text: str


_Pin = Annotated[str, AfterValidator(_pin)]
_Variable = Annotated[str, AfterValidator(_variable)]


class SpaceConfig(_Section):
    """Everything that ``space.yaml`` says.

    Attributes:
        space: where and on what it runs.
        card: the README.
        model: ``embedded`` or ``hf://USER/NAME@COMMIT``.
        variables: public environment of the Space.
        secrets: names of environment variables whose values come from whoever deploys.
        files: files and folders, relative to the project.
        requirements: ``NAME==VERSION``, all of the Space's ``requirements.txt``.
        pre_requirements: the same for ``pre-requirements.txt``, which is installed first.
    """

    space: Space
    card: Card
    model: Annotated[
        str, BeforeValidator(lambda value: value or EMBEDDED), AfterValidator(_model)
    ] = EMBEDDED
    variables: dict[_Variable, str] = {}
    secrets: list[_Variable] = []
    files: Annotated[list[str], Field(min_length=1)]
    requirements: Annotated[list[_Pin], Field(min_length=1)]
    pre_requirements: list[_Pin] = []

    @property
    def gradio(self) -> str:
        """The pinned version of gradio, which is also the card's ``sdk_version``."""
        return self.pins["gradio"]

    @property
    def pins(self) -> dict[str, str]:
        """Canonical package name to pinned version."""
        parsed = [Requirement(pin) for pin in (*self.pre_requirements, *self.requirements)]
        return {canonicalize_name(one.name): next(iter(one.specifier)).version for one in parsed}

    @property
    def pinned_model(self) -> tuple[str, str] | None:
        """Repository and commit of the model, or None for the embedded one."""
        match = _MODEL.fullmatch(self.model)
        return (match[1], match[2]) if match else None


def read(root: Path) -> SpaceConfig:
    """Read and check ``space.yaml`` and what it must agree with.

    Args:
        root: the project's folder.

    Raises:
        ConfigError: if a key is missing, unknown or has an unusable value, two contradict each
            other or ``requirements.txt``, or a file is not there; it names line and key.
    """
    document = Document(root / FILE)
    try:
        config = SpaceConfig.model_validate(document.values)
    except ValidationError as error:
        problems = [_problem(dict(one)) for one in error.errors()]
        # A misspelt key is unknown and missing at once: the line where it stands helps more.
        place, sentence = min(
            problems, key=lambda found: (found[1] == _MISSING, document.line(found[0]))
        )
        raise document.error(place, sentence) from None
    for place, sentence in _contradictions(config, root):
        raise document.error(place, sentence)
    return config


def _problem(error: dict[str, Any]) -> tuple[Place, str]:
    """Turn pydantic's description of one error into a place and the rest of a sentence."""
    place = tuple(step for step in error["loc"] if step != "[key]")
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return place, _MISSING
        case "extra_forbidden":
            return place, f"is no known key; known are {', '.join(_known_keys(place[:-1]))}"
        case "value_error":
            return place, str(context["error"])
        case "string_type":
            return place, "must be text; put it in quotes"
        case "literal_error":
            return place, f"is {error['input']!r}; choose {context['expected']}"
        case "string_too_long":
            return place, f"has {len(error['input'])} characters; {context['max_length']} fit"
        case "string_pattern_mismatch":
            return place, f"is {error['input']!r}, which does not match {context['pattern']}"
        case "list_type":
            return place, "must be a list"
        case "dict_type" | "model_type":
            return place, "must be a section of KEY: VALUE lines"
    return place, f"cannot be used: {error['msg']}"


def _known_keys(place: Place) -> list[str]:
    section: Any = SpaceConfig
    for step in place:
        section = section.model_fields[step].annotation
    return list(section.model_fields)


def _contradictions(config: SpaceConfig, root: Path) -> Iterator[tuple[Place, str]]:
    """Yield what each key cannot know by itself."""
    for name in config.variables:
        if name in config.secrets:
            yield ("variables", name), "is a secret too; keep one of the two"
        if name == "EMOTION_WEIGHTS":
            yield ("variables", name), "would override model; name the weights there"
    for name in config.files:
        path = root / name
        if not path.resolve().is_relative_to(root.resolve()) or not path.exists():
            place = ("files", config.files.index(name))
            yield place, f"names {name}, which is not there"
    yield from _requirement_contradictions(config, root)
    if config.space.hardware == ZERO_GPU:
        if config.card.python_version not in _ZERO_GPU_PYTHON:
            yield (
                ("card", "python_version"),
                f"is not offered by ZeroGPU, which has {' and '.join(_ZERO_GPU_PYTHON)}",
            )
        if config.pins.get("torch") not in _ZERO_GPU_TORCH:
            yield (
                ("requirements",),
                f"must pin a torch that ZeroGPU offers: {', '.join(_ZERO_GPU_TORCH)}",
            )


def _requirement_contradictions(config: SpaceConfig, root: Path) -> Iterator[tuple[Place, str]]:
    ranges = _ranges(root / "requirements.txt")
    seen: set[str] = set()
    for key in ("pre_requirements", "requirements"):
        for index, pin in enumerate(getattr(config, key)):
            requirement = Requirement(pin)
            (specifier,) = requirement.specifier
            name = canonicalize_name(requirement.name)
            allowed = ranges.get(name)
            if name in seen:
                yield (key, index), f"pins {name} a second time"
            if allowed and not allowed.specifier.contains(specifier.version, prereleases=True):
                yield (key, index), f"is {pin}, outside requirements.txt's {allowed}"
            seen.add(name)
    if "gradio" not in config.pins:
        yield ("requirements",), "must pin gradio, from which the card's sdk_version is taken"


def _ranges(path: Path) -> dict[str, Requirement]:
    """Read the requirements of the project by package name."""
    try:
        lines = path.read_text("utf-8").splitlines()
        stripped = [line.split("#")[0].strip() for line in lines]
        parsed = [Requirement(line) for line in stripped if line]
    except (OSError, UnicodeDecodeError, InvalidRequirement) as error:
        raise ConfigError(f"{path} cannot be read as requirements ({error}).") from None
    return {canonicalize_name(requirement.name): requirement for requirement in parsed}
