"""The options of domain adaptation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from emotion.errors import ConfigError
from train.config.options import _Group


@dataclass(frozen=True)
class AdaptationConfig(_Group):
    """How several corpora are brought together for one of them.

    Attributes:
        method: ``none`` shuffles all corpora; ``progressive`` takes the first one for the target
            and lets the others in part by part, see ``train.domains.progressive.trainer``;
            ``bort2`` trains given weights on the target once more, see ``Bort2Config``.
        target_epochs: progressive: epochs on the target alone; what the network then sees decides
            on relevance.
        trial_epochs: progressive: length of the trial of a group of shards. Each trial costs as
            many epochs more, for the comparison with training without the group.
        final_epochs: progressive: at least so many epochs follow the last trial. All stages of
            ``sizes`` but the first belong to them.
        shards: progressive: parts that each class of each source is split into.
        relevance: progressive: by which measure, see ``train.domains.progressive.relevance``.
        relevance_thresholds: progressive: descending; the shards of a source that reach one of them
            and none before it are tried together. What stays below the last never enters.
        tolerance: progressive: how much lower than without the group the target's validation
            macro F1 may be.
        risk: progressive: the group stays if a larger loss is at most so probable, 0..1.
        memory: progressive: accepted faces that are replayed, the same number of each class.
        alignment: progressive: weight of the discrepancy between the features of target and
            sources.
    """

    method: Literal["none", "progressive", "bort2"] = "none"
    target_epochs: int = 3
    trial_epochs: int = 1
    final_epochs: int = 2
    shards: int = 8
    relevance: Literal["centroid", "mmd"] = "centroid"
    relevance_thresholds: tuple[float, ...] = (0.6, 0.4, 0.2, 0.0)
    tolerance: float = 0.005
    risk: float = 0.5
    memory: int = 2000
    alignment: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("trial_epochs final_epochs shards", 1)
        self._check("target_epochs memory tolerance alignment", 0)
        self._check("risk", 0, 1)
        if list(self.relevance_thresholds) != sorted(set(self.relevance_thresholds), reverse=True):
            raise ConfigError("--relevance-thresholds must fall from one to the next.")
        if not self.relevance_thresholds:
            raise ConfigError("Give at least one number with --relevance-thresholds.")


@dataclass(frozen=True)
class Bort2Config(_Group):
    """How the target is trained on once more, robust against wrong labels (Deng et al., BMVC 2022).

    Attributes:
        mode: ``blend`` learns the given labels, and the labeller's where it is sure of another
            one; ``unsupervised`` ignores the given labels; ``video`` learns from the unlabelled
            faces in ``clips``.
        clips: folder of videos and pictures of one person, for ``video``.
        pseudo_weight: blend: weight of the labeller's labels where they contradict.
        entropy: the spread that features must have: mean logarithm of the standard deviations, in
            units of each feature's own spread over the data.
        entropy_weight: of what the entropy lacks.
        fixed_epochs: epochs before the labeller learns, too.
        bilevel_every: steps from one step of the labeller to the next; 0 keeps it as it is.
        neumann_terms: products with the Hessian in the hyper-gradient; 0 is one unrolled step.
        neumann_step: length of a step of the student in the hyper-gradient.
        labeller_lr: learning rate of the labeller.
    """

    mode: Literal["blend", "unsupervised", "video"] = "blend"
    clips: str = ""
    pseudo_weight: float = 0.4
    entropy: float = 1.0
    entropy_weight: float = 0.1
    fixed_epochs: int = 1
    bilevel_every: int = 30
    neumann_terms: int = 0
    neumann_step: float = 0.1
    labeller_lr: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("pseudo_weight entropy_weight fixed_epochs bilevel_every neumann_terms", 0)
        if self.neumann_step <= 0 or self.labeller_lr <= 0:
            raise ConfigError("neumann_step and labeller_lr must be positive.")
