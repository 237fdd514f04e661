"""Which faces make the batches of an epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from emotion.errors import DataError
from train.config.options import DataConfig
from train.faces.store import FaceStore, balanced_shares


class BatchSource(Protocol):
    """Chooses the rows of a store that make each batch; its state is part of every checkpoint.

    The trainer calls ``begin_epoch`` once per epoch and then ``rows`` for each of ``steps``
    batches. After ``restore`` it asks for the rest of the epoch that was running when ``state`` was
    taken, without another ``begin_epoch``.
    """

    @property
    def store(self) -> FaceStore:
        """The faces that rows point into."""

    @property
    def steps(self) -> int:
        """Batches of the running epoch."""

    @property
    def prior(self) -> Tensor:
        """Share of each class among the faces that are shown, (6,)."""

    def begin_epoch(self, epoch: int) -> None:
        """Choose the batches of an epoch, counted from 0."""

    def rows(self, index: int) -> Tensor:
        """Return the rows of batch ``index`` of the running epoch, int64 (B,)."""

    def state(self) -> dict[str, Tensor]:
        """Return what ``restore`` needs to continue the running epoch."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue the epoch whose state this is."""


def whole_batches(images: int, batch_size: int) -> int:
    """Return how many batches an epoch over all images has, without the incomplete last one.

    Raises:
        DataError: if there is none.
    """
    if images < batch_size:
        raise DataError(
            f"{images} training images are fewer than one batch of {batch_size}; choose a smaller "
            "--batch-size."
        )
    return images // batch_size


def other_data() -> DataError:
    """Return the error of a checkpoint that does not fit the data."""
    return DataError(
        "The checkpoint was written with other prepared data; train on those, or choose another "
        "--out."
    )


class _PlannedSource:
    """A source that chooses all batches of an epoch when it begins, and has a full last one."""

    def __init__(self, store: FaceStore, steps: int, batch_size: int) -> None:
        self.store, self.steps = store, steps
        self._batch_size = batch_size
        self._plan = torch.empty(0, batch_size, dtype=torch.int64)

    def rows(self, index: int) -> Tensor:
        """Return the rows of one batch of the running epoch, int64 (B,)."""
        return self._plan[index]

    def state(self) -> dict[str, Tensor]:
        """Return the batches of the running epoch."""
        return {"plan": self._plan}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue the epoch whose state this is.

        Raises:
            DataError: if it was drawn from other data.
        """
        plan = state["plan"]
        begun = plan.shape == (self.steps, self._batch_size) and plan.max() < len(self.store)
        if not (begun or plan.shape == (0, self._batch_size)):
            raise other_data()
        self._plan = plan


class ShuffledSource(_PlannedSource):
    """Faces in random order, without the incomplete last batch.

    Args:
        store: the faces.
        batch_size: faces per batch.
        seed: orders depend on it and on the epoch.
        balance: 0 shows every face once per epoch. Otherwise as many are drawn with replacement, a
            class of n faces with a probability in proportion to n^(1 - balance): 0.5 for the square
            root, 1 for all classes alike.

    Raises:
        DataError: if there are fewer faces than one batch.
    """

    def __init__(self, store: FaceStore, batch_size: int, seed: int, balance: float = 0.0) -> None:
        super().__init__(store, whole_batches(len(store), batch_size), batch_size)
        self._seed, self._balance = seed, balance
        self._counts = torch.from_numpy(store.counts()).double()

    @property
    def prior(self) -> Tensor:
        """Share of each class among the faces that are shown, float64 (6,)."""
        shares = torch.where(self._counts > 0, self._counts ** (1 - self._balance), 0.0)
        return shares / shares.sum()

    def begin_epoch(self, epoch: int) -> None:
        """Draw the batches of an epoch, counted from 0."""
        generator = torch.Generator().manual_seed(self._seed * 100_003 + epoch)
        count = self.steps * self._batch_size
        if self._balance:
            weights = (self.prior / self._counts)[self.store.labels]
            order = torch.multinomial(weights, count, replacement=True, generator=generator)
        else:
            order = torch.randperm(len(self.store), generator=generator)[:count]
        self._plan = order.view(self.steps, self._batch_size)


class MixedSource(_PlannedSource):
    """A fixed number of faces of each corpus per epoch, drawn anew for every one.

    Args:
        store: the faces.
        parts: corpus -> which faces of ``store`` are its own.
        mixture: how many of each, in the order of ``parts``.
        batch_size: faces per batch; an incomplete last one is left out.
        seed: what is drawn depends on it and on the epoch.
        balance: within a corpus, see ``ShuffledSource``; with 0 no face comes twice in an epoch
            that shows fewer than the corpus has.

    Raises:
        DataError: if an epoch has fewer faces than one batch.
    """

    def __init__(
        self,
        store: FaceStore,
        parts: Mapping[str, range],
        mixture: Sequence[int],
        batch_size: int,
        seed: int,
        balance: float = 0.0,
    ) -> None:
        super().__init__(store, sum(mixture) // batch_size, batch_size)
        if not self.steps:
            raise DataError(
                f"An epoch of {sum(mixture)} images is less than one batch of {batch_size}; "
                "raise --mixture, or choose a smaller --batch-size."
            )
        self._seed = seed
        self._chances = [
            (rows, count, balanced_shares(store.labels[rows.start : rows.stop], balance))
            for rows, count in zip(parts.values(), mixture, strict=True)
        ]

    @property
    def prior(self) -> Tensor:
        """Share of each class among the faces that are shown, float64 (6,)."""
        shown = torch.zeros(len(self.store.classes), dtype=torch.float64)
        for rows, count, chances in self._chances:
            shown.index_add_(0, self.store.labels[rows.start : rows.stop], count * chances)
        return shown / shown.sum()

    def begin_epoch(self, epoch: int) -> None:
        """Draw the batches of an epoch, counted from 0."""
        generator = torch.Generator().manual_seed(self._seed * 100_003 + epoch)
        drawn = []
        for rows, count, chances in self._chances:
            again = count > len(rows) or bool((chances != chances[0]).any())
            drawn.append(rows.start + torch.multinomial(chances, count, again, generator=generator))
        faces = torch.cat(drawn)
        order = torch.randperm(len(faces), generator=generator)[: self.steps * self._batch_size]
        self._plan = faces[order].view(self.steps, self._batch_size)


def build_source(
    store: FaceStore, parts: Mapping[str, range], config: DataConfig, seed: int
) -> BatchSource:
    """Build the source that the config asks for.

    Args:
        store: the training faces.
        parts: corpus -> which of them are its own.
        config: says what is shown how often.
        seed: orders depend on it.
    """
    balance = {"natural": 0.0, "sqrt": 0.5, "uniform": 1.0}[config.sampling]
    if config.mixture:
        return MixedSource(store, parts, config.mixture, config.batch_size, seed, balance)
    return ShuffledSource(store, config.batch_size, seed, balance)
