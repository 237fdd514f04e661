"""Which trainer a config asks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from tqdm import tqdm

from emotion.errors import ConfigError
from train.config.fit import FitConfig
from train.domains.bort2.clips import read_clips
from train.domains.bort2.trainer import Bort2Trainer
from train.domains.progressive.trainer import ProgressiveTrainer
from train.training import distributed
from train.training.data import TrainingData
from train.training.distil import distil
from train.training.evidence import EvidenceTransfer
from train.training.network import build_network
from train.training.sampling import build_source
from train.training.trainer import Trainer


def build_trainer(
    config: FitConfig, data: TrainingData, out: Path, device: torch.device
) -> Trainer:
    """Build the trainer of a run, before its first step.

    Args:
        config: what to train.
        data: faces of the corpora.
        out: folder of the run.
        device: where to train.

    Raises:
        ConfigError: if options contradict each other, or the weights to start from have another
            architecture.
        DataError: if there are too few faces, a class has none, or what teachers answer cannot be
            written.
        WeightsError: if the weights to start from cannot be used.
    """
    if config.adaptation.method != "none":
        _check(config)
    if config.architecture.own_norms != "none" and (
        distributed.count() > 1 or config.adaptation.method != "none"
    ):
        raise ConfigError(
            "--own-norms trains in one process and without a method of adaptation; leave it out."
        )
    if config.adaptation.method == "bort2":
        return _bort2(config, data, out, device)
    network = build_network(config, data)  # before teachers take minutes: --init may not fit
    extras = [EvidenceTransfer(network, config, device)] if config.objective.evidence_from else []
    data = distil(config, data, out, device)  # its splits are also those that teachers have seen
    others = [split for extra in extras for split in extra.trained_on]
    seen = dict.fromkeys((*network.config.trained_on, *data.splits, *others))
    network.config = replace(network.config, trained_on=tuple(seen))
    if config.adaptation.method == "progressive":
        if len(data.parts) > 1:
            return ProgressiveTrainer(config, network, data, out, device)
        tqdm.write(
            f"{config.data.corpora[0]} is the only corpus, so there is nothing to bring in "
            "progressively; training the baseline on it."
        )
    source = build_source(data.training, data.parts, config.data, config.seed)
    return Trainer(config, network, source, data.validation, out, extras, device)


def _check(config: FitConfig) -> None:
    """Refuse options that the method would silently ignore or break."""
    method = config.adaptation.method
    if distributed.count() > 1:
        raise ConfigError(f"{method} trains in one process; start it without torchrun.")
    if config.data.sampling != "natural" or config.data.mixture:
        raise ConfigError(
            f"{method} chooses its batches itself; leave out --sampling and --mixture."
        )
    if config.data.neutral or config.data.outlier_exposure:
        raise ConfigError(
            f"{method} knows the six expressions alone; leave out --neutral and --outlier-exposure."
        )
    if config.objective.calm_weight or config.architecture.heads:
        raise ConfigError(
            f"{method} trains the common layer for its target; leave out --calm-weight and --heads."
        )
    if method == "progressive" and config.schedule.schedule == "plateau":
        raise ConfigError(
            "progressive compares branches at the same rates; choose another --schedule."
        )
    if config.data.teachers or config.objective.evidence_from:
        raise ConfigError(
            f"{method} has targets of its own; leave out --teachers and --evidence-from."
        )
    if config.augment.mixup or config.augment.cutmix:
        raise ConfigError(
            f"{method} needs to know whose face each crop is; leave out --mixup and --cutmix."
        )


def _bort2(config: FitConfig, data: TrainingData, out: Path, device: torch.device) -> Trainer:
    if not config.architecture.init:
        raise ConfigError(
            "bort2 needs trained weights to start from: --init embedded, or the folder of a run."
        )
    if config.bort2.mode == "video":
        if not config.bort2.clips:
            raise ConfigError("Name the folder of the person's videos and pictures: --clips PATH.")
        clips = read_clips(Path(config.bort2.clips), data.zoom)
        data = replace(data, training=clips, splits=("clips/all",), parts={})
    return Bort2Trainer(config, build_network(config, data), data, out, device)
