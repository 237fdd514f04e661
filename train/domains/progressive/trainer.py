"""Progressive adaptation: one target, sources that enter shard by shard and may be turned away.

After P-MSDA (Zeeshan et al., IEEE TAC 2025), with shards of faces in place of persons, an absolute
measure of relevance, and a gate.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from emotion.files import write_text
from emotion.network import EmotionNet
from train.config.fit import FitConfig
from train.domains.progressive.alignment_loss import AlignmentLoss
from train.domains.progressive.curriculum import Curriculum
from train.domains.progressive.gate import paired_bootstrap
from train.domains.progressive.planning import plan, refresh_memory
from train.domains.progressive.progress import Progress, Trial
from train.scoring.inference import predict_logits
from train.training.data import TrainingData
from train.training.trainer import Trainer

LOG = "domains.jsonl"
"""File of a run with a line for every shard, group and choice of the memory."""

_BRANCH = ("network.", "average.", "optimizer.")


class ProgressiveTrainer(Trainer):
    """Trains on the target, then lets the sources' shards in group by group, on trial.

    A trial trains two branches from the same weights, with the same rates and random numbers: one
    without the group and one with it. Weights of before could not be compared with those of after:
    while a network still learns, it gains more in an epoch than a bad group costs. A branch that is
    given up leaves no trace, and does not count in the schedule.

    Everything that is decided between two epochs follows from the checkpoint before it, so a run
    that was killed decides the same again.

    Args:
        config: what to train; its first corpus is the target, the others enter in their order.
        network: its weights before the first step.
        data: faces of all corpora.
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
        self.options = config.adaptation
        self.progress = Progress(
            data.training,
            data.parts,
            config.data.batch_size,
            config.seed,
            config.schedule.total_epochs,
        )
        alignment = AlignmentLoss(
            self.options.alignment,
            data.training.labels,
            self.progress.target,
            lambda: self.progress.done,
        )
        super().__init__(config, network, self.progress, data.validation, out, [alignment], device)
        self._held_out = data.validation[config.data.corpora[0]]

    @property
    def best(self) -> dict[str, Any]:
        """The line of history whose weights are kept: the best one after the last trial.

        Until there is one, the newest.
        """
        last, introduced = self.config.schedule.sizes[-1], self.progress.introduced
        final = self.history[introduced:] if introduced is not None else []
        choice = [line for line in final if line["size"] == last]
        return max(choice or self.history[-1:], key=lambda line: line["macro_f1"])

    @property
    def finished(self) -> bool:
        """Whether every epoch is done; before the last trial nothing stops the run early."""
        return self.progress.introduced is not None and super().finished

    @property
    def clock(self) -> int:
        """Finished epochs of the schedule, branches that were given up not counted."""
        return len(self.history) - self.progress.discarded

    def epoch(self) -> None:
        """Decide what is due, then train the next epoch."""
        if self.clock >= self.options.target_epochs and self.progress.introduced is None:
            self.settle()
        super().epoch()

    def settle(self) -> None:
        """Plan the curriculum, end a branch that is over, and begin the next one."""
        progress, length = self.progress, self.options.trial_epochs
        if progress.curriculum is None:
            plan(progress, self.options, self._averaged, self._size)
        trial = progress.trial
        if trial and self.clock >= trial.start + length:
            if trial.branch == "control":
                self._begin_second_branch(trial)
            else:
                self._decide(trial)
        if progress.trial is None:
            schedule = self.config.schedule
            # All trials have the same size of crops, and enough epochs after them.
            end = min(schedule.epochs[0], schedule.total_epochs - self.options.final_epochs)
            if self._curriculum.current is None or self.clock + length > end:
                self._end_introduction()
            else:
                progress.trial = Trial("control", self.clock, self._copy(), self.average.updates)
        lines = (json.dumps(event) + "\n" for event in progress.events)
        write_text(self.out / LOG, "".join(lines))

    @property
    def _curriculum(self) -> Curriculum:
        """The present curriculum; every restored snapshot brings a new object."""
        assert self.progress.curriculum is not None
        return self.progress.curriculum

    @property
    def _averaged(self) -> EmotionNet:
        network = self.average.network
        assert isinstance(network, EmotionNet)
        return network

    @property
    def _size(self) -> int:
        """Side in px of the crops until the trials end."""
        return self.config.schedule.sizes[0]

    def _begin_second_branch(self, trial: Trial) -> None:
        """Keep the first branch for the comparison, and go back to where it began."""
        end, updates, control = self._copy(), self.average.updates, self._predict()
        self._put_back(trial)
        self.progress.trial = Trial("trial", trial.start, end, updates, control)
        self.progress.discarded += self.options.trial_epochs

    def _decide(self, trial: Trial) -> None:
        """Keep the branch with the group, or go back to the one without it."""
        current = self._curriculum.current
        assert current is not None
        assert trial.control is not None
        verdict = paired_bootstrap(
            self._held_out.labels.numpy(),
            trial.control.numpy(),
            self._predict().numpy(),
            tolerance=self.options.tolerance,
            risk=self.options.risk,
        )
        self.progress.trial = None
        self._curriculum.decide(verdict)
        self._record_group(current)
        if verdict.accepted:
            refresh_memory(self.progress, self.options, self._averaged, self._size)
        else:
            self._put_back(trial)

    def _copy(self) -> dict[str, Tensor]:
        """Copy every tensor of network, average and optimiser."""
        return {
            name: tensor.detach().clone()
            for name, tensor in self.snapshot().tensors.items()
            if name.startswith(_BRANCH)
        }

    def _put_back(self, trial: Trial) -> None:
        """Restore network, average and optimiser as they were saved, bit by bit."""
        now = self.snapshot()
        others = {k: v for k, v in now.tensors.items() if not k.startswith(_BRANCH)}
        values = {**now.values, "updates": trial.updates}
        self.restore(replace(now, tensors={**others, **trial.saved}, values=values))

    def _end_introduction(self) -> None:
        """Go on with what was accepted; name what was never tried."""
        curriculum = self._curriculum
        curriculum.close()
        self.progress.introduced = len(self.history)
        for i, state in enumerate(curriculum.states):
            if state in ("empty", "untried"):
                self._record_group(i)
        untried = curriculum.states.count("untried")
        if untried:
            tqdm.write(
                f"{untried} groups stay untried: no epoch is left for them before the last "
                f"{self.options.final_epochs}. Give more with --epochs, or fewer thresholds."
            )
        if not curriculum.accepted:
            tqdm.write(
                f"No face of another corpus was accepted; the rest of the run trains on "
                f"{self.config.data.corpora[0]} alone."
            )

    def _record_group(self, position: int) -> None:
        curriculum = self._curriculum
        group, verdict = curriculum.groups[position], curriculum.verdicts[position]
        state = curriculum.states[position]
        images = len(self.progress.members(group.shards))
        reason = {} if verdict is None else asdict(verdict)
        self.progress.record(
            "group",
            epoch=len(self.history),
            corpus=group.corpus,
            threshold=group.threshold,
            group=position,
            shards=len(group.shards),
            images=images,
            state=state,
            **{name: value for name, value in reason.items() if name != "accepted"},
        )
        if verdict is not None:
            low, high = verdict.interval
            tqdm.write(
                f"{state} {images} faces of {group.corpus} (relevance from {group.threshold}): "
                f"macro F1 on the target {verdict.control:.4f} without, {verdict.trial:.4f} with "
                f"(95 % {low:+.3f} to {high:+.3f})"
            )

    def _predict(self) -> Tensor:
        """Classify the target's validation faces by the averaged weights: int64 (N,)."""
        return predict_logits(self._averaged, self._held_out.faces, self._size).argmax(1)
