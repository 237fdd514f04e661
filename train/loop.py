"""Training: epochs, validation, checkpoints, and the weights that are kept."""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from emotion.errors import ConfigError, DataError
from emotion.files import write_text
from emotion.labels import LABELS
from emotion.network import EmotionNet, NetworkConfig, normalise
from train import checkpoint
from train.augment import augment, resize
from train.calibrate import ask, calibrate, write_calibration
from train.config import FitConfig, read_config, to_json
from train.losses import class_weights
from train.metrics import evaluate_probabilities
from train.optim import WeightAverage, build_optimizer, learning_rate
from train.prepared import HELD_OUT, VALIDATION, VALIDATION_SPLITS
from train.store import (
    FaceStore,
    concatenate,
    hold_out,
    read_neutral,
    read_split,
    shuffled_batches,
)


def read_data(config: FitConfig, data: Path) -> tuple[FaceStore, dict[str, FaceStore]]:
    """Read the training faces of all corpora, and the validation faces of each.

    Raises:
        DataError: if a corpus was not prepared in ``data``.
    """
    training: list[FaceStore] = []
    validation: dict[str, FaceStore] = {}
    for corpus in config.corpora:
        faces = read_split(data, corpus, "train")
        if corpus not in VALIDATION_SPLITS:
            faces, _ = hold_out(faces, HELD_OUT, seed=0)
        validation[corpus] = read_split(data, corpus, VALIDATION)
        training.append(faces)
    return concatenate(training), validation


def fit(config: FitConfig, data: Path, out: Path, *, resume: bool = False) -> dict[str, Any]:
    """Train a network and write the run to a folder.

    The folder gets ``fit.json`` (this config), ``log.jsonl`` (a line per epoch), ``checkpoints/``
    and, after every epoch, ``config.json`` and ``model.safetensors``: the averaged weights of the
    last stage's best epoch by validation macro-F1 (before that stage, of the newest epoch).

    Args:
        config: what to train.
        data: folder that ``python -m train prepare`` wrote.
        out: folder of the run.
        resume: continue from the newest checkpoint in ``out``.

    Returns:
        The log line of the epoch whose weights were kept.

    Raises:
        ConfigError: if ``out`` holds another run, or a run with another config is resumed.
        DataError: if the data are missing, the loss is not a number, or ``out`` cannot be written.
    """
    _claim(config, out, resume=resume)
    if config.threads:
        torch.set_num_threads(config.threads)
    training, validation = read_data(config, data)
    run = _Run(config, training, validation, out)
    newest = checkpoint.load_newest(out / "checkpoints") if resume else None
    if newest:
        run.restore(newest)
    for epoch in range(run.finished, config.total_epochs):
        run.epoch(epoch)
    run.finish(read_neutral(data, config.corpora))
    return run.best


