from __future__ import annotations

import io

import numpy as np
import pytest
import scipy.ndimage
import torch
from PIL import Image

from train.config.options import AugmentConfig
from train.faces.store import FaceStore
from train.scoring.inference import resize
from train.training.augment import augment, mix
from train.training.degrade import blur, degrade, jpeg
from train.training.device import generators

CPU = torch.device("cpu")


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


def test_with_everything_off_a_crop_stays_as_it_is(faces: torch.Tensor) -> None:
    off = AugmentConfig(
        flip=0, rotation=0, shift=0, scale=1, contrast=1, brightness=0, degrade=0, erase=0
    )

    crops = augment(faces, 64, off, generator())

    torch.testing.assert_close(crops, faces.float(), atol=0.01, rtol=0)
    assert mix(crops, learnt(torch.eye(6)), off, *generators(CPU, 0))[0] is crops


def test_each_change_of_place_and_light_has_its_own_option(faces: torch.Tensor) -> None:
    off = {"flip": 0, "rotation": 0, "shift": 0, "scale": 1, "contrast": 1, "brightness": 0}
    for name, value in {
        "flip": 1.0, "rotation": 90.0, "shift": 0.2, "scale": 2.0, "contrast": 2.0, "brightness": 50
    }.items():  # fmt: skip
        config = AugmentConfig(**{**off, "erase": 0, name: value})  # type: ignore[arg-type]
        assert not torch.allclose(augment(faces, 64, config, generator()), faces.float(), atol=1)
    mirrored = augment(faces, 64, AugmentConfig(**{**off, "flip": 1, "erase": 0}), generator())  # type: ignore[arg-type]
    torch.testing.assert_close(mirrored, faces.float().flip(-1), atol=0.01, rtol=0)


def test_degrading_touches_the_chosen_share_and_takes_detail() -> None:
    board = torch.rand(400, 40, 40, generator=generator()) * 255

    worse = degrade(board, 0.3, generator())

    changed = (worse != board).flatten(1).any(1)
    assert 0.24 < changed.float().mean() < 0.36
    assert worse[changed].std((1, 2)).mean() < 0.7 * board[changed].std((1, 2)).mean()
    assert worse.min() >= 0
    assert worse.max() <= 255
    assert torch.equal(worse, degrade(board, 0.3, generator()))


def test_each_crop_is_blurred_by_a_gaussian_of_its_own(faces: torch.Tensor) -> None:
    sharp = torch.rand(3, 24, 24, generator=generator()) * 255
    sigma = torch.tensor([0.4, 1.2, 2.5])

    blurred = blur(sharp, sigma)

    for crop, result, width in zip(sharp, blurred, sigma, strict=True):
        expected = scipy.ndimage.gaussian_filter(crop, float(width), mode="mirror", radius=6)
        np.testing.assert_allclose(result, expected, atol=0.01)


@pytest.mark.parametrize("quality", [20, 50, 85])
def test_jpeg_is_what_a_jpeg_file_does(faces: torch.Tensor, quality: int) -> None:
    noisy = (faces[:4, :40, :44] + torch.rand(4, 40, 44, generator=generator()) * 30).round()

    ours = jpeg(noisy.float(), torch.full((4,), float(quality)))

    distortion = (ours - noisy).abs().mean().item()
    assert distortion > 1
    for crop, result in zip(noisy.to(torch.uint8), ours, strict=True):
        file = io.BytesIO()
        Image.fromarray(crop.numpy()).save(file, "jpeg", quality=quality)
        published = np.asarray(Image.open(file)).astype(np.float32)
        # libjpeg computes in integers, which now and then rounds a coefficient the other way.
        assert np.abs(result.numpy() - published).mean() < 0.2 * distortion


def learnt(targets: torch.Tensor, corpus: torch.Tensor | None = None) -> FaceStore:
    """Faces of which only what is learnt matters; as calm as they are of the first class."""
    count = len(targets)
    return FaceStore(
        torch.zeros(count, 64, 64, dtype=torch.uint8),
        torch.zeros(count, dtype=torch.int64),
        torch.ones(count, dtype=torch.bool),
        soft=targets,
        calm=targets[:, 0],
        corpus=corpus,
    )


def planes(corpus: torch.Tensor | None = None) -> tuple[torch.Tensor, FaceStore]:
    """Each crop is flat at its own level, so that its level says what was mixed into it."""
    levels = torch.arange(200.0)
    crops = levels[:, None, None].expand(200, 32, 32)
    return crops, learnt(levels[:, None].expand(200, 6), corpus)


def test_mixup_blends_pixels_and_targets_by_the_same_share() -> None:
    crops, faces = planes()

    mixed, result = mix(crops, faces, AugmentConfig(mixup=0.4), *generators(CPU, 0))

    levels = mixed.mean((1, 2))
    torch.testing.assert_close(levels, result.targets[:, 0], rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(levels, result.calm, rtol=1e-4, atol=1e-3)
    assert mixed.std((1, 2)).max() < 1e-3
    assert (result.targets - faces.targets).abs().max() > 20


@pytest.mark.parametrize("values", [{"mixup": 1.0}, {"cutmix": 1.0}], ids=str)
def test_faces_are_mixed_with_those_of_their_own_corpus_alone(values: dict[str, float]) -> None:
    corpus = (torch.arange(200) >= 60).long()
    crops, faces = planes(corpus)

    mixed, result = mix(crops, faces, AugmentConfig(**values), *generators(CPU, 0))

    assert result.corpus is corpus
    assert mixed[:60].max() < 60
    assert mixed[60:].min() >= 60
    assert (mixed - crops)[:60].abs().max() > 5
    assert (mixed - crops)[60:].abs().max() > 20
    mean = result.targets.mean(0)[0].item()  # each is a partner once
    assert mean == pytest.approx(99.5, abs=6)


def test_cutmix_pastes_a_rectangle_and_its_area_is_the_targets_share() -> None:
    crops, faces = planes()

    mixed, result = mix(crops, faces, AugmentConfig(cutmix=1.0), *generators(CPU, 0))

    levels = mixed.mean((1, 2))
    torch.testing.assert_close(levels, result.targets[:, 0], rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(levels, result.calm, rtol=1e-4, atol=1e-3)
    pasted = (mixed != crops).float()
    areas = pasted.mean((1, 2))
    assert 0.3 < areas.mean() < 0.6  # Beta(1, 1) is uniform
    box = pasted.amax(1).sum(1) * pasted.amax(2).sum(1) / 32**2
    torch.testing.assert_close(box, areas)  # it fills its bounding box


@pytest.mark.parametrize("alpha", [0.2, 2.0])
def test_the_shares_of_mixup_are_beta_distributed(alpha: float) -> None:
    crops, targets = torch.zeros(4000, 2, 2), torch.zeros(4000, 6)
    crops[:2000], targets[:2000] = 1, 1

    _, result = mix(crops, learnt(targets), AugmentConfig(mixup=alpha), *generators(CPU, 0))

    # Where a one met a zero, the label is the kept share or one less it: both Beta(alpha, alpha).
    labels = result.targets[:, 0]
    share = labels[(labels > 0) & (labels < 1)]
    assert share.mean().item() == pytest.approx(0.5, abs=0.03)
    assert share.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_with_both_mixes_on_every_batch_gets_one_of_them() -> None:
    crops, faces = planes()
    both = AugmentConfig(mixup=1.0, cutmix=1.0)

    flat = [
        mix(crops, faces, both, *generators(CPU, s))[0].std((1, 2)).max() < 1e-3 for s in range(30)
    ]

    assert 5 < sum(map(bool, flat)) < 25
