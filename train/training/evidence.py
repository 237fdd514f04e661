"""Evidence transfer: what speaks for a class stays where trained weights find it on the face."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from emotion.errors import ConfigError
from emotion.network import EmotionNet
from emotion.weights import load_weights
from train.config.fit import FitConfig
from train.training.precision import autocast, resolve
from train.training.step import Step, class_maps

_SAME = ("backbone", "labels", "stem", "max_pool", "zoom", "standardise")


class EvidenceTransfer:
    """Let the class activation maps of a network resemble those of trained weights.

    A unit of the last map sees most of the face. So a long training may gather all evidence in its
    middle, where a map says nothing any more, and answer as well. The loss is one minus the cosine
    of the two networks' maps of a crop, over all classes and places. Before that each class's mean
    over the places is taken out, which its logit is, and each place's mean over the classes, which
    no softmax sees: the answers themselves are left to the labels. It is attention transfer
    (Zagoruyko and Komodakis, ICLR 2017, eq. 2) with signed evidence in place of attention. The
    linear layer's weights get no gradient from it.

    Attributes:
        trained_on: the splits that the trained weights have seen.

    Args:
        network: the one that is trained.
        config: names the trained weights, the loss's factor and the precision.
        device: where it is trained.

    Raises:
        ConfigError: if their maps cannot be compared with the network's.
        WeightsError: if they cannot be used.
    """

    def __init__(self, network: EmotionNet, config: FitConfig, device: torch.device) -> None:
        spec, self._weight = config.objective.evidence_from, config.objective.evidence_weight
        self._network, self._precision = network, resolve(config.machine.precision, device)
        self._model = load_weights(spec).requires_grad_(False)
        self._model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.trained_on = self._model.config.trained_on
        for name in _SAME:
            has, asked = getattr(self._model.config, name), getattr(network.config, name)
            if has != asked:
                raise ConfigError(
                    f"The maps of {spec} cannot be compared: it has {name} {has}, and the network "
                    f"{asked}; choose other weights for --evidence-from."
                )

    def __call__(self, step: Step) -> Tensor:
        """Return the loss of one step, a scalar."""
        self._model.share_grid(self._network)
        with autocast(step.inputs.device, self._precision), torch.no_grad():
            features = self._model.features(step.inputs)
        ours = _centred(class_maps(step.features, self._network.fc))
        theirs = _centred(class_maps(features, self._model.head))
        return self._weight * (1 - F.cosine_similarity(ours.flatten(1), theirs.flatten(1))).mean()


def _centred(maps: Tensor) -> Tensor:
    """Take each class's and each place's mean out of maps (B, 6, h, w)."""
    maps = maps - maps.mean((2, 3), keepdim=True)
    return maps - maps.mean(1, keepdim=True)
