"""What must agree between training and serving; saved beside the weights."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from emotion.align import DEFAULT_ZOOM, ZOOM_RANGE
from emotion.errors import ConfigError
from emotion.labels import LABELS

TEMPLATE_ID = "arcface5-64"
"""Name of the landmark template of ``emotion.align``; saved with the weights and checked."""


COMMON = "common"
"""Name of the convention that is learnt from the labels of all corpora."""


WIDTHS: dict[str, tuple[int, ...]] = {
    "resnet18": (64, 128, 256, 512),
    "cnn": (32, 64, 160, 320),
    "alexnet": (64, 192, 384, 256, 256),
}
"""Values of ``NetworkConfig.backbone``: the channels of its stages where none are configured."""

_CALIBRATED = (
    "temperature",
    "temperature_slope",
    "temperature_offset",
    "class_offsets",
    "abstain_below",
)
_CALM = ("calm_bound", "calm_temperature")


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that must agree between training and serving; saved as ``config.json``.

    Attributes:
        labels: class names in the order of the logits.
        backbone: body of the network, see ``emotion.backbones``.
        activation: ``relu`` or ``silu`` (Swish).
        stem: of ResNet-18, ``3x3`` (stride 1) or ``7x7`` (stride 2, as in He et al. 2016).
        max_pool: 3x3 stride-2 max-pooling after the stem of ResNet-18.
        widths: channels of the backbone's stages; empty takes its own.
        block_dropout: channel dropout rate inside the last blocks, 0..1.
        head_dropout: dropout rate between pooling and the linear layer, 0..1.
        template: name of the landmark template, see ``TEMPLATE_ID``.
        zoom: scale of the crop, see ``emotion.align.template``.
        standardise: ``corpus`` takes ``mean`` and ``std`` from every crop, ``crop`` each crop's
            own, so that neither the light nor its strength reaches the network.
        mean: grey mean of the training crops, 0..1.
        std: grey standard deviation of the training crops, 0..1.
        temperature: what the logits of a typical face are divided by before the softmax.
        temperature_slope: how it changes with the features, see ``emotion.calibration``; empty
            gives every face the same.
        temperature_offset: belongs to the slope.
        class_offsets: what is added to the logits before they are divided, one per label; empty
            adds nothing.
        abstain_below: where the highest probability is below it, 0..1, the answer is "not sure"
            (Chow, 1970); 0 never abstains.
        trained_on: the splits whose images were trained on, as ``corpus/split``.
        mirror: whether the answer is that of the mean of two maps of features: the crop's, and its
            mirror image's, mirrored back. Mirroring a face then changes nothing.
        calm: whether a second output tells calm faces from expressive ones.
        calm_bound: logit of that output from which on a face counts as calm.
        calm_temperature: what the distance to the bound is divided by before the sigmoid.
        conventions: corpora that are answered for each in its own way, since each is labelled in
            its own way.
        conventions_by: what they differ in: ``layer``, each has a linear layer of its own; or
            ``offset``, each has a vector that is added before the first norm of the last stage, see
            ``emotion.network.ConventionNorm``.
        convention: who answers: ``common``, or one of ``conventions``.
        calibrations: convention -> values of the five fields from ``temperature`` to
            ``abstain_below`` that belong to it, and of ``calm_bound`` and ``calm_temperature``
            where those do; the fields themselves are those of the convention that answers.
    """

    labels: tuple[str, ...] = LABELS
    backbone: Literal["resnet18", "cnn", "alexnet"] = "resnet18"
    activation: Literal["relu", "silu"] = "relu"
    stem: Literal["3x3", "7x7"] = "3x3"
    max_pool: bool = False
    widths: tuple[int, ...] = ()
    block_dropout: float = 0.0
    head_dropout: float = 0.0
    template: str = TEMPLATE_ID
    zoom: float = DEFAULT_ZOOM
    standardise: Literal["corpus", "crop"] = "corpus"
    mean: float = 0.5
    std: float = 0.25
    temperature: float = 1.0
    temperature_slope: tuple[float, ...] = ()
    temperature_offset: float = 0.0
    class_offsets: tuple[float, ...] = ()
    abstain_below: float = 0.0
    trained_on: tuple[str, ...] = field(default=())
    mirror: bool = False
    calm: bool = False
    calm_bound: float = 0.0
    calm_temperature: float = 1.0
    conventions: tuple[str, ...] = ()
    conventions_by: Literal["layer", "offset"] = "layer"
    convention: str = COMMON
    calibrations: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # JSON has no tuples; a config that was read back must equal the one that was written.
        for name in (
            "labels",
            "widths",
            "temperature_slope",
            "class_offsets",
            "trained_on",
            "conventions",
        ):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.backbone not in WIDTHS:
            raise ConfigError(
                f"The backbone must be one of {', '.join(WIDTHS)}, not {self.backbone!r}."
            )
        if self.activation not in ("relu", "silu"):
            raise ConfigError(f"The activation must be relu or silu, not {self.activation!r}.")
        if self.stem not in ("3x3", "7x7"):
            raise ConfigError(f"The stem must be 3x3 or 7x7, not {self.stem!r}.")
        if self.backbone != "resnet18" and (self.stem != "3x3" or self.max_pool):
            raise ConfigError(f"stem and max_pool are choices of resnet18, not of {self.backbone}.")
        if self.standardise not in ("corpus", "crop"):
            raise ConfigError(f"standardise must be corpus or crop, not {self.standardise!r}.")
        own = WIDTHS[self.backbone]
        object.__setattr__(self, "widths", self.widths or own)
        if len(self.widths) != len(own) or min(self.widths) < 1:
            raise ConfigError(f"widths of {self.backbone} must be {len(own)} positive numbers.")
        for name in ("block_dropout", "head_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must lie in [0, 1), not {getattr(self, name)}.")
        if not ZOOM_RANGE[0] <= self.zoom <= ZOOM_RANGE[1]:
            raise ConfigError(f"zoom must lie in {ZOOM_RANGE}, not {self.zoom}.")
        if not (self.std > 0 and self.temperature > 0):
            raise ConfigError("std and temperature must be positive.")
        if len(self.temperature_slope) not in (0, self.widths[-1]):
            raise ConfigError(f"temperature_slope must be empty or have {self.widths[-1]} numbers.")
        if len(self.class_offsets) not in (0, len(self.labels)):
            raise ConfigError(f"class_offsets must be empty or have {len(self.labels)} numbers.")
        if not 0 <= self.abstain_below < 1:
            raise ConfigError(f"abstain_below must lie in [0, 1), not {self.abstain_below}.")
        if not self.calm_temperature > 0:
            raise ConfigError("calm_temperature must be positive.")
        self._check_conventions()

    def _check_conventions(self) -> None:
        known = (COMMON, *self.conventions)
        if self.conventions_by not in ("layer", "offset"):
            raise ConfigError(
                f"conventions_by must be layer or offset, not {self.conventions_by!r}."
            )
        if self.convention not in known or len(set(known)) < len(known):
            raise ConfigError(
                f"convention must be one of {', '.join(dict.fromkeys(known))}, each named once, "
                f"not {self.convention!r}."
            )
        calibrations = {}
        for name, values in self.calibrations.items():
            if name not in known or set(values) not in ({*_CALIBRATED}, {*_CALIBRATED, *_CALM}):
                raise ConfigError(
                    f"calibrations must give {', '.join(_CALIBRATED)} of each convention."
                )
            # Whatever cannot work in the fields cannot work here.
            checked = replace(self, calibrations={}, **values)
            calibrations[name] = {field: getattr(checked, field) for field in values}
        object.__setattr__(self, "calibrations", calibrations)

    def facts(self) -> dict[str, Any]:
        """Return what people are told of it, in plain JSON values."""
        return {
            "labels": list(self.labels),
            "template": self.template,
            "zoom": self.zoom,
            "temperature": self.temperature,
            "class_offsets": list(self.class_offsets),
            "abstain_below": self.abstain_below,
            "mirror": self.mirror,
            "calm": self.calm,
            "convention": self.convention,
            "conventions": list(self.conventions),
            "trained_on": list(self.trained_on),
        }

    def answering(self, convention: str) -> NetworkConfig:
        """Return the config with which another convention answers, calibrated for it.

        Args:
            convention: ``common``, or one of ``conventions``.

        Raises:
            ConfigError: if there is no such convention.
        """
        if convention not in (COMMON, *self.conventions):
            others = ", ".join(self.conventions)
            raise ConfigError(
                f"These weights have no convention {convention!r}; choose from {COMMON}, {others}."
                if others
                else f"These weights have one convention, {COMMON!r}, and none for "
                f"{convention!r}; train with --own-norms offsets or --heads for more."
            )
        calibrated = self.calibrations.get(convention, {})
        return replace(self, convention=convention, **calibrated)


def check_serving(config: NetworkConfig) -> str | None:
    """Say in one sentence why weights with this config cannot be served, or return None."""
    if config.labels != LABELS:
        return f"its labels are {', '.join(config.labels)}, not {', '.join(LABELS)}"
    if config.template != TEMPLATE_ID:
        return f"it was trained on the template {config.template!r}, not {TEMPLATE_ID!r}"
    return None
