"""What a labelling function says about unlabelled faces, and how far it is believed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from emotion.labels import LABELS

_START_AT_MOST = 0.95
_DECAY = 0.999


class ConfidenceThreshold:
    """The probability from which a pseudo-label is believed, one for each class.

    Begins, at the first batch that predicts a class, at mean + deviation of that class's highest
    probabilities, and relaxes towards mean - deviation (Deng et al., BMVC 2022). With one common
    threshold the student would hardly ever see the classes of which the labeller is less sure.

    Attributes:
        values: float32 (6,); NaN for a class that was never predicted.
    """

    def __init__(self) -> None:
        self.values = torch.full((len(LABELS),), torch.nan)

    def update(self, probabilities: Tensor) -> None:
        """Take the labeller's probabilities (B, 6) of a batch into account."""
        confidence, predicted = probabilities.max(1)
        for label in set(predicted.tolist()):
            own = confidence[predicted == label]
            mean, deviation = own.mean(), own.std(correction=0)
            if self.values[label].isnan():
                self.values[label] = (mean + deviation).clamp_max(_START_AT_MOST)
            else:
                self.values[label] = self.values[label].lerp(mean - deviation, 1 - _DECAY)

    def believed(self, probabilities: Tensor) -> Tensor:
        """Return which pseudo-labels of (B, 6) are believed, bool (B,)."""
        confidence, predicted = probabilities.max(1)
        return confidence >= self.values[predicted]


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each row with target probabilities.

    Args:
        logits: float (B, 6).
        targets: float (B, 6), rows sum to 1; their gradient is kept.

    Returns:
        float (B,), >= 0.
    """
    return -(targets * logits.log_softmax(1)).sum(1)


def sample_labels(logits: Tensor) -> Tensor:
    """Draw one-hot labels (B, 6) whose gradient reaches the logits.

    Straight-through Gumbel-softmax at temperature 1 (Jang et al., ICLR 2017).
    """
    uniform = torch.rand_like(logits).clamp_min(1e-20)
    soft = (logits - (-uniform.log()).log()).softmax(1)
    hard = F.one_hot(soft.argmax(1), logits.shape[1]).to(soft.dtype)
    return hard - soft.detach() + soft


def pseudo_label_loss(logits: Tensor, targets: Tensor, believed: Tensor) -> Tensor:
    """Cross-entropy with the believed pseudo-labels, divided by the size of the whole batch.

    Args:
        logits: float (B, 6).
        targets: float (B, 6), the pseudo-labels, one-hot.
        believed: bool (B,).
    """
    return (soft_cross_entropy(logits, targets) * believed).mean()


def contradicts(given: Tensor, targets: Tensor, believed: Tensor) -> Tensor:
    """Return where a believed pseudo-label (B, 6) differs from the given label (B,), bool (B,)."""
    return believed & (targets.argmax(1) != given)
