"""A body in which each corpus has something of its own in the norms; what is served has not.

Each corpus labels in its own way. A linear layer for each (``--heads``) leaves the body to all of
them alike. Here the body knows whose face it sees, in one of two ways, and what is written for one
corpus is a plain network: both ways end in statistics of norms.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emotion.network import EmotionNet

Own = Literal["offsets", "statistics"]


class OwnNorm(nn.BatchNorm2d):
    """Batch normalisation that is told the corpus of each row, and can be folded for one of them.

    Attributes:
        corpus: int64 (B,), which corpus each row of the next batch is of.
    """

    corpus: Tensor

    def folded(self, place: int) -> dict[str, Tensor]:
        """Return the statistics of a plain norm that answers as this one does for one corpus.

        Args:
            place: of the corpus, from 0.
        """
        raise NotImplementedError


class OffsetNorm(OwnNorm):
    """Adds a learnt vector of the corpus to what is normalised: the corpus is an input.

    That is a convolution that also reads the corpus as one-hot planes, without their zero padding.
    """

    def __init__(self, channels: int, corpora: int) -> None:
        super().__init__(channels)
        self.offsets = nn.ParameterList(
            [nn.Parameter(torch.zeros(channels)) for _ in range(corpora)]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        offsets = torch.stack(list(self.offsets))[self.corpus]
        return super().forward(x + offsets[:, :, None, None])

    def folded(self, place: int) -> dict[str, Tensor]:
        """See ``OwnNorm``: what is added before is taken from the mean."""
        assert self.running_mean is not None
        assert self.running_var is not None
        mean = self.running_mean - self.offsets[place].detach()
        return {"running_mean": mean, "running_var": self.running_var}


class StatisticsNorm(OwnNorm):
    """Normalises each corpus by its own statistics, with one scale and shift for all.

    As Chang et al. (Domain-Specific Batch Normalization, CVPR 2019), eq. 3, but for the affine
    part, which they give to each domain too.
    """

    def __init__(self, channels: int, corpora: int) -> None:
        super().__init__(channels)
        self.register_buffer("means", torch.zeros(corpora, channels))
        self.register_buffer("variances", torch.ones(corpora, channels))
        self.means: Tensor
        self.variances: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        result = torch.empty_like(x)
        momentum, training = self.momentum or 0.0, self.training
        for place in set(self.corpus.tolist()):
            rows = (self.corpus == place).nonzero()[:, 0]
            statistics, own = (self.means[place], self.variances[place]), x[rows]
            # One value has no spread: it is normalised as in evaluation.
            learns = training and own.numel() > own.shape[1]
            part = F.batch_norm(
                own, *statistics, self.weight, self.bias, learns, momentum, self.eps
            )
            result = result.index_copy(0, rows, part.to(x.dtype))
        return result

    def folded(self, place: int) -> dict[str, Tensor]:
        """See ``OwnNorm``: the statistics of the corpus."""
        return {"running_mean": self.means[place], "running_var": self.variances[place]}


def give_norms(network: EmotionNet, own: Own, corpora: int) -> EmotionNet:
    """Replace norms of a network by those that know the corpus; it answers as before.

    Args:
        network: gets ``OffsetNorm`` as the first norm of its last stage, or ``StatisticsNorm``
            everywhere.
        own: which of the two.
        corpora: how many there are.

    Returns:
        The same network.
    """
    places = [
        (parent, name, module)
        for parent in network.modules()
        for name, module in parent.named_children()
        if isinstance(module, nn.BatchNorm2d)
    ]
    if own == "offsets":
        stages = [
            [m for m in s.modules() if isinstance(m, nn.BatchNorm2d)] for s in network.children()
        ]
        first_of_last = [norms for norms in stages if norms][-1][0]
        places = [place for place in places if place[2] is first_of_last]
    for parent, name, module in places:
        new = (OffsetNorm if own == "offsets" else StatisticsNorm)(module.num_features, corpora)
        new.load_state_dict(module.state_dict(), strict=False)
        if isinstance(new, StatisticsNorm):
            assert module.running_mean is not None
            assert module.running_var is not None
            new.means.copy_(module.running_mean.expand_as(new.means))
            new.variances.copy_(module.running_var.expand_as(new.variances))
        setattr(parent, name, new.train(module.training))
    return network


def show_corpora(network: EmotionNet, corpus: Tensor) -> None:
    """Tell the norms of which corpora the rows of the next batch are: int64 (B,)."""
    for _, norm in _own_norms(network):
        norm.corpus = corpus


def has_own_norms(network: EmotionNet) -> bool:
    """Whether norms know the corpus."""
    return any(True for _ in _own_norms(network))


def folded(network: EmotionNet, place: int) -> EmotionNet:
    """Return a plain network, in evaluation mode, that answers as this one does for a corpus.

    Args:
        network: may have norms that know the corpus.
        place: of the corpus, from 0.
    """
    state = network.state_dict()
    for name, norm in _own_norms(network):
        state |= {f"{name}.{key}": value for key, value in norm.folded(place).items()}
    plain = EmotionNet(network.config).to(next(network.parameters()).device)
    # What a recipe's network has beyond the one that is served stays behind.
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    return plain.eval().requires_grad_(False)


def _own_norms(network: EmotionNet) -> Iterator[tuple[str, OwnNorm]]:
    return ((n, module) for n, module in network.named_modules() if isinstance(module, OwnNorm))