class _Run:
    """The state of one run: network, optimiser, average and history."""

    def __init__(
        self, config: FitConfig, training: FaceStore, validation: dict[str, FaceStore], out: Path
    ) -> None:
        self.config, self.training, self.validation, self.out = config, training, validation, out
        self.finished = 0
        self.history: list[dict[str, Any]] = []
        self.steps = len(training) // config.batch_size
        if not self.steps:
            raise DataError(
                f"{len(training)} training images are fewer than one batch of {config.batch_size}; "
                "choose a smaller --batch-size."
            )
        grey = training.faces.double() / 255
        torch.manual_seed(config.seed)
        self.network = EmotionNet(
            NetworkConfig(
                activation=config.activation,
                max_pool=config.max_pool,
                widths=config.widths,
                block_dropout=config.block_dropout,
                head_dropout=config.head_dropout,
                mean=round(float(grey.mean()), 4),
                std=round(float(grey.std()), 4),
                trained_on=tuple(f"{corpus}/train" for corpus in config.corpora),
            )
        ).to(memory_format=torch.channels_last)
        self.step_network: nn.Module = self.network
        if config.compile:
            self.step_network = torch.compile(self.network, dynamic=False)  # type: ignore[assignment]
        self.average = WeightAverage(self.network, config.ema_decay)
        self.optimizer = build_optimizer(self.network, config)
        counts = training.counts(len(LABELS))
        self.weights = class_weights(counts, config.class_weights)

    @property
    def best(self) -> dict[str, Any]:
        """The line of history whose weights are kept."""
        last_stage = [line for line in self.history if line["size"] == self.config.sizes[-1]]
        return max(last_stage or self.history[-1:], key=lambda line: line["macro_f1"])

    def epoch(self, epoch: int) -> None:
        """Train one epoch, validate, and write checkpoint, log and weights."""
        start = time.monotonic()
        size = self.config.size_at(epoch)
        if epoch and size != self.config.size_at(epoch - 1):
            # Weights and norm statistics of another size would linger in the average for epochs.
            self.average = WeightAverage(self.network, self.config.ema_decay)
        loss = self._train(epoch, size)
        seconds = time.monotonic() - start
        line = {
            "epoch": epoch + 1,
            "size": size,
            "loss": loss,
            "seconds": round(seconds, 1),
            "images_per_second": round(self.steps * self.config.batch_size / seconds, 1),
            **self._validate(size),
        }
        self.history.append(line)
        self.finished = epoch + 1
        if self.best is line:
            self._export()
        write_text(self.out / "log.jsonl", "".join(json.dumps(x) + "\n" for x in self.history))
        checkpoint.save(self.out / "checkpoints", self._snapshot())
        tqdm.write(
            f"epoch {epoch + 1}/{self.config.total_epochs} at {size} px: loss {loss:.4f}, "
            f"validation accuracy {line['accuracy']:.4f}, macro F1 {line['macro_f1']:.4f} "
            f"({line['images_per_second']} images/s)"
        )

    def _train(self, epoch: int, size: int) -> float:
        # Order, augmentation and dropout depend on (seed, epoch) only, so that a resumed run
        # repeats exactly what an uninterrupted one does.
        seed = self.config.seed * 100_003 + epoch
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        self.network.train()
        total = 0.0
        batches = shuffled_batches(self.training, self.config.batch_size, generator)
        bar = tqdm(batches, total=self.steps, desc=f"epoch {epoch + 1} ({size} px)", leave=False)
        for index, (faces, labels) in enumerate(bar):
            step = epoch * self.steps + index
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(step, self.steps, self.config)
            crops = augment(faces, size, self.config.erase, generator)
            inputs = normalise(crops, self.network.config)
            with _autocast():
                logits = self.step_network(inputs.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(
                logits.float(),
                labels,
                weight=self.weights,
                label_smoothing=self.config.label_smoothing,
            )
            if not torch.isfinite(loss):
                raise DataError(
                    f"The loss became {loss.item()} in batch {index} of epoch {epoch + 1}; the "
                    "last checkpoint is kept. Lower --lr, or check the prepared images."
                )
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
            self.optimizer.step()
            self.average.update(self.network)
            total += loss.item()
            if index % 20 == 0:
                bar.set_postfix(loss=f"{total / (index + 1):.3f}")
        return total / self.steps

    def _validate(self, size: int) -> dict[str, Any]:
        """Score the averaged weights on every validation split; the means come first."""
        scores = {}
        for corpus, faces in self.validation.items():
            logits = predict_logits(self.average.network, faces.faces, size)
            result = evaluate_probabilities(logits.softmax(1).numpy(), faces.labels.numpy())
            scores[corpus] = {k: result[k] for k in ("accuracy", "macro_f1", "ece")}
        mean = {
            name: sum(score[name] for score in scores.values()) / len(scores)
            for name in ("accuracy", "macro_f1")
        }
        return {**mean, "validation": scores}

    def _export(self) -> None:
        """Write the averaged weights in half precision, as a folder that SPEC accepts."""
        network = EmotionNet(self.network.config).half()
        network.load_state_dict(self.average.network.state_dict())
        save_network(network, self.out)

    def finish(self, neutral: dict[str, FaceStore]) -> None:
        """Calibrate the kept weights on the validation splits and on neutral faces."""
        network = EmotionNet.from_pretrained(str(self.out))
        predict = partial(predict_logits, network, size=self.config.sizes[-1])
        write_calibration(self.out, calibrate(ask(predict, self.validation, neutral)))

    def _snapshot(self) -> checkpoint.Checkpoint:
        tensors = {
            **{f"network.{k}": v for k, v in self.network.state_dict().items()},
            **{f"average.{k}": v for k, v in self.average.network.state_dict().items()},
            **checkpoint.pack_optimizer(self.optimizer),
        }
        values = {"history": self.history, "updates": self.average.updates}
        return checkpoint.Checkpoint(self.finished, tensors, values)

    def restore(self, saved: checkpoint.Checkpoint) -> None:
        """Continue where a checkpoint was written."""
        for prefix, module in (("network.", self.network), ("average.", self.average.network)):
            state = {k[len(prefix) :]: v for k, v in saved.tensors.items() if k.startswith(prefix)}
            module.load_state_dict(state)
        checkpoint.unpack_optimizer(self.optimizer, saved.tensors)
        self.average.updates = saved.values["updates"]
        self.history = saved.values["history"]
        self.finished = saved.epoch


def predict_logits(network: nn.Module, faces: Tensor, size: int, batch_size: int = 128) -> Tensor:
    """Classify prepared faces.

    Args:
        network: an ``EmotionNet`` in evaluation mode.
        faces: uint8 (N, 64, 64).
        size: side in px at which the network runs.
        batch_size: faces per forward pass.

    Returns:
        float32 (N, 6) logits, at temperature 1.
    """
    assert isinstance(network.config, NetworkConfig)
    parts = []
    with torch.inference_mode(), _autocast():
        for batch in torch.split(faces, batch_size):
            inputs = normalise(resize(batch, size), network.config)
            parts.append(network(inputs.contiguous(memory_format=torch.channels_last)).float())
    return torch.cat(parts)


def save_network(network: EmotionNet, folder: Path) -> None:
    """Write ``config.json`` and ``model.safetensors`` so that no reader sees half of them."""
    partial = folder / ".partial-model"
    network.save_pretrained(partial)
    for name in ("config.json", "model.safetensors"):
        (partial / name).replace(folder / name)
    for leftover in partial.iterdir():
        leftover.unlink()
    partial.rmdir()


def _autocast() -> AbstractContextManager[Any]:
    # oneDNN reports bf16 only where it is faster than fp32; elsewhere the context does nothing.
    supported = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.autocast("cpu", torch.bfloat16, enabled=supported)


def _claim(config: FitConfig, out: Path, *, resume: bool) -> None:
    """Check that ``out`` may be written, and save the config."""
    saved = out / "fit.json"
    if saved.exists():
        if not resume:
            raise ConfigError(f"{out} already holds a run; add --resume, or choose another --out.")
        if replace(read_config(saved), threads=config.threads) != config:
            raise ConfigError(
                f"The run in {out} was started with other options; repeat those of {saved}, or "
                "choose another --out."
            )
        return
    write_text(saved, json.dumps(to_json(config), indent=2) + "\n")
