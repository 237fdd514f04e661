"""How good the weights of an epoch are: what chooses the epoch that is kept."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from emotion.config import COMMON
from emotion.network import EmotionNet
from train.faces.store import FaceStore, balanced_shares
from train.scoring.inference import pooled_features
from train.scoring.metrics import evaluate_probabilities
from train.scoring.temperature import fit_offsets
from train.training import distributed

_KEPT = ("accuracy", "macro_f1")


def judge(network: EmotionNet, validation: dict[str, FaceStore], size: int) -> dict[str, Any]:
    """Score weights on every validation split, as calibrated weights are scored in the end.

    Weights that prefer some class to others are luckier on one corpus than on another, which says
    nothing about them (docs/decisions/0023). So the offsets are fitted first that make up for it,
    for all corpora together, as calibration does.

    Args:
        network: in evaluation mode.
        validation: corpus -> faces, at least one of each.
        size: side in px at which it runs.

    Returns:
        ``accuracy`` and ``macro_f1``, means over the corpora, of the convention that is best by the
        sum of the two; its name as ``convention`` where there are several; and ``validation``:
        corpus -> its ``accuracy``, ``macro_f1`` and ``ece`` (at temperature 1), and ``own``, the
        first two of its own layer where it has one.
    """
    pooled = {}
    for corpus, faces in validation.items():
        part = pooled_features(network, distributed.share(faces.faces), size)
        pooled[corpus] = distributed.gathered(part)
    conventions = (COMMON, *network.heads)
    return _best({name: _score(network, pooled, validation, name) for name in conventions})


def judge_each(
    networks: dict[str, EmotionNet], validation: dict[str, FaceStore], size: int
) -> dict[str, Any]:
    """Score several networks, of which one will answer; returns what ``judge`` says of the best.

    Args:
        networks: convention -> plain network in evaluation mode.
        validation: see ``judge``.
        size: see ``judge``.
    """
    judged = {name: judge(network, validation, size) for name, network in networks.items()}
    return _best({name: result["validation"] for name, result in judged.items()})


def _best(scores: dict[str, dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return what ``judge`` does, of scores by convention and corpus."""
    means = {name: _mean(of_corpus) for name, of_corpus in scores.items()}
    best = max(scores, key=lambda name: sum(means[name].values()))
    for corpus in scores[best]:
        if corpus in scores:
            own = scores[corpus][corpus]
            scores[best][corpus]["own"] = {k: own[k] for k in _KEPT}
    named = {"convention": best} if len(scores) > 1 else {}
    return {**means[best], **named, "validation": scores[best]}


def _score(
    network: EmotionNet,
    pooled: dict[str, Tensor],
    validation: dict[str, FaceStore],
    convention: str,
) -> dict[str, dict[str, Any]]:
    logits = {name: network.read_out(part, convention).logits for name, part in pooled.items()}
    labels = {name: faces.labels for name, faces in validation.items()}
    weights = torch.cat([balanced_shares(part, 1) for part in labels.values()])
    together = torch.cat(list(logits.values())), torch.cat(list(labels.values()))
    offsets = fit_offsets(*together, weights)
    scores = {}
    for corpus, faces in validation.items():
        probabilities = (logits[corpus] + offsets).softmax(1).numpy()
        result = evaluate_probabilities(probabilities, faces.labels.numpy(), faces.classes)
        scores[corpus] = {name: result[name] for name in ("accuracy", "macro_f1", "ece")}
    return scores


def _mean(scores: dict[str, dict[str, Any]]) -> dict[str, float]:
    return {name: sum(score[name] for score in scores.values()) / len(scores) for name in _KEPT}
