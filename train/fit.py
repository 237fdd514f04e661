"""``python -m train fit``: one training run, from prepared faces to calibrated weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from emotion.files import write_text
from train.config.fit import FitConfig, to_json
from train.faces.store import read_neutral
from train.trainers import build_trainer
from train.training import distributed
from train.training.checks import check_claim, choose_device
from train.training.data import read_data
from train.training.lock import locked
from train.training.network import follow_weights
from train.training.precision import settle


def fit(config: FitConfig, data: Path, out: Path, *, resume: bool = False) -> dict[str, Any]:
    """Train a network and write the run to a folder.

    The folder gets ``fit.json`` (the config, see ``train.training.network.follow_weights``), what
    teachers answered if there are any (see ``train.training.distil``), ``log.jsonl`` (a line per
    epoch), ``checkpoints/`` and, after every epoch, ``config.json`` and ``model.safetensors``: the
    averaged weights of the last stage's best epoch by validation macro-F1 (before that stage, of
    the newest epoch).

    Args:
        config: what to train.
        data: folder that ``python -m train prepare`` wrote.
        out: folder of the run.
        resume: continue from the newest checkpoint in ``out``.

    Returns:
        The log line of the epoch whose weights were kept.

    Raises:
        ConfigError: if ``out`` holds another run or another process trains there, a run with
            another config is resumed, or the weights to start from have another architecture.
        DataError: if the data are missing, the loss is not a number, or ``out`` cannot be written.
        WeightsError: if the weights to start from cannot be used.
    """
    config = follow_weights(config)
    check_claim(config, out, resume=resume)
    with locked(out):
        return _fit(config, data, out, resume=resume)


def _fit(config: FitConfig, data: Path, out: Path, *, resume: bool) -> dict[str, Any]:
    if config.machine.threads:
        torch.set_num_threads(config.machine.threads)
    with distributed.joined(choose_device(config.machine.device)) as device:
        config = settle(config, out, device)
        distributed.wait()  # until every process has checked that the folder is free
        trainer = build_trainer(config, read_data(config, data), out, device)
        if not distributed.rank():
            write_text(out / "fit.json", json.dumps(to_json(config), indent=2) + "\n")
            for leftover in out.glob(".*.partial"):  # of a process that was killed while it wrote
                leftover.unlink(missing_ok=True)
        if resume:
            trainer.resume()
        while not trainer.finished:
            trainer.epoch()
        seven = config.data.neutral  # such weights are not served
        if not (seven or distributed.rank()):
            trainer.finish(read_neutral(data, config.data.corpora))
        return trainer.best
