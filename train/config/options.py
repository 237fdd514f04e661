"""The groups of options that a training run has; ``train.config.fit`` puts them together."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
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

COVERAGE = 0.82
"""Share of expressive faces that are answered with an expression.

Lower catches more neutral faces, which are the rule before a camera, and leaves more expressions
unanswered. See docs/decisions/0018-abstaining.md.
"""

Annotation = Literal["first", "second", "mean"]
Weighting = Literal["none", "inverse", "sqrt", "effective", "dynamic"]


@in_one_sentence
@dataclass(frozen=True, config=STRICT)
class DataConfig:
    """What is trained on."""

    corpora: tuple[str, ...] = ("fer2013",)
    """Prepared corpora to train on."""
    limit: Count = 0
    """Use this many training images of each corpus, the same share of every class, chosen by the
    seed; 0 uses all."""
    annotation: Annotation = "first"
    """Which of two annotations labels an image that has both (AffectNet's mirrors): the ``first``,
    the ``second``, or the ``mean`` of both."""
    soft_labels: bool = False
    """Learn a mixture of the label and what others say about the face: the votes of taggers
    (FER-2013 prepared with FER+), or else another annotation (AffectNet)."""
    soft_share: Share = 0.5
    """Their share in that mixture, 0..1; the label has the rest."""
    neutral: bool = False
    """Learn neutral as a seventh class, to compare with results that count it; such weights are not
    served, and not calibrated."""
    outlier_exposure: bool = False
    """Show neutral training faces too and learn that all classes are as likely, so that a calm face
    is "not sure" (Hendrycks et al., ICLR 2019, eq. 1)."""
    sampling: Literal["natural", "sqrt", "uniform"] = "natural"
    """``natural`` shows every image once per epoch; ``sqrt`` and ``uniform`` draw as many, with
    replacement, a class of n images in proportion to n^1/2 or all alike."""
    mixture: tuple[int, ...] = ()
    """How many images of each corpus an epoch shows, in the order of ``corpora``, its classes as
    ``sampling`` says; empty leaves it to the corpora's sizes."""
    teachers: tuple[str, ...] = ()
    """SPECs of trained weights whose answers are learnt too (knowledge distillation, Hinton et al.,
    2015), see ``train.training.distil``; empty learns the labels alone."""
    teacher_weight: Share = 0.5
    """Share of the teachers' answer in what is learnt, 0..1."""
    validation_limit: Count = 0
    """Judge an epoch on this many validation images of each corpus, the same share of every class
    and the same ones in every epoch; 0 uses all."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Images per step, over all processes."""

    def __post_init__(self) -> None:
        if not self.corpora:
            raise ConfigError("Name at least one corpus: --corpora NAME.")
        if self.neutral and (self.soft_labels or self.annotation != "first"):
            raise ConfigError("--neutral goes with the first label alone.")
        if self.outlier_exposure and (self.neutral or self.sampling != "natural" or self.mixture):
            raise ConfigError(
                "--outlier-exposure shows faces of no class once an epoch; leave out --neutral, "
                "--sampling and --mixture."
            )
        if self.neutral and self.teachers:
            raise ConfigError("Teachers know the six expressions alone; leave out --neutral.")
        if self.mixture and (len(self.mixture) != len(self.corpora) or min(self.mixture) < 1):
            raise ConfigError("--mixture needs a positive number for each of --corpora.")


@in_one_sentence
@dataclass(frozen=True, config=STRICT)
class ArchitectureConfig:
    """The network, see ``emotion.config.NetworkConfig``."""

    init: str = ""
    """SPEC of weights to start from (fine-tuning), see ``emotion.weights.load``; empty starts from
    random ones. Backbone, activation, max-pooling and widths are theirs where these options are
    left alone, and must be the same where they are not, but the widths may be larger; grey mean and
    deviation are always theirs."""
    standardise: Literal["crop", "corpus"] | None = None
    """By which mean and deviation the grey levels are standardised, each ``crop``'s own or those of
    the ``corpus``; left out, as the weights to start from do, or ``crop``."""
    frozen_stages: Count = 0
    """This many of the backbone's first stages, and what stands before them, keep weights and norm
    statistics: fine-tuning that costs less."""
    backbone: Literal["resnet18", "cnn", "alexnet"] = "cnn"
    """``cnn`` (eight convolutions), ``resnet18`` or ``alexnet`` (adapted to 64x64)."""
    activation: Literal["relu", "silu"] = "silu"
    """``relu`` or ``silu`` (Swish)."""
    max_pool: bool = False
    """Keep the max-pooling after ResNet-18's stem."""
    widths: tuple[int, ...] = ()
    """Channels of the backbone's stages, empty for its own; narrow ones train in seconds."""
    block_dropout: float = 0.1
    """Channel dropout rate in the last blocks, 0..1."""
    head_dropout: float = 0.2
    """Dropout rate before the linear layer, 0..1."""
    mirror: bool = True
    """Answer from the mean over the crop and its mirror image, see
    ``emotion.config.NetworkConfig``; training itself sees one of them at a time."""
    heads: bool = False
    """Give each of several corpora a linear layer of its own beside the common one, since each
    follows its own convention (one layer per annotator, Guan et al., AAAI 2018)."""
    own_norms: Literal["none", "offsets", "statistics"] = "none"
    """What each of several corpora has of its own in the body, instead of a layer: ``offsets``, the
    corpus is an input of the last stage, hidden for half the faces; or ``statistics`` of every norm
    (Chang et al., CVPR 2019). The weights answer as is best on the mean; with the first any other
    way can be asked for. See ``train.training.own_norms``."""

    def __post_init__(self) -> None:
        if self.heads and self.own_norms != "none":
            raise ConfigError("A corpus has its own layer or its own norms: leave out --heads.")
        if self.frozen_stages and not self.init:
            raise ConfigError("Random stages cannot be frozen; name weights with --init.")


@in_one_sentence
@dataclass(frozen=True, config=STRICT)
class ObjectiveConfig:
    """What is minimised."""

    label_smoothing: Share = 0.1
    """Mass spread over all classes, 0..1."""
    class_weights: Weighting = "sqrt"
    """How rare classes weigh more, see ``train.training.losses.class_weights``; ``dynamic`` is the
    dynamically weighted balanced loss (Fernando and Tsokos, 2021)."""
    effective_beta: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Beta of the ``effective`` weights; .999 suits some thousand images a class."""
    reweight_after: Share = 0.0
    """Share of the epochs before the class weights take effect, 0..1 (deferred re-weighting, Cao et
    al., 2019)."""
    focal_gamma: AtLeastZero = 0.0
    """Exponent of the focal loss, 0 for cross-entropy (Lin et al., 2017)."""
    brier_term: bool = False
    """Discourage over-confidence by subtracting sum p (1 - p)."""
    logit_adjustment: AtLeastZero = 0.0
    """Multiple of the classes' log prior that is added to the logits while training (Menon et al.,
    2021); 0 for none, 1 is balanced softmax."""
    attention_consistency: AtLeastZero = 0.0
    """Weight of erasing attention consistency, see ``train.training.consistency``; 0 for none, 5 in
    the paper."""
    evidence_from: str = ""
    """SPEC of weights whose maps the network's own shall resemble, see ``train.training.evidence``;
    none by default."""
    evidence_weight: AtLeastZero = 0.15
    """Weight of that resemblance; the more, the less is left of what else a run learns."""
    calm_weight: AtLeastZero = 0.0
    """Weight of the second output's loss, which learns to tell calm faces from expressive ones, see
    ``train.training.supervision``; 0 leaves that output out."""


@in_one_sentence
@dataclass(frozen=True, config=STRICT)
class OptimizerConfig:
    """How it is minimised."""

    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """``adamw``, ``adam`` or ``sgd`` with Nesterov's momentum."""
    lr: Positive = 1e-3
    """Peak learning rate."""
    weight_decay: AtLeastZero = 0.05
    """Not applied to norm layers and biases; decoupled in AdamW, in the others added to the
    gradient as the derivative of an L2 penalty, where useful values are smaller."""
    momentum: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Of SGD."""
    clip_norm: Positive = 5.0
    """Gradients are clipped to this global norm."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay per step of the averaged weights, which are the ones kept."""


