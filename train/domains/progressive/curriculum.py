"""The curriculum: which shards enter in which order, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from train.domains.progressive.gate import Verdict

State = Literal["waiting", "empty", "accepted", "rejected", "untried"]


@dataclass(frozen=True)
class Group:
    """Shards of one corpus that are tried together.

    Attributes:
        corpus: whose shards.
        threshold: they score at least this.
        shards: positions in the list of all shards, the most relevant first.
    """

    corpus: str
    threshold: float
    shards: tuple[int, ...]


def plan_groups(
    corpora: Sequence[str],
    shard_corpora: Sequence[str],
    scores: Sequence[float],
    thresholds: Sequence[float],
) -> list[Group]:
    """Order the shards: the most similar of the first corpus outward, then the next corpus.

    Args:
        corpora: sources in the order of introduction.
        shard_corpora: corpus of every shard.
        scores: relevance of every shard.
        thresholds: descending; a group takes what reaches its own and none of those before. What
            stays below the last never enters.

    Returns:
        A group for every corpus and threshold, some of them perhaps empty.
    """
    groups = []
    for corpus in corpora:
        own = [i for i, name in enumerate(shard_corpora) if name == corpus]
        above = float("inf")
        for threshold in thresholds:
            inside = [i for i in own if threshold <= scores[i] < above]
            inside.sort(key=lambda i: (-scores[i], i))
            groups.append(Group(corpus, threshold, tuple(inside)))
            above = threshold
    return groups


@dataclass
class Curriculum:
    """The state of the progress through the groups.

    Attributes:
        groups: in order.
        states: what became of each.
        verdicts: the gate's reasons, where it was asked.
    """

    groups: list[Group]
    states: list[State] = field(default_factory=list)
    verdicts: list[Verdict | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.states:
            self.states = ["waiting" if group.shards else "empty" for group in self.groups]
            self.verdicts = [None] * len(self.groups)

    @property
    def current(self) -> int | None:
        """Position of the group on trial, or None when all are decided."""
        return next((i for i, state in enumerate(self.states) if state == "waiting"), None)

    @property
    def accepted(self) -> list[int]:
        """Shards that may be trained on, in the order in which they entered."""
        return [
            shard
            for group, state in zip(self.groups, self.states, strict=True)
            if state == "accepted"
            for shard in group.shards
        ]

    def decide(self, verdict: Verdict) -> None:
        """Close the group on trial."""
        current = self.current
        assert current is not None
        self.states[current] = "accepted" if verdict.accepted else "rejected"
        self.verdicts[current] = verdict

    def close(self) -> None:
        """Leave the groups that are still waiting untried, since no epoch is left for them."""
        self.states = ["untried" if state == "waiting" else state for state in self.states]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Curriculum:
        """Take up the state that ``to_json`` gave."""
        groups = [Group(g["corpus"], g["threshold"], tuple(g["shards"])) for g in values["groups"]]
        verdicts = [
            None if v is None else Verdict(**{**v, "interval": tuple(v["interval"])})
            for v in values["verdicts"]
        ]
        return cls(groups, list(values["states"]), verdicts)
