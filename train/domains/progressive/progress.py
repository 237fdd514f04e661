"""Where a progressive run stands: its batches, its curriculum, and what a trial may undo."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from train.domains.progressive.curriculum import Curriculum
from train.domains.progressive.mixture import draw_plan
from train.domains.progressive.relevance import Relevance
from train.domains.progressive.shards import Shard
from train.faces.store import FaceStore
from train.training.sampling import other_data, whole_batches

_SAVED = "saved."


@dataclass
class Trial:
    """A trial that is running: two branches from the same weights, one of them with the group.

    Attributes:
        branch: which of the two is running; the one without the group comes first.
        start: where the schedule was when they parted.
        saved: copies of every tensor of network, average and optimiser: while the first branch
            runs, those of the parting; while the second one does, those of the first one's end.
        updates: of the average, as in ``saved``.
        control: int64, predictions of the first branch on the target's validation faces; None
            while it runs.
    """

    branch: Literal["control", "trial"]
    start: int
    saved: dict[str, Tensor]
    updates: int
    control: Tensor | None = None


@dataclass
class Progress:
    """The batches of a progressive run, and all that they follow from.

    It is a ``train.training.sampling.BatchSource``, so every checkpoint holds it.

    Attributes:
        store: the faces of all corpora, the target's first.
        parts: which rows of the store are whose; the first corpus is the target.
        batch_size: faces per batch.
        seed: orders depend on it and on the epoch.
        total_epochs: of the run.
        shards: of the sources; empty until the target has been learnt.
        relevance: of each shard.
        curriculum: None until the target has been learnt.
        memory: rows of the store that are replayed.
        trial: the running trial, if there is one.
        discarded: number of epochs that were trained on branches that were given up.
        introduced: number of epochs that had been trained when the last trial was over, or None.
        events: what happened, in order, for the log.
    """

    store: FaceStore
    parts: dict[str, range]
    batch_size: int
    seed: int
    total_epochs: int
    shards: list[Shard] = field(default_factory=list)
    relevance: list[Relevance] = field(default_factory=list)
    curriculum: Curriculum | None = None
    memory: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    trial: Trial | None = None
    discarded: int = 0
    introduced: int | None = None
    events: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.steps = whole_batches(len(self.store), self.batch_size)
        self._plan = torch.empty(0, self.batch_size, dtype=torch.int64)
        self._epoch, self._position = 0, 0.0

    @property
    def prior(self) -> Tensor:
        """Share of each class among the faces of all corpora, float64 (6,)."""
        counts = torch.from_numpy(self.store.counts()).double()
        return counts / counts.sum()

    @property
    def target(self) -> range:
        """Rows of the target corpus."""
        return next(iter(self.parts.values()))

    @property
    def done(self) -> float:
        """Share of the run that is done, 0..1."""
        return self._position / self.total_epochs

    def members(self, shards: list[int] | tuple[int, ...]) -> Tensor:
        """Return the rows of some shards, int64."""
        nothing = torch.zeros(0, dtype=torch.int64)
        return torch.cat([nothing, *(self.shards[i].members for i in shards)])

    def pools(self) -> list[Tensor]:
        """Return what the next epoch's batches are mixed from.

        The target; the group on trial, or else everything accepted; the memory.
        """
        target = torch.arange(self.target.start, self.target.stop)
        if self.curriculum is None:
            return [target]
        current = self.curriculum.current
        if self.trial is None or self.trial.branch == "control" or current is None:
            return [target, self.members(self.curriculum.accepted), self.memory]
        return [target, self.members(self.curriculum.groups[current].shards), self.memory]

    def record(self, event: str, **values: Any) -> None:
        """Add a line to the log."""
        self.events.append({"event": event, **values})

    def begin_epoch(self, epoch: int) -> None:
        """Draw the batches of an epoch, counted from 0."""
        generator = torch.Generator().manual_seed(self.seed * 100_003 + epoch)
        self._plan = draw_plan(self.pools(), self.batch_size, self.steps, generator)
        self._epoch = epoch

    def rows(self, index: int) -> Tensor:
        """Return the rows of one batch of the running epoch, int64 (B,)."""
        self._position = self._epoch + index / self.steps
        return self._plan[index]

    def state(self) -> dict[str, Tensor]:
        """Return everything, as tensors."""
        values = {
            "epoch": self._epoch,
            "shards": [[s.corpus, s.label, s.number] for s in self.shards],
            "relevance": [asdict(score) for score in self.relevance],
            "curriculum": self.curriculum and self.curriculum.to_json(),
            "trial": self.trial and [self.trial.branch, self.trial.start, self.trial.updates],
            "discarded": self.discarded,
            "introduced": self.introduced,
            "events": self.events,
        }
        tensors = {"plan": self._plan, "memory": self.memory, "values": _pack(values)}
        tensors["shard_of"] = self.shard_of()
        if self.trial:
            tensors |= {_SAVED + name: value for name, value in self.trial.saved.items()}
            if self.trial.control is not None:
                tensors["control"] = self.trial.control
        return tensors

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up the state that ``state`` gave.

        Raises:
            DataError: if it is that of other data.
        """
        plan, shard_of = state["plan"], state["shard_of"]
        if plan.shape[1] != self.batch_size or len(shard_of) != len(self.store):
            raise other_data()
        values = _unpack(state["values"])
        self._plan, self._epoch = plan, values["epoch"]
        self.memory, self.discarded = state["memory"], values["discarded"]
        self.shards = [
            Shard(corpus, label, number, torch.nonzero(shard_of == i)[:, 0])
            for i, (corpus, label, number) in enumerate(values["shards"])
        ]
        self.relevance = [Relevance(**score) for score in values["relevance"]]
        self.curriculum = values["curriculum"] and Curriculum.from_json(values["curriculum"])
        self.introduced, self.events = values["introduced"], values["events"]
        self.trial = None
        if values["trial"]:
            saved = {
                name.removeprefix(_SAVED): value
                for name, value in state.items()
                if name.startswith(_SAVED)
            }
            branch, start, updates = values["trial"]
            self.trial = Trial(branch, start, saved, updates, state.get("control"))

    def shard_of(self) -> Tensor:
        """Return the shard of every row of the store, -1 for those in none."""
        shard_of = torch.full((len(self.store),), -1)
        for i, shard in enumerate(self.shards):
            shard_of[shard.members] = i
        return shard_of


def _pack(values: dict[str, Any]) -> Tensor:
    # Checkpoints hold the state of a source as tensors only.
    return torch.frombuffer(bytearray(json.dumps(values).encode()), dtype=torch.uint8)


def _unpack(packed: Tensor) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(packed.numpy().tobytes())
    return values
