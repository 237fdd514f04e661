"""What a training run is: one frozen dataclass of groups, saved beside the weights.

No two groups share a field's name, so that an option is one word on the command line and in
``override``; the JSON keeps the groups.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotion.errors import ConfigError
from train.config.domains import AdaptationConfig, Bort2Config
from train.config.options import (
    ArchitectureConfig,
    AugmentConfig,
    DataConfig,
    MachineConfig,
    ObjectiveConfig,
    OptimizerConfig,
    ScheduleConfig,
)


@dataclass(frozen=True)
class FitConfig:
    """Every choice of one training run."""

    data: DataConfig = field(default_factory=DataConfig)
    """What is trained on."""
    architecture: ArchitectureConfig = field(default_factory=ArchitectureConfig)
    """The network."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """What is minimised."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """How it is minimised."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """How long and at which rate."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """How crops are changed."""
    adaptation: AdaptationConfig = field(default_factory=AdaptationConfig)
    """How several corpora are brought together for one of them."""
    bort2: Bort2Config = field(default_factory=Bort2Config)
    """How a target is trained on once more."""
    machine: MachineConfig = field(default_factory=MachineConfig)
    """What may change when a run is resumed."""
    seed: int = 1
    """Of initialisation, order, augmentation and dropout."""

    def __post_init__(self) -> None:
        data, calm = self.data, self.objective.calm_weight
        if calm and (data.neutral or data.sampling != "natural" or data.mixture):
            raise ConfigError(
                "--calm-weight shows faces of no class once an epoch; leave out --neutral, "
                "--sampling and --mixture."
            )
        options, total = self.adaptation, self.schedule.total_epochs
        needed = options.target_epochs + options.final_epochs
        if options.method == "progressive" and len(data.corpora) > 1 and total < needed:
            raise ConfigError(
                f"{options.target_epochs} epochs on the target and {options.final_epochs} after "
                f"the last trial do not fit in {total}; give at least {needed} with --epochs."
            )
        heads, own_norms = self.architecture.heads, self.architecture.own_norms != "none"
        if (heads or own_norms) and data.neutral:
            raise ConfigError(
                "--heads and --own-norms are for the six expressions; leave out --neutral."
            )


GROUPS: dict[str, type] = {
    "data": DataConfig,
    "architecture": ArchitectureConfig,
    "objective": ObjectiveConfig,
    "optimizer": OptimizerConfig,
    "schedule": ScheduleConfig,
    "augment": AugmentConfig,
    "adaptation": AdaptationConfig,
    "bort2": Bort2Config,
    "machine": MachineConfig,
}
"""Field of ``FitConfig`` -> its dataclass."""

_GROUP_OF = {
    option.name: group for group, kind in GROUPS.items() for option in dataclasses.fields(kind)
}


def override(config: FitConfig, **values: Any) -> FitConfig:
    """Return the config with some options replaced, each named without its group.

    Example: ``override(RECIPES["baseline"], optimizer="sgd", lr=0.05, seed=3)``.

    Raises:
        ConfigError: if there is no such option, or it has a value that cannot work.
    """
    groups: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        if name not in _GROUP_OF and name != "seed":
            raise ConfigError(f"There is no option {name!r}; see python -m train fit --help.")
        groups.setdefault(_GROUP_OF.get(name, ""), {})[name] = value
    own = groups.pop("", {})
    changed = {
        group: dataclasses.replace(getattr(config, group), **options)
        for group, options in groups.items()
    }
    return dataclasses.replace(config, **changed, **own)


def to_json(config: FitConfig) -> dict[str, Any]:
    """Return the config as plain JSON values."""
    return dataclasses.asdict(config)


def from_json(values: dict[str, Any]) -> FitConfig:
    """Build the config from what ``to_json`` returned.

    Raises:
        ConfigError: if an option has a value that cannot work.
        TypeError: if the values are of another shape.
    """
    groups = {name: kind(**values[name]) for name, kind in GROUPS.items() if name in values}
    return FitConfig(**{**values, **groups})


def read_config(path: Path) -> FitConfig:
    """Read the config that a run saved.

    Raises:
        ConfigError: if the file is missing or holds other fields than this version knows.
    """
    try:
        return from_json(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; is {path.parent} the folder of a run?") from None
    except (json.JSONDecodeError, TypeError) as error:
        raise ConfigError(f"{path} is not the config of a run of this version ({error}).") from None
