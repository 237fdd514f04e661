"""Training: epochs, validation, checkpoints, and the weights that are kept."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from emotion.config import COMMON
from emotion.errors import ConfigError
from emotion.network import EmotionNet, normalise
from train.config.fit import FitConfig
from train.faces.store import FaceStore
from train.scoring.calibrate import ask
from train.scoring.calibrate_network import calibrate_network, write_calibration
from train.scoring.graph import write_graph
from train.scoring.history import write_history
from train.scoring.inference import predict, save_network
from train.training import checkpoint, distributed
from train.training.augment import augment, mix
from train.training.checks import warn_of_stacking
from train.training.consistency import AttentionConsistency
from train.training.device import compiles, generators, send
from train.training.judge import judge, judge_each
from train.training.optim import WeightAverage, build_optimizer, learning_rate
from train.training.own_norms import conventions, folded, show_corpora, written
from train.training.precision import autocast, resolve
from train.training.sampling import BatchSource
from train.training.step import ExtraLoss, FeaturesAndScores, Step
from train.training.supervision import Supervision
from train.training.tally import Tally

_CPU = torch.device("cpu")
_READ_EVERY = 20  # steps: whoever reads a loss waits for the device


class Trainer:
    """One run: network, optimiser, weight average, source of batches and history.

    Args:
        config: what to train.
        network: its weights before the first step.
        source: chooses the faces of each batch.
        validation: corpus -> faces that choose the kept epoch.
        out: folder of the run.
        extras: terms added to the classification loss.
        device: where to train.
        supervised: whether the faces' labels are learnt; if not, the extras are the whole loss.

    Raises:
        DataError: if a class has no training image.
    """

    def __init__(
        self,
        config: FitConfig,
        network: EmotionNet,
        source: BatchSource,
        validation: dict[str, FaceStore],
        out: Path,
        extras: Sequence[ExtraLoss] = (),
        device: torch.device = _CPU,
        *,
        supervised: bool = True,
    ) -> None:
        self.config, self.source, self.validation, self.out = config, source, validation, out
        self.extras = list(extras)
        self.history: list[dict[str, Any]] = []
        self._batch, self._tally, self._seconds = 0, Tally(), 0.0
        self.device, self._faces = device, source.store.to(device)
        self._precision = resolve(config.machine.precision, device)
        self._precisions: list[str] = [self._precision]  # of the running epoch
        # In one call: tensors of a device without values cannot be converted in place.
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        distributed.check_batch_size(config.data.batch_size)
        if distributed.count() > 1:
            distributed.synchronise_norms(self.network)
        if config.objective.attention_consistency:
            weight = config.objective.attention_consistency
            self.extras.append(AttentionConsistency(self.network, weight, self._precision))
        self._forward = distributed.parallel(FeaturesAndScores(self.network))
        if compiles(config.machine.compile, device):
            self._forward = torch.compile(self._forward, dynamic=False)  # type: ignore[assignment]
        self.average = WeightAverage(self.network, config.optimizer.ema_decay)
        self.optimizer = build_optimizer(self.network, config.optimizer)
        self.supervision = Supervision(config, source) if supervised else None
        warn_of_stacking(config)

    @property
    def finished(self) -> bool:
        """Whether every epoch is done, or the run stops early."""
        schedule = self.config.schedule
        waited = len(self.history) - self.best["epoch"] if self.history else 0
        last_stage = self.clock > schedule.total_epochs - schedule.epochs[-1]
        stops = last_stage and 0 < schedule.early_stopping <= waited
        return stops or self.clock >= schedule.total_epochs

    @property
    def clock(self) -> int:
        """Finished epochs of the schedule; rates, sizes and random numbers follow it."""
        return len(self.history)

    @property
    def best(self) -> dict[str, Any]:
        """The line of history whose weights are kept."""
        last = self.config.schedule.sizes[-1]
        last_stage = [line for line in self.history if line["size"] == last]
        return max(last_stage or self.history[-1:], key=lambda line: line["macro_f1"])

    def epoch(self) -> None:
        """Train the next epoch, validate, and write checkpoint, log and weights."""
        epoch, schedule = self.clock, self.config.schedule
        size = schedule.size_at(epoch)
        if not self._batch:
            self.source.begin_epoch(epoch)
            if epoch and size != schedule.size_at(epoch - 1):
                # Weights and norm statistics of another size would linger for epochs.
                self.average = WeightAverage(self.network, self.config.optimizer.ema_decay)
        self._train(epoch, size)
        steps = self.source.steps
        line = {
            "epoch": len(self.history) + 1,
            "size": size,
            "precision": " then ".join(self._precisions),
            "loss": self._tally.total / steps,
            "seconds": round(self._seconds, 1),
            "images_per_second": round(steps * self.config.data.batch_size / self._seconds, 1),
            **self.judged(size),
        }
        self.history.append(line)
        self._batch, self._tally, self._seconds = 0, Tally(), 0.0
        self._precisions = [self._precision]
        if distributed.rank():
            return
        if self.best is line:
            self._export()
        write_history(self.out, self.history)
        self._save()
        tqdm.write(
            f"epoch {epoch + 1}/{schedule.total_epochs} at {size} px: loss {line['loss']:.4f}, "
            f"validation accuracy {line['accuracy']:.4f}, macro F1 {line['macro_f1']:.4f} "
            f"({line['images_per_second']} images/s)"
        )

    def _train(self, epoch: int, size: int) -> None:
        """Do the rest of an epoch, with a checkpoint every ``checkpoint_minutes``."""
        self.network.train()
        steps, done = self.source.steps, self._batch
        started = saved = time.monotonic()
        spent, interval = self._seconds, 60 * self.config.machine.checkpoint_minutes
        title = f"epoch {epoch + 1} ({size} px)"
        quiet = distributed.rank() > 0
        with tqdm(total=steps, initial=done, desc=title, leave=False, disable=quiet) as bar:
            for index in range(done, steps):
                self.step(epoch, index, size)
                due, last = time.monotonic() - saved > interval > 0, index + 1 == steps
                if due or last or index % _READ_EVERY == 0:
                    bar.set_postfix(loss=f"{self._tally.read() / (index + 1):.3f}")
                self._batch, self._seconds = index + 1, spent + time.monotonic() - started
                if due and not last:
                    self._save()
                    saved = time.monotonic()
                bar.update()

    def step(self, epoch: int, index: int, size: int) -> Tensor:
        """Do step ``index`` of an epoch, both counted from 0, on crops of ``size`` px.

        On a GPU it waits for nothing that it computes there: a loss that is not a number stops the
        run when it is next read, before anything is written.

        Returns:
            The loss, a scalar on the device.

        Raises:
            DataError: on the CPU, if loss or gradient is not a number; no weight has changed then.
        """
        config = self.config
        # Augmentation and dropout depend on (seed, epoch, batch) only, so that a resumed run
        # repeats what an uninterrupted one does, and no random state needs saving.
        seed = (config.seed * 100_003 + epoch) * 1_000_003 + index
        torch.manual_seed(seed + distributed.rank())
        random, decide = generators(self.device, seed)
        scores = [line["macro_f1"] for line in self.history]
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(epoch, index, self.source.steps, config, scores)
        self.network.draw_grid(decide)
        rows = self.source.rows(index)
        faces = self._faces.select(send(rows, self.device))
        crops = augment(faces.faces, size, config.augment, random)
        crops, faces = mix(crops, faces, config.augment, random, decide)
        inputs = normalise(distributed.share(crops), self.network.config)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        if faces.corpus is not None:
            show_corpora(self.network, distributed.share(faces.corpus), random)
        with autocast(self.device, self._precision):
            features, scores = self._forward(inputs)
        scores = scores.float()
        loss: Tensor = scores.logits.new_zeros(())
        if self.supervision:
            loss = self.supervision(scores, faces, epoch)
        for extra in self.extras:
            step = Step(distributed.share(rows), inputs, features, scores.logits, random)
            loss = loss + extra(step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.optimizer.clip_norm)
        value = distributed.mean(loss)
        self._tally.add(epoch, index, value, norm)
        if self.device.type == "cpu":  # where reading costs nothing
            self._tally.read()
        self.optimizer.step()
        self.average.update(self.network)
        return value

    def judged(self, size: int) -> dict[str, Any]:
        """Score the averaged weights on the validation splits, see ``train.training.judge``."""
        average = self.average.network
        names = conventions(average, self.config.data.corpora)
        if not names:
            return judge(average, self.validation, size)
        networks = {name: folded(average, place) for place, name in enumerate(names)}
        return judge_each(networks, self.validation, size)

    def _export(self) -> None:
        """Write the averaged weights in half precision, as a folder that SPEC accepts."""
        average, corpora = self.average.network, self.config.data.corpora
        network = written(average, corpora, self.best.get("convention", COMMON))
        save_network(network.half(), self.out)

    def finish(self, neutral: Mapping[str, FaceStore] | None = None) -> None:
        """Calibrate the kept weights on the validation splits; lay their graph beside them.

        Args:
            neutral: corpus -> neutral faces, on which threshold and bound are measured.
        """
        network = EmotionNet.from_pretrained(str(self.out))
        answer = partial(predict, network, size=self.config.schedule.sizes[-1])
        asked = partial(ask, answer, self.validation, neutral or {})
        write_calibration(self.out, *calibrate_network(network, asked))
        write_graph(self.out)

    def _save(self) -> None:
        if not distributed.rank():
            checkpoint.save(self.out / "checkpoints", self.snapshot())

    def snapshot(self) -> checkpoint.Checkpoint:
        """Return the whole state of the run; its tensors are the live ones, not copies."""
        tensors = {
            **{f"network.{k}": v for k, v in self.network.state_dict().items()},
            **{f"average.{k}": v for k, v in self.average.network.state_dict().items()},
            **{f"source.{k}": v for k, v in self.source.state().items()},
            **checkpoint.pack_optimizer(self.optimizer),
        }
        values = {
            "history": self.history,
            "updates": self.average.updates,
            "loss": self._tally.total,
            "seconds": self._seconds,
            "precisions": self._precisions,
        }
        return checkpoint.Checkpoint(len(self.history), tensors, values, self._batch)

    def restore(self, saved: checkpoint.Checkpoint) -> None:
        """Continue where a snapshot was taken."""
        self.network.load_state_dict(_under("network.", saved.tensors))
        self.average.network.load_state_dict(_under("average.", saved.tensors))
        self.source.restore(_under("source.", saved.tensors))
        checkpoint.unpack_optimizer(self.optimizer, saved.tensors)
        self.average.updates = saved.values["updates"]
        self.history = list(saved.values["history"])
        self._batch = saved.batch
        self._tally, self._seconds = Tally(saved.values["loss"]), saved.values["seconds"]

    def resume(self) -> None:
        """Continue from the newest checkpoint in the run's folder, if there is one.

        Raises:
            ConfigError: if it belongs to another network or optimiser.
            DataError: if it was written with other data.
        """
        newest = checkpoint.load_newest(self.out / "checkpoints")
        if newest:
            try:
                self.restore(newest)
                self._note_precision(newest)
            except (RuntimeError, KeyError, IndexError):
                raise ConfigError(
                    f"The checkpoint {newest.name} in {self.out} belongs to another network or "
                    "optimiser than fit.json says; choose another --out."
                ) from None
        distributed.wait()

    def _note_precision(self, saved: checkpoint.Checkpoint) -> None:
        """Say from which epoch a run that goes on trains in another precision."""
        before = saved.values.get("precisions", [self._precision])
        if before[-1] == self._precision:
            self._precisions = list(before)
            return
        self._precisions = [*before, self._precision] if saved.batch else [self._precision]
        if not (distributed.rank() or self.finished):
            tqdm.write(
                f"It trained in {before[-1]} until now, and in {self._precision} from epoch "
                f"{len(self.history) + 1} on."
            )


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