@in_one_sentence
@dataclass(frozen=True, config=STRICT)
class ScheduleConfig:
    """How long, at which size of the crops, and at which rate."""

    sizes: tuple[int, ...] = (64,)
    """Side in px of the crops in each stage (progressive resizing; the last should be 64).
    ResNet-18 and AlexNet stand it; the CNN looks for faces of 64."""
    epochs: tuple[int, ...] = (28,)
    """Epochs of each stage, as many numbers as ``sizes``."""
    schedule: Literal["cosine", "warm_restarts", "plateau"] = "cosine"
    """How the rate falls from its peak: ``cosine`` to zero over the whole run, ``warm_restarts`` to
    zero again and again (both Loshchilov and Hutter, 2017), or ``plateau`` by a factor whenever
    validation macro-F1 stands still."""
    warmup_epochs: AtLeastZero = 1.0
    """Before that the rate rises linearly over so many epochs, may be a fraction."""
    last_stage_lr: Positive = 4e-4
    """In the cosine of several stages, the last one begins at this rate and anneals it to zero in
    its own cosine: the end of the first one is too slow for a new size."""
    restart_epochs: AtLeastOne = 1
    """Length of the first cycle of ``warm_restarts``."""
    restart_factor: AtLeastOne = 2
    """Each further cycle is so many times longer."""
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.75
    """What ``plateau`` multiplies the rate by."""
    plateau_patience: Count = 5
    """Epochs without a better score that ``plateau`` bears."""
    early_stopping: Count = 0
    """Stop after so many epochs of the last stage without a better validation macro-F1; 0 never
    stops."""

    def __post_init__(self) -> None:
        if not self.sizes or len(self.sizes) != len(self.epochs):
            raise ConfigError("--sizes and --epochs need the same number of values, one per stage.")
        if min(self.sizes) < 16 or max(self.sizes) > 64 or min(self.epochs) < 1:
            raise ConfigError(
                "Sizes must lie between 16 and 64 px, and every stage needs an epoch."
            )

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


