"""The options of domain adaptation."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from emotion.errors import ConfigError
from train.config.checked import (
    STRICT,
    AtLeastOne,
    AtLeastZero,
    Count,
    Positive,
    Share,
    in_one_sentence,
)


@in_one_sentence
@dataclass(frozen=True, config=STRICT)
class AdaptationConfig:
    """How several corpora are brought together for one of them."""

    method: Literal["none", "progressive", "bort2"] = "none"
    """``none`` shuffles all corpora; ``progressive`` takes the first one for the target and lets
    the others in part by part, see ``train.domains.progressive.trainer``; ``bort2`` trains given
    weights on the target once more, see ``Bort2Config``."""
    target_epochs: Count = 3
    """Progressive: epochs on the target alone; what the network then sees decides on relevance."""
    trial_epochs: AtLeastOne = 1
    """Progressive: length of the trial of a group of shards. Each trial costs as many epochs more,
    for the comparison with training without the group."""
    final_epochs: AtLeastOne = 2
    """Progressive: at least so many epochs follow the last trial. All stages of ``sizes`` but the
    first belong to them."""
    shards: AtLeastOne = 8
    """Progressive: parts that each class of each source is split into."""
    relevance: Literal["centroid", "mmd"] = "centroid"
    """Progressive: by which measure, see ``train.domains.progressive.relevance``."""
    relevance_thresholds: tuple[float, ...] = (0.6, 0.4, 0.2, 0.0)
    """Progressive: descending; the shards of a source that reach one of them and none before it are
    tried together. What stays below the last never enters."""
    tolerance: AtLeastZero = 0.005
    """Progressive: how much lower than without the group the target's validation macro F1 may
    be."""
    risk: Share = 0.5
    """Progressive: the group stays if a larger loss is at most so probable, 0..1."""
    memory: Count = 2000
    """Progressive: accepted faces that are replayed, the same number of each class."""
    alignment: AtLeastZero = 0.1
    """Progressive: weight of the discrepancy between the features of target and sources."""

    def __post_init__(self) -> None:
        if list(self.relevance_thresholds) != sorted(set(self.relevance_thresholds), reverse=True):
            raise ConfigError("--relevance-thresholds must fall from one to the next.")
        if not self.relevance_thresholds:
            raise ConfigError("Give at least one number with --relevance-thresholds.")


@in_one_sentence
@dataclass(frozen=True, config=STRICT)
class Bort2Config:
    """How a target is trained on once more, robust against wrong labels (Deng et al., 2022)."""

    mode: Literal["blend", "unsupervised", "video"] = "blend"
    """``blend`` learns the given labels, and the labeller's where it is sure of another one;
    ``unsupervised`` ignores the given labels; ``video`` learns from the unlabelled faces in
    ``clips``."""
    clips: str = ""
    """Folder of videos and pictures of one person, for ``video``."""
    pseudo_weight: AtLeastZero = 0.4
    """Blend: weight of the labeller's labels where they contradict."""
    entropy: float = 1.0
    """The spread that features must have: mean logarithm of the standard deviations, in units of
    each feature's own spread over the data."""
    entropy_weight: AtLeastZero = 0.1
    """Of what the entropy lacks."""
    fixed_epochs: Count = 1
    """Epochs before the labeller learns, too."""
    bilevel_every: Count = 30
    """Steps from one step of the labeller to the next; 0 keeps it as it is."""
    neumann_terms: Count = 0
    """Products with the Hessian in the hyper-gradient; 0 is one unrolled step."""
    neumann_step: Positive = 0.1
    """Length of a step of the student in the hyper-gradient."""
    labeller_lr: Positive = 0.01
    """Learning rate of the labeller."""
