from __future__ import annotations

import torch

from train.domains.progressive.mixture import MAX_REPEATS, draw_plan


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_half_of_every_batch_is_the_targets_and_the_rest_is_shared() -> None:
    target, group, memory = torch.arange(400), torch.arange(400, 800), torch.arange(800, 1000)

    plan = draw_plan([target, group, memory], 16, 20, generator())

    assert plan.shape == (20, 16)
    assert (plan[:, :8] < 400).all()
    assert ((plan[:, 8:12] >= 400) & (plan[:, 8:12] < 800)).all()
    assert (plan[:, 12:] >= 800).all()
    assert len(plan[:, :8].unique()) == 160  # without replacement
    assert len(plan[:, 12:].unique()) == 80


def test_without_sources_the_batch_is_the_targets() -> None:
    nothing = torch.zeros(0, dtype=torch.int64)

    plan = draw_plan([torch.arange(30), nothing, nothing], 10, 6, generator())

    assert torch.bincount(plan.flatten()).tolist() == [2] * 30


def test_a_small_group_is_not_learnt_by_heart() -> None:
    plan = draw_plan([torch.arange(400), torch.arange(400, 410)], 16, 20, generator())

    drawn = torch.bincount(plan.flatten(), minlength=410)[400:]
    assert drawn.max() <= MAX_REPEATS
    assert plan.shape == (20, 16)


def test_the_same_seed_draws_the_same_and_another_seed_another() -> None:
    pools = [torch.arange(100), torch.arange(100, 200)]

    first, again, other = (draw_plan(pools, 8, 10, generator(seed)) for seed in (1, 1, 2))

    assert torch.equal(first, again)
    assert not torch.equal(first, other)