@in_one_sentence
@dataclass(frozen=True, config=STRICT)
class AugmentConfig:
    """How crops are changed before each step."""

    flip: Share = 0.5
    """Probability that a crop is mirrored, 0..1."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 12.0
    """Most degrees that it is turned, either way."""
    shift: Annotated[float, Field(ge=0, le=0.5)] = 0.07
    """Most that it is shifted, as a share of its side."""
    scale: Annotated[float, Field(ge=1)] = 1.14
    """Largest factor by which it is enlarged or reduced."""
    contrast: Annotated[float, Field(ge=1)] = 1.4
    """Largest factor of its contrast, up or down."""
    brightness: AtLeastZero = 30.0
    """Most grey levels that are added or taken."""
    degrade: Share = 0.0
    """Probability of blur, noise and JPEG compression, 0..1."""
    erase: Share = 0.25
    """Probability that a rectangle is erased, 0..1."""
    mixup: AtLeastZero = 0.0
    """Alpha of mixup, 0 for off."""
    cutmix: AtLeastZero = 0.0
    """Alpha of CutMix, 0 for off."""


def _in_words(value: object) -> object:
    """Read what runs of earlier versions say: true or false."""
    return ("yes" if value else "no") if isinstance(value, bool) else value


@in_one_sentence
@dataclass(frozen=True, config=STRICT)
class MachineConfig:
    """What may change when a run is resumed."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto`` takes a GPU if there is one."""
    threads: Count = 0
    """CPU threads; 0 takes all."""
    compile: Annotated[Literal["auto", "yes", "no"], BeforeValidator(_in_words)] = "auto"
    """Fuse the network with torch.compile, which needs a C++ compiler; ``auto`` does on a GPU."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """``float32``, or ``bfloat16`` for the forward passes of the training, with three digits in
    place of seven; a processor without it emulates it, slowly. ``auto`` keeps what a resumed run
    has, and takes bfloat16 for a new one where the hardware computes in it (AMX, AVX512_BF16, most
    GPUs). What is measured is always measured in float32."""
    checkpoint_minutes: AtLeastZero = 0.0
    """Write a checkpoint within an epoch, too, whenever so many minutes have passed; 0 writes one
    per epoch."""
