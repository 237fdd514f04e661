from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
import torch

from emotion.errors import DataError
from train.training.checkpoint import (
    Checkpoint,
    load_newest,
    pack_optimizer,
    save,
    unpack_optimizer,
)


def checkpoint(epoch: int) -> Checkpoint:
    return Checkpoint(epoch, {"w": torch.full((3,), float(epoch))}, {"history": [epoch]})


def test_the_newest_of_the_two_that_are_kept_comes_back(tmp_path: Path) -> None:
    for epoch in (1, 2, 3, 10):
        save(tmp_path, checkpoint(epoch))

    loaded = load_newest(tmp_path)

    assert loaded is not None
    assert (loaded.epoch, loaded.values) == (10, {"history": [10]})
    assert loaded.tensors["w"].tolist() == [10, 10, 10]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-0003", "epoch-0010"]


def test_an_empty_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert load_newest(tmp_path / "none") is None


@pytest.mark.parametrize("file", ["state.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_a_damaged_newest_falls_back_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str, damage: str
) -> None:
    save(tmp_path, checkpoint(1))
    save(tmp_path, checkpoint(2))
    path = tmp_path / "epoch-0002" / file
    data = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "truncate":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)

    with caplog.at_level(logging.WARNING):
        loaded = load_newest(tmp_path)

    assert loaded is not None
    assert loaded.epoch == 1
    assert "epoch-0002" in caplog.text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_not_saved_and_not_gone_on_from(
    tmp_path: Path, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, checkpoint(1))
    spoilt = Checkpoint(2, {"w": torch.tensor([1.0, value]), "n": torch.tensor(3)}, {})

    with pytest.raises(DataError, match="w holds values that are not numbers"):
        save(tmp_path, spoilt)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-0001"]

    with monkeypatch.context() as patch:  # as earlier versions saved it
        patch.setattr("train.training.checkpoint._not_finite", lambda tensors: None)
        save(tmp_path, spoilt)
    newest = load_newest(tmp_path)
    assert newest is not None
    assert newest.epoch == 1


@pytest.mark.parametrize("fails_at", range(1, 12))
def test_a_failing_write_leaves_the_previous_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    # The disk fills up at the n-th call that touches it while the second checkpoint is written.
    save(tmp_path, checkpoint(1))
    calls = 0

    def failing(function):  # type: ignore[no-untyped-def]
        def call(*arguments, **options):  # type: ignore[no-untyped-def]
            nonlocal calls
            calls += 1
            if calls == fails_at:
                raise OSError(28, "No space left on device")
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(os, "fsync", failing(os.fsync))
    monkeypatch.setattr(Path, "mkdir", failing(Path.mkdir))
    monkeypatch.setattr(Path, "write_text", failing(Path.write_text))
    monkeypatch.setattr(Path, "rename", failing(Path.rename))
    try:
        save(tmp_path, checkpoint(2))
    except DataError as error:
        assert "No space left" in str(error)  # noqa: PT017
    monkeypatch.undo()

    loaded = load_newest(tmp_path)
    assert loaded is not None
    assert loaded.epoch == (
        1 if calls >= fails_at and not (tmp_path / "epoch-0002").exists() else 2
    )
    save(tmp_path, checkpoint(3))
    assert not list(tmp_path.glob(".partial-*"))


def test_the_optimizer_continues_as_if_it_had_never_stopped() -> None:
    images = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))

    def build() -> tuple[torch.nn.Conv2d, torch.optim.AdamW]:
        torch.manual_seed(0)
        layer = torch.nn.Conv2d(4, 3, 3).to(memory_format=torch.channels_last)
        return layer, torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True)

    def step(layer: torch.nn.Conv2d, optimizer: torch.optim.AdamW) -> None:
        optimizer.zero_grad()
        layer(images).square().sum().backward()
        optimizer.step()

    straight, straight_optimizer = build()
    for _ in range(4):
        step(straight, straight_optimizer)
    first, first_optimizer = build()
    step(first, first_optimizer)
    step(first, first_optimizer)
    second, second_optimizer = build()
    second.load_state_dict(first.state_dict())
    unpack_optimizer(second_optimizer, pack_optimizer(first_optimizer))
    step(second, second_optimizer)
    step(second, second_optimizer)

    assert torch.equal(second.weight, straight.weight)
