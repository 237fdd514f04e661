"""The labelling function: a classifier that labels the target, and learns which labels help."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from emotion.network import EmotionNet
from train.domains.bort2.hypergradient import hypergradient
from train.domains.bort2.pseudo_labels import ConfidenceThreshold

_MAX_NORM = 10.0

_NONE = -1.0


class Labeller:
    """A frozen copy of a network whose last stage and classifier are moved by the hyper-gradient.

    It always runs in evaluation mode: the statistics of its norm layers stay those of its training.

    Attributes:
        network: the copy.
        threshold: from which probability its labels are believed.
    """

    def __init__(self, network: EmotionNet, lr: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.threshold = ConfidenceThreshold()
        self._outer = _last_layers(self.network)
        for parameter in self._outer:
            parameter.requires_grad_()
        self._optimizer = torch.optim.SGD(self._outer, lr)

    def probabilities(self, inputs: Tensor) -> Tensor:
        """Label normalised crops (B, 3, size, size): float32 (B, 6), not calibrated."""
        with torch.no_grad():
            return self.logits(inputs).softmax(1)

    def logits(self, inputs: Tensor) -> Tensor:
        """Logits (B, 6) of normalised crops, with gradient."""
        return self.network(inputs).float()  # type: ignore[no-any-return]

    def learn(
        self, lower: Tensor, upper: Tensor, inner: Sequence[Tensor], *, step: float, terms: int
    ) -> float | None:
        """Do one step on the upper loss, see ``train.domains.bort2.hypergradient``.

        Returns:
            Norm of the hyper-gradient before it is clipped, or None if it is not finite; nothing
            is changed then.
        """
        gradients = hypergradient(lower, upper, inner, self._outer, step=step, terms=terms)
        norm = float(nn.utils.get_total_norm(gradients))
        if not torch.isfinite(torch.tensor(norm)):
            return None
        for parameter, gradient in zip(self._outer, gradients, strict=True):
            parameter.grad = gradient * min(1.0, _MAX_NORM / max(norm, 1e-12))
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return norm

    def state(self) -> dict[str, Tensor]:
        """Return what ``restore`` needs."""
        return {
            # No checkpoint holds what is no number; a class without a threshold yet has -1 there.
            "threshold": self.threshold.values.nan_to_num(_NONE),
            **{f"labeller.{name}": value for name, value in self.network.state_dict().items()},
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up the state that ``state`` gave."""
        known = state["threshold"]
        self.threshold.values = torch.where(known == _NONE, torch.nan, known)
        prefix = "labeller."
        self.network.load_state_dict(
            {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        )


def _last_layers(network: EmotionNet) -> list[nn.Parameter]:
    """Return the parameters of the last stage and of the classifier."""
    stages = [list(module.parameters()) for module in network.children()]
    last, classifier = [stage for stage in stages if stage][-2:]
    return [*last, *classifier]
