from __future__ import annotations

import pytest
import torch

from train.augment import augment, resize
from train.config import AugmentConfig


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def faces() -> torch.Tensor:
    """Smooth blobs at random places: uint8 (64, 64, 64)."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    centres = torch.rand(64, 2, generator=generator()) * 24 + 20
    distance = (y - centres[:, 0, None, None]) ** 2 + (x - centres[:, 1, None, None]) ** 2
    return (40 + 180 * torch.exp(-distance / 60)).to(torch.uint8)


@pytest.mark.parametrize("size", [32, 40, 64])
def test_crops_have_the_asked_size_and_range(faces: torch.Tensor, size: int) -> None:
    crops = augment(faces, size, AugmentConfig(erase=0.5), generator())

    assert crops.shape == (64, size, size)
    assert crops.dtype == torch.float32
    assert crops.min() >= 0
    assert crops.max() <= 255


def test_the_same_seed_gives_the_same_crops_and_another_one_others(faces: torch.Tensor) -> None:
    first = augment(faces, 48, AugmentConfig(erase=0.5), generator(3))

    assert torch.equal(first, augment(faces, 48, AugmentConfig(erase=0.5), generator(3)))
    assert not torch.equal(first, augment(faces, 48, AugmentConfig(erase=0.5), generator(4)))


def centre(faces: torch.Tensor) -> torch.Tensor:
    """Centre of the bright blob, (B, 2) as x, y."""
    mass = (faces.float() - faces.float().amin((1, 2), keepdim=True)) ** 4
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    total = mass.sum((1, 2))
    return torch.stack([(mass * x).sum((1, 2)), (mass * y).sum((1, 2))], 1) / total[:, None]


def test_half_of_the_faces_are_mirrored_and_none_is_turned_over() -> None:
    # A blob far left and high: mirrored it lies right; rotated by 12 degrees at most, still high.
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    blob = 40 + 180 * torch.exp(-((x - 14) ** 2 + (y - 14) ** 2) / 30)
    faces = blob.to(torch.uint8).expand(400, 64, 64)

    moved = centre(augment(faces, 64, AugmentConfig(erase=0.0), generator()))

    mirrored = (moved[:, 0] > 32).float().mean().item()
    assert 0.42 < mirrored < 0.58
    assert moved[:, 1].max() < 30


def test_rotation_scale_and_shift_stay_within_their_limits(faces: torch.Tensor) -> None:
    before = centre(faces) - 31.5
    after = centre(augment(faces, 64, AugmentConfig(erase=0.0), generator())) - 31.5
    # A point at radius r moves to at most r * 1.14 plus the shift in both axes (scaled alike).
    reach = before.norm(dim=1) * 1.14 + 64 * 0.07 * 2**0.5 * 1.14 + 1

    assert (after.norm(dim=1) <= reach).all()
    assert after.std() > 1


def test_erasing_touches_the_chosen_share_of_faces_within_its_area() -> None:
    flat = torch.full((600, 64, 64), 128, dtype=torch.uint8)

    crops = augment(flat, 64, AugmentConfig(erase=0.3), generator())

    # Lighting shifts a flat face as a whole, so anything else than its own median was erased.
    erased = ((crops - crops.flatten(1).median(1).values[:, None, None]).abs() > 0.5).float()
    share = erased.mean((1, 2))
    assert 0.24 < (share > 0).float().mean() < 0.36
    assert share.max() < 0.22
    assert share[share > 0].mean() > 0.05


def test_without_erasing_a_flat_face_stays_flat() -> None:
    flat = torch.full((50, 64, 64), 128, dtype=torch.uint8)

    crops = augment(flat, 40, AugmentConfig(erase=0.0), generator())

    assert crops.std((1, 2)).max() < 1e-3


def test_resizing_is_anti_aliased() -> None:
    board = ((torch.arange(64)[:, None] + torch.arange(64)) % 2 * 255).to(torch.uint8)[None]

    assert (resize(board, 32)[0, 2:-2, 2:-2] - 127.5).abs().max() < 2
    assert torch.equal(resize(board, 64), board.float())
