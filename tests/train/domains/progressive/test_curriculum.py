from __future__ import annotations

import json

from train.domains.progressive.curriculum import Curriculum, plan_groups
from train.domains.progressive.gate import Verdict

CORPORA = ["raf-db"] * 4 + ["affectnet"] * 3
SCORES = [0.1, 0.7, 0.45, -0.3, 0.9, 0.65, 0.0]


def verdict(accepted: bool) -> Verdict:
    return Verdict(accepted, 0.5, 0.6, 0.1, (-0.1, 0.2))


def curriculum() -> Curriculum:
    return Curriculum(plan_groups(("raf-db", "affectnet"), CORPORA, SCORES, (0.6, 0.3, 0.0)))


def test_shards_enter_from_the_most_similar_outward_and_affectnet_last() -> None:
    groups = curriculum().groups

    assert [(group.corpus, group.shards) for group in groups] == [
        ("raf-db", (1,)),
        ("raf-db", (2,)),
        ("raf-db", (0,)),
        ("affectnet", (4, 5)),
        ("affectnet", ()),
        ("affectnet", (6,)),
    ]


def test_a_shard_below_every_threshold_never_enters() -> None:
    assert all(3 not in group.shards for group in curriculum().groups)


def test_empty_groups_are_passed_over_and_rejected_ones_leave_no_shard() -> None:
    progress = curriculum()
    tried = []
    for accepted in (True, False, True, True, False):
        assert progress.current is not None
        tried.append(progress.current)
        progress.decide(verdict(accepted))

    assert tried == [0, 1, 2, 3, 5]
    assert progress.current is None
    assert progress.accepted == [1, 0, 4, 5]
    assert progress.states[4] == "empty"


def test_the_state_survives_json() -> None:
    progress = curriculum()
    progress.decide(verdict(False))

    again = Curriculum.from_json(json.loads(json.dumps(progress.to_json())))

    assert again == progress


def test_groups_for_which_no_epoch_is_left_stay_out() -> None:
    progress = curriculum()
    progress.decide(verdict(True))
    progress.close()

    assert progress.current is None
    assert progress.accepted == [1]
    assert progress.states == ["accepted", "untried", "untried", "untried", "empty", "untried"]
