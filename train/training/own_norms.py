"""A body in which each corpus has something of its own in the norms.

Each corpus labels in its own way. A linear layer for each (``--heads``) leaves the body to all of
them alike. Here the body knows whose face it sees, in one of two ways. What answers as one corpus
is a plain network: both ways end in statistics of norms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emotion.config import COMMON
from emotion.network import ConventionNorm, EmotionNet, first_norm_of_last_stage, norms_of

Own = Literal["offsets", "statistics"]

HIDDEN = 0.5
"""Share of the faces whose corpus is hidden from ``OffsetNorm`` in training."""


class OwnNorm(nn.BatchNorm2d):
    """Batch normalisation that is told the corpus of each row, and can be folded for one of them.

    Attributes:
        corpus: int64 (B,), which corpus each row of the next batch is of.
    """

    corpus: Tensor

    def show(self, corpus: Tensor, random: torch.Generator) -> None:
        """Take what the next batch of training is of: int64 (B,)."""
        self.corpus = corpus

    def folded(self, place: int) -> dict[str, Tensor]:
        """Return the statistics of a plain norm that answers as this one does for one corpus.

        Args:
            place: of the corpus, from 0.
        """
        raise NotImplementedError


class OffsetNorm(OwnNorm):
    """Adds a learnt vector of each row's corpus, see ``emotion.network.ConventionNorm``.

    A picture of nobody's corpus has to be answered too. So there is one vector more, and some faces
    of every batch are shown with it: ``common`` is learnt from them (as a network that generates
    with and without a class learns both, Ho and Salimans, 2021).
    """

    def __init__(self, channels: int, corpora: int) -> None:
        super().__init__(channels)
        self.offsets = nn.ParameterList(
            [nn.Parameter(torch.zeros(channels)) for _ in range(corpora + 1)]
        )

    def show(self, corpus: Tensor, random: torch.Generator) -> None:
        """See ``OwnNorm``: of a share of the rows the corpus is hidden."""
        hidden = torch.rand(len(corpus), generator=random, device=corpus.device) < HIDDEN
        self.corpus = corpus.masked_fill(hidden, len(self.offsets) - 1)

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
    places = [first_norm_of_last_stage(network)] if own == "offsets" else norms_of(network)
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


def show_corpora(network: EmotionNet, corpus: Tensor, random: torch.Generator) -> None:
    """Tell the norms of which corpora the rows of the next batch of training are.

    Args:
        network: may have norms that know the corpus.
        corpus: int64 (B,).
        random: on the same device; says of whom it is hidden.
    """
    for _, norm in _own_norms(network):
        norm.show(corpus, random)


def conventions(network: EmotionNet, corpora: Sequence[str]) -> tuple[str, ...]:
    """Return in which ways a network with such norms answers, in their order; none without."""
    for _, norm in _own_norms(network):
        return (*corpora, COMMON) if isinstance(norm, OffsetNorm) else tuple(corpora)
    return ()


def folded(network: EmotionNet, place: int) -> EmotionNet:
    """Return a plain network, in evaluation mode, that answers as this one does for a corpus.

    Args:
        network: may have norms that know the corpus.
        place: of the corpus, from 0; see ``conventions``.
    """
    state = network.state_dict()
    for name, norm in _own_norms(network):
        state |= {f"{name}.{key}": value for key, value in norm.folded(place).items()}
    plain = EmotionNet(network.config).to(next(network.parameters()).device)
    # What a recipe's network has beyond the one that is served stays behind.
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    return plain.eval().requires_grad_(False)


def plain_weights(start: EmotionNet) -> dict[str, Tensor]:
    """Return the weights of a plain network that answers as trained ones do.

    Args:
        start: may be told the convention, and then answers as ``start.config.convention``.
    """
    weights = start.state_dict()
    for name, norm in start.named_modules():
        if isinstance(norm, ConventionNorm):
            assert norm.running_mean is not None
            mean = norm.running_mean - norm.offset(norm.convention).detach()
            weights[f"{name}.running_mean"] = mean
    return weights


def begin_as(network: EmotionNet, start: EmotionNet, corpora: Sequence[str]) -> None:
    """Give ``OffsetNorm`` the vectors of trained weights; others leave the network as it is.

    Args:
        network: has ``plain_weights(start)`` already.
        start: may know some of the conventions; a corpus that it does not know begins as it
            answers.
        corpora: of the network, in order.
    """
    known = next((module for module in start.modules() if isinstance(module, ConventionNorm)), None)
    norm = next((norm for _, norm in _own_norms(network)), None)
    if known is None or not isinstance(norm, OffsetNorm):
        return
    for place, name in enumerate((*corpora, COMMON)):
        if name == COMMON or name in known.offsets:
            value = (known.offset(name) - known.offset(known.convention)).detach()
            norm.offsets[place].data[: len(value)] = value  # it may be wider


def written(network: EmotionNet, corpora: Sequence[str], best: str) -> EmotionNet:
    """Return the network that is written.

    With ``OffsetNorm`` it can be told to answer in every way, with ``StatisticsNorm`` it is the
    plain network of one corpus.

    Args:
        network: may have norms that know the corpus.
        corpora: in order.
        best: which corpus the second answers as.
    """
    for name, norm in _own_norms(network):
        if isinstance(norm, OffsetNorm):
            return _with_conventions(network, corpora, name, norm)
        return folded(network, corpora.index(best))
    return folded(network, 0)


def _with_conventions(
    network: EmotionNet, corpora: Sequence[str], name: str, norm: OffsetNorm
) -> EmotionNet:
    *own, common = norm.offsets
    plain = folded(network, len(own))
    told = EmotionNet(
        replace(plain.config, conventions=tuple(corpora), conventions_by="offset")
    ).to(common.device)
    offsets = {
        f"{name}.offsets.{corpus}": (offset - common).detach()
        for corpus, offset in zip(corpora, own, strict=True)
    }
    told.load_state_dict({**plain.state_dict(), **offsets})
    return told.eval().requires_grad_(False)


def _own_norms(network: EmotionNet) -> Iterator[tuple[str, OwnNorm]]:
    return ((n, module) for n, module in network.named_modules() if isinstance(module, OwnNorm))
