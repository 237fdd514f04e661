"""Progressive adaptation: one target, sources that enter shard by shard and may be turned away.

After P-MSDA (Zeeshan et al., IEEE TAC 2025), with shards of faces in place of persons, an absolute
measure of relevance, and a gate.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from emotion.files import write_text
from emotion.network import EmotionNet
from train.config import FitConfig
from train.data import TrainingData
from train.domains.alignment import AlignmentLoss
from train.domains.curriculum import Curriculum
from train.domains.gate import paired_bootstrap
from train.domains.planning import plan, refresh_memory
from train.domains.progress import Progress, Trial
from train.loop import Trainer

LOG = "domains.jsonl"
"""File of a run with a line for every shard, group and choice of the memory."""

_UNDONE = ("network.", "average.", "optimizer.")


class ProgressiveTrainer(Trainer):
    """Trains on the target, then lets the sources' shards in group by group, on trial.

    Everything that is decided between two epochs follows from the checkpoint before it, so a run
    that was killed decides the same again.

    Args:
        config: what to train; its first corpus is the target, the others enter in their order.
        network: its weights before the first step.
        data: faces of all corpora.
        out: folder of the run.
    """

    def __init__(
        self, config: FitConfig, network: EmotionNet, data: TrainingData, out: Path
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
        super().__init__(config, network, self.progress, data.validation, out, [alignment])
        self._held_out = data.validation[config.data.corpora[0]]

    @property
    def best(self) -> dict[str, Any]:
        """The line of history whose weights are kept; one before the last trial's end only as long
        as there is no other.
        """
        last = self.config.schedule.sizes[-1]
        final = [line for line in self.history[self._end_of_trials :] if line["size"] == last]
        return max(final or self.history[-1:], key=lambda line: line["macro_f1"])

    @property
    def _end_of_trials(self) -> int:
        """Epoch before which every trial ends; until then the size of the crops does not change."""
        schedule = self.config.schedule
        return min(schedule.epochs[0], schedule.total_epochs - self.options.final_epochs)

    def epoch(self) -> None:
        """Decide what is due, then train the next epoch."""
        if len(self.history) >= self.options.target_epochs:
            self.settle()
        super().epoch()

    def settle(self) -> None:
        """Plan the curriculum, decide on a trial that is over, and begin the next one."""
        progress, finished = self.progress, len(self.history)
        if progress.curriculum is None:
            plan(progress, self.options, self.average.network, self._size)
            self._pass_over_empty()
        curriculum = progress.curriculum
        assert curriculum is not None
        if progress.trial and finished >= progress.trial.start + self.options.trial_epochs:
            self._decide(curriculum, progress.trial)
        if progress.trial is None and curriculum.current is not None:
            if finished + self.options.trial_epochs <= self._end_of_trials:
                self._begin_trial()
            else:
                self._close(curriculum)
        lines = (json.dumps(event) + "\n" for event in progress.events)
        write_text(self.out / LOG, "".join(lines))

    @property
    def _size(self) -> int:
        """Side in px of the crops until the trials end."""
        return self.config.schedule.sizes[0]

    def _begin_trial(self) -> None:
        progress = self.progress
        if progress.predictions is None:
            progress.predictions = self._predict()
        before = {
            name: tensor.detach().clone()
            for name, tensor in self.snapshot().tensors.items()
            if name.startswith(_UNDONE)
        }
        progress.trial = Trial(len(self.history), before, self.average.updates)

    def _decide(self, curriculum: Curriculum, trial: Trial) -> None:
        """Keep what the trial trained, or put back every weight that it changed."""
        progress, options = self.progress, self.options
        current = curriculum.current
        assert current is not None
        assert progress.predictions is not None
        after = self._predict()
        verdict = paired_bootstrap(
            self._held_out.labels.numpy(),
            progress.predictions.numpy(),
            after.numpy(),
            tolerance=options.tolerance,
            risk=options.risk,
        )
        if not verdict.accepted:
            self._undo(trial)
        progress.trial = None
        curriculum.decide(verdict)
        self._record_group(curriculum, current)
        if verdict.accepted:
            progress.predictions = after
            refresh_memory(progress, options, self.average.network, self._size)
