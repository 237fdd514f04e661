"""What a training run is: one frozen dataclass of groups, saved beside the weights.

No two groups share a field's name, so that an option is one word on the command line and in
``override``; the JSON keeps the groups.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from emotion.errors import ConfigError
from train.domains.config import AdaptationConfig, Bort2Config
from train.options import Group as _Group


@dataclass(frozen=True)
class DataConfig(_Group):
    """What is trained on.

    Attributes:
        corpora: prepared corpora to train on.
        limit: use this many training images of each corpus, the same share of every class, chosen
            by the seed; 0 uses all.
        batch_size: images per step, over all processes.
    """

    corpora: tuple[str, ...] = ("fer2013",)
    limit: int = 0
    batch_size: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.corpora:
            raise ConfigError("Name at least one corpus: --corpora NAME.")
        self.check("limit", 0)
        self.check("batch_size", 2)


@dataclass(frozen=True)
class ArchitectureConfig(_Group):
    """The network, see ``emotion.network.NetworkConfig``.

    Attributes:
        init: SPEC of weights to start from (fine-tuning), see ``emotion.weights.load``; empty
            starts from random ones. Their architecture must be the one configured here; grey mean
            and deviation are theirs.
        activation: ``relu`` or ``silu`` (Swish).
        max_pool: keep the max-pooling after the stem.
        widths: channels of the stages; narrow ones train in seconds.
        block_dropout: channel dropout rate in the last blocks, 0..1.
        head_dropout: dropout rate before the linear layer, 0..1.
    """

    init: str = ""
    activation: Literal["relu", "silu"] = "relu"
    max_pool: bool = False
    widths: tuple[int, ...] = (64, 128, 256, 512)
    block_dropout: float = 0.1
    head_dropout: float = 0.2


@dataclass(frozen=True)
class ObjectiveConfig(_Group):
    """What is minimised.

    Attributes:
        label_smoothing: mass spread over all classes, 0..1.
        class_weights: ``sqrt`` weights each class by n^-1/2, ``none`` by 1.
    """

    label_smoothing: float = 0.1
    class_weights: Literal["none", "sqrt"] = "sqrt"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("label_smoothing", 0, 1)


@dataclass(frozen=True)
class OptimizerConfig(_Group):
    """How it is minimised.

    Attributes:
        lr: peak learning rate of AdamW.
        weight_decay: decoupled decay, not applied to norm layers and biases.
        clip_norm: gradients are clipped to this global norm.
        ema_decay: decay per step of the averaged weights, which are the ones kept.
    """

    lr: float = 1e-3
    weight_decay: float = 0.05
    clip_norm: float = 5.0
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lr <= 0 or self.clip_norm <= 0:
            raise ConfigError("lr and clip_norm must be positive.")
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"--ema-decay must lie in [0, 1), not {self.ema_decay}.")
        self.check("weight_decay", 0)


@dataclass(frozen=True)
class ScheduleConfig(_Group):
    """How long, at which size of the crops, and at which rate.

    Attributes:
        sizes: side in px of the crops in each stage (progressive resizing; the last should be 64).
        epochs: epochs of each stage, as many numbers as ``sizes``.
        warmup_epochs: the rate rises linearly over so many epochs, may be a fraction, and is then
            annealed to zero along a cosine over the whole run (Loshchilov and Hutter, 2017).
        last_stage_lr: where there are several stages, the last one begins at this rate and anneals
            it to zero in its own cosine: the end of the first one is too slow for a new size.
    """

    sizes: tuple[int, ...] = (32, 40, 64)
    epochs: tuple[int, ...] = (4, 7, 2)
    warmup_epochs: float = 1.0
    last_stage_lr: float = 4e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sizes or len(self.sizes) != len(self.epochs):
            raise ConfigError("--sizes and --epochs need the same number of values, one per stage.")
        if min(self.sizes) < 16 or max(self.sizes) > 64 or min(self.epochs) < 1:
            raise ConfigError(
                "Sizes must lie between 16 and 64 px, and every stage needs an epoch."
            )
        if self.last_stage_lr <= 0:
            raise ConfigError("last_stage_lr must be positive.")
        self.check("warmup_epochs", 0)

    @property
    def total_epochs(self) -> int:
        """Number of epochs over all stages."""
        return sum(self.epochs)

    def size_at(self, epoch: int) -> int:
        """Return the side in px of the crops in this epoch, counted from 0."""
        for size, length in zip(self.sizes, self.epochs, strict=True):
            if epoch < length:
                return size
            epoch -= length
        return self.sizes[-1]


@dataclass(frozen=True)
class AugmentConfig(_Group):
    """How crops are changed before each step.

    Attributes:
        erase: probability that a rectangle of a crop is erased, 0..1.
    """

    erase: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("erase", 0, 1)


@dataclass(frozen=True)
class MachineConfig(_Group):
    """What may change when a run is resumed.

    Attributes:
        threads: CPU threads; 0 takes all.
        compile: fuse the network with torch.compile; needs a C++ compiler.
        checkpoint_minutes: write a checkpoint within an epoch, too, whenever so many minutes have
            passed; 0 writes one per epoch.
    """

    threads: int = 0
    compile: bool = False
    checkpoint_minutes: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check("threads checkpoint_minutes", 0)


@dataclass(frozen=True)
class FitConfig:
    """Every choice of one training run.

    Attributes:
        data: what is trained on.
        architecture: the network.
        objective: what is minimised.
        optimizer: how it is minimised.
        schedule: how long and at which rate.
        augment: how crops are changed.
        adaptation: how several corpora are brought together for one of them.
        bort2: how the target is trained on once more.
        machine: what may change when a run is resumed.
        seed: of initialisation, order, augmentation and dropout.
    """

    data: DataConfig = field(default_factory=DataConfig)
    architecture: ArchitectureConfig = field(default_factory=ArchitectureConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    adaptation: AdaptationConfig = field(default_factory=AdaptationConfig)
    bort2: Bort2Config = field(default_factory=Bort2Config)
    machine: MachineConfig = field(default_factory=MachineConfig)
    seed: int = 1


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
