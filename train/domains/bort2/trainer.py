"""BORT²: bi-level robust training on the target (Deng et al., BMVC 2022).

A labelling function labels the target; a student with stochastic features learns those labels while
it must keep every feature spread, which makes it robust to wrong ones (the lower level); and the
labelling function is moved so that the resulting student is as certain as possible (the upper one).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from emotion.config import NetworkConfig
from emotion.labels import LABELS
from emotion.network import EmotionNet, normalise
from train.config.fit import FitConfig
from train.domains.bort2.gaussian import GaussianFeatures, entropy_hinge
from train.domains.bort2.labeller import Labeller
from train.domains.bort2.pseudo_labels import contradicts, pseudo_label_loss, sample_labels
from train.faces.store import FaceStore
from train.scoring.inference import pooled_features, resize
from train.training.data import TrainingData
from train.training.losses import Objective
from train.training.sampling import ShuffledSource
from train.training.step import Step
from train.training.trainer import Trainer

_SAMPLE = 1000  # faces that measure the spread of the features
_RARE = 0.01  # share of a class's labels below which the student hardly learns it

_SUMS = ("faces", "believed", "contradicted", "right", "entropy", "hinged")
_BILEVEL = ("learnt", "skipped", "norm")


class Student(EmotionNet):
    """The served network, and the spread of its pooled features, which training alone uses."""

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__(config)
        self.spread = GaussianFeatures(self.fc.in_features)


class LabelledSource(ShuffledSource):
    """Shuffled batches, and the labeller's state beside them in every checkpoint."""

    def __init__(self, store: FaceStore, config: FitConfig, labeller: Labeller) -> None:
        super().__init__(store, config.data.batch_size, config.seed)
        self.labeller, self._labelled = labeller, config.bort2.mode != "video"
        self.sums = torch.zeros(len(_SUMS) + len(_BILEVEL), dtype=torch.float64)
        self.epoch = self.step = 0

    def begin_epoch(self, epoch: int) -> None:
        """Draw the order of an epoch, counted from 0."""
        super().begin_epoch(epoch)
        self.epoch = epoch
        self.sums.zero_()

    def rows(self, index: int) -> Tensor:
        """Return the rows of one batch of the running epoch, int64 (B,)."""
        self.step = self.epoch * self.steps + index
        return super().rows(index)

    def state(self) -> dict[str, Tensor]:
        """Return the batches of the running epoch, its sums, and the labeller."""
        own = {"sums": self.sums, "epoch": torch.tensor(self.epoch)}
        return super().state() | own | self.labeller.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue the epoch whose state this is."""
        super().restore(state)
        self.sums, self.epoch = state["sums"], int(state["epoch"])
        self.labeller.restore(state)

    def add(self, **values: float) -> None:
        """Add to the sums of the running epoch."""
        for name, value in values.items():
            self.sums[(*_SUMS, *_BILEVEL).index(name)] += value

    def summary(self) -> dict[str, float]:
        """Return what the running epoch's sums say: shares of the faces, and means.

        ``believed``: pseudo-labels above the threshold. ``contradicted``: believed ones that
        differ from the given label. ``right``: all that agree with it. ``entropy``: its mean.
        ``hinged``: faces whose entropy is below the one wanted.
        """
        sums = dict(zip((*_SUMS, *_BILEVEL), self.sums.tolist(), strict=True))
        faces, learnt = max(sums["faces"], 1.0), max(sums["learnt"], 1.0)
        shares = {name: sums[name] / faces for name in _SUMS[1:]}
        if not self._labelled:
            del shares["contradicted"], shares["right"]
        return {
            **shares,
            "labeller_steps": sums["learnt"],
            "labeller_steps_skipped": sums["skipped"],
            "hypergradient_norm": sums["norm"] / learnt,
        }


class Bort2Loss:
    """The lower level's loss of a batch, and before it, whenever due, a step of the labeller.

    Args:
        config: of the run.
        student: the network that is trained.
        source: gives the faces and their labels, and counts.
    """

    def __init__(self, config: FitConfig, student: Student, source: LabelledSource) -> None:
        self._options = config.bort2
        self._student, self._source, self._labeller = student, source, source.labeller
        self._objective: Objective | None = None
        if self._options.mode == "blend":
            counts = source.store.counts()
            total = config.schedule.total_epochs
            self._objective = Objective(config.objective, counts, source.prior, total)

    def __call__(self, step: Step) -> Tensor:
        """Sample the features, and compare with the labels that are believed."""
        source, options, labeller = self._source, self._options, self._labeller
        faces = source.store.select(step.rows)
        weak = self._weak_view(faces.faces.to(step.inputs.device), step.inputs.shape[-1])
        mean = step.features.float().mean((2, 3))
        self._student.spread.follow(mean)
        due = options.bilevel_every and source.step % options.bilevel_every == 0
        if due and source.epoch >= options.fixed_epochs:
            self._teach_labeller(faces, mean.detach(), weak)
        probabilities = labeller.probabilities(weak)
        labeller.threshold.update(probabilities)
        believed = labeller.threshold.believed(probabilities)
        targets = F.one_hot(probabilities.argmax(1), len(LABELS)).float()
        sample, entropy = self._student.spread(mean)
        source.add(
            faces=len(faces),
            believed=int(believed.sum()),
            contradicted=int(contradicts(faces.labels, targets.cpu(), believed.cpu()).sum()),
            right=int((targets.argmax(1).cpu() == faces.labels).sum()),
            entropy=float(entropy.detach().sum()),
            hinged=int((entropy < options.entropy).sum()),
        )
        return self._lower(self._student.fc(sample), entropy, faces, targets, believed)

    def _lower(
        self, logits: Tensor, entropy: Tensor, faces: FaceStore, targets: Tensor, believed: Tensor
    ) -> Tensor:
        """The loss of the lower level."""
        options = self._options
        hinge = options.entropy_weight * entropy_hinge(entropy, options.entropy)
        if self._objective is None:
            return hinge + pseudo_label_loss(logits, targets, believed)
        given = faces.targets.to(logits.device)
        supervised = self._objective(logits, given, self._source.epoch)
        contradicted = contradicts(faces.labels.to(logits.device), targets, believed)
        repair = pseudo_label_loss(logits, targets, contradicted)
        return hinge + supervised + options.pseudo_weight * repair

    def _teach_labeller(self, faces: FaceStore, mean: Tensor, weak: Tensor) -> None:
        """Move the labeller by the hyper-gradient: one half of the batch is learnt, the other asks.

        Inner parameters are the spread and the classifier; the features below them stay as they
        are, since second derivatives through the whole network would cost several steps.
        """
        options, student, labeller = self._options, self._student, self._labeller
        half = len(faces) // 2
        sample, entropy = student.spread(mean)
        logits = labeller.logits(weak[:half])
        lower = self._lower(
            student.fc(sample[:half]),
            entropy[:half],
            faces.select(torch.arange(half)),
            sample_labels(logits),
            labeller.threshold.believed(logits.detach().softmax(1)),
        )
        norm = labeller.learn(
            lower,
            entropy[half:].mean(),
            [*student.spread.scale.parameters(), *student.fc.parameters()],
            step=options.neumann_step,
            terms=options.neumann_terms,
        )
        if norm is None:
            self._source.add(skipped=1)
        else:
            self._source.add(learnt=1, norm=norm)

    def _weak_view(self, faces: Tensor, size: int) -> Tensor:
        """Mirror half of the crops and change nothing else: normalised (B, 3, size, size)."""
        grey = resize(faces, size)
        mirrored = torch.rand(len(grey)) < 0.5
        grey = torch.where(mirrored[:, None, None].to(grey.device), grey.flip(2), grey)
        inputs = normalise(grey, self._student.config)
        return inputs.contiguous(memory_format=torch.channels_last)


class Bort2Trainer(Trainer):
    """Trains a student on the labels of a labeller that is trained with it.

    Args:
        config: what to train.
        network: trained weights, of which both begin as a copy.
        data: faces of the target; their labels count in mode ``blend`` alone.
        out: folder of the run.
        device: where to train.
    """

    def __init__(
        self,
        config: FitConfig,
        network: EmotionNet,
        data: TrainingData,
        out: Path,
        device: torch.device,
    ) -> None:
        student = Student(network.config)
        student.load_state_dict(network.state_dict(), strict=False)
        student.freeze(config.architecture.frozen_stages)
        labeller = Labeller(network.to(device), config.bort2.labeller_lr)
        self.labels = LabelledSource(data.training, config, labeller)
        self._look_at(student, config)
        loss = Bort2Loss(config, student, self.labels)
        super().__init__(
            config, student, self.labels, data.validation, out, [loss], device, supervised=False
        )

    def _look_at(self, student: Student, config: FitConfig) -> None:
        """Measure the spread of the features, and name classes that the labeller hardly finds."""
        generator = torch.Generator().manual_seed(config.seed)
        faces = self.labels.store.faces
        sample = faces[torch.randperm(len(faces), generator=generator)[:_SAMPLE]]
        features = pooled_features(student.eval(), sample, config.schedule.sizes[0])
        student.spread.measure(features)
        predicted = student.fc(features).argmax(1)
        shares = torch.bincount(predicted, minlength=len(LABELS)) / len(sample)
        rare = [name for name, share in zip(LABELS, shares.tolist(), strict=True) if share < _RARE]
        if rare and config.bort2.mode != "blend":
            tqdm.write(
                f"The labeller finds hardly any {', '.join(rare)} in these faces, so the student "
                "will not learn more about that from them."
            )

    def judged(self, size: int) -> dict[str, Any]:
        """Score the averaged weights; add what the epoch said about labels and features."""
        return {**super().judged(size), "bort2": self.labels.summary()}
