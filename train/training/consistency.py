"""Erasing attention consistency: a guard against wrong labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from emotion.network import EmotionNet
from train.training.augment import erase
from train.training.precision import Precision, autocast
from train.training.step import Step, class_maps

ERASED_PROBABILITY = 0.5
"""Probability that the mirrored view loses a rectangle."""


class AttentionConsistency:
    """Keep what the network looks at the same when the face is mirrored and partly erased.

    The loss is the mean squared difference between the class activation maps of the crops and the
    mirrored-back maps of their mirror images, over all classes; the linear layer's weights get no
    gradient from it (Zhang et al., ECCV 2022, eq. 4). A face learnt by heart is remembered by
    details that erasing hides, so wrong labels are learnt less.

    Args:
        network: the one that is trained.
        weight: factor of the loss, 5 in the paper.
        precision: in which the mirrored crops are computed.
    """

    def __init__(
        self, network: EmotionNet, weight: float, precision: Precision = "float32"
    ) -> None:
        self._network, self._weight, self._precision = network, weight, precision

    def __call__(self, step: Step) -> Tensor:
        """Return the loss of one step, a scalar."""
        config = self._network.config
        # Black and white of a typical crop, where each is standardised by itself.
        grey = (0 - config.mean) / config.std, (1 - config.mean) / config.std
        mirrored = step.inputs[:, 0].flip(-1)
        mirrored = erase(mirrored, ERASED_PROBABILITY, grey, step.generator)
        inputs = mirrored[:, None].expand(-1, 3, -1, -1)
        with autocast(inputs.device, self._precision):
            features = self._network.features(inputs.contiguous(memory_format=torch.channels_last))
        straight, back = (class_maps(seen, self._network.fc) for seen in (step.features, features))
        return self._weight * F.mse_loss(straight, back.flip(-1))
