from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from emotion.errors import ConfigError, DataError, WeightsError
from train.superres import Bicubic, resize_grey
from train.superres.internal_learning import back_project, detail, ensemble, sons
from train.superres.resize import resize
from train.superres.zero_shot import SharedStart, ZeroShot, train_start, zero_shot_from_nothing
from train.superres.zero_shot_published import ZeroShotPerImage, augment, has_stalled


def psnr(images: np.ndarray, truth: np.ndarray) -> np.ndarray:
    error = ((images.astype(float) - truth) ** 2).mean(axis=(1, 2))
    return 10 * np.log10(255**2 / error)


def as_batch(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image)[None, None].float() / 255


@pytest.fixture(scope="module")
def checkerboard() -> np.ndarray:
    rows, columns = np.mgrid[:64, :64] // 6
    board = 255.0 * ((rows + columns) % 2)
    return np.rint(gaussian_filter(board, 1.0)).astype(np.uint8)[None]


def test_a_network_of_zeros_gives_exactly_the_bicubic_picture(small48: np.ndarray) -> None:
    zeros = SharedStart((torch.zeros(4, 1, 3, 3), torch.zeros(1, 4, 3, 3)), 48, 0, 0)

    enlarged = ZeroShot(zeros, steps=0)(small48)

    np.testing.assert_array_equal(enlarged, Bicubic()(small48))


def test_the_ensemble_of_an_equivariant_network_is_its_single_pass(small48: np.ndarray) -> None:
    ring = torch.tensor([[1.0, 2.0, 1.0], [2.0, -11.0, 2.0], [1.0, 2.0, 1.0]])
    weights = (0.1 * ring.repeat(4, 1, 1, 1), 0.05 * ring.repeat(1, 4, 1, 1))
    flips = [(lambda x, a=a: x.flip(a), lambda x, a=a: x.flip(a)) for a in ((-1,), (-2,), (-1, -2))]
    same = (lambda x: x, lambda x: x)

    single = ensemble(weights, small48[0], 64, [same], 0).astype(int)
    median = ensemble(weights, small48[0], 64, [same, *flips], 0).astype(int)

    assert np.abs(single - median).max() <= 1  # sums in another order may round differently
    assert np.abs(single - Bicubic()(small48[:1])[0]).max() > 5


def test_training_makes_the_reconstruction_better_than_bicubic(
    start: SharedStart, small48: np.ndarray
) -> None:
    upscaler = ZeroShot(start)
    better = []

    for image in small48[:20]:
        father = as_batch(image)
        son = sons(father, 36)
        weights = upscaler.adapt(image)
        with torch.no_grad():
            restored = son + detail(weights, son)
        better.append(float((restored - father).abs().mean()) < float((son - father).abs().mean()))

    assert np.mean(better) >= 0.95


def test_the_shared_start_beats_bicubic_on_other_pictures(
    start: SharedStart, small48: np.ndarray, crops64: np.ndarray
) -> None:
    enlarged = ZeroShot(start)(small48[:20])

    gain = psnr(enlarged, crops64[:20]) - psnr(Bicubic()(small48[:20]), crops64[:20])
    assert gain.mean() > 0.5


@pytest.mark.parametrize(
    "upscaler",
    [zero_shot_from_nothing(), ZeroShotPerImage(max_steps=150, depth=4, width=16)],
    ids=["zssr", "zssr_per_image"],
)
def test_training_on_a_blurred_checkerboard_alone_beats_bicubic(
    upscaler: ZeroShot | ZeroShotPerImage, checkerboard: np.ndarray
) -> None:
    small = resize_grey(checkerboard, 48, 48)

    enlarged = upscaler(small)

    assert psnr(enlarged, checkerboard)[0] > psnr(Bicubic()(small), checkerboard)[0] + 0.5


def test_back_projection_brings_the_result_ever_closer_to_the_picture(
    small48: np.ndarray,
) -> None:
    picture = small48[0].astype(float)
    enlarged = resize(picture, 64, 64)

    distances = [
        np.abs(resize(back_project(enlarged, picture, times), 48, 48) - picture).mean()
        for times in range(6)
    ]

    assert (np.diff(distances) < 0).all()


@pytest.mark.parametrize("make", ["start", "nothing", "published"])
def test_order_batching_and_threads_change_nothing(
    make: str, start: SharedStart, small48: np.ndarray
) -> None:
    upscaler = {
        "start": ZeroShot(start),
        "nothing": ZeroShot(None, steps=10),
        "published": ZeroShotPerImage(max_steps=5, depth=3, width=8, back_projections=1),
    }[make]
    images = small48[:6]
    together = upscaler(images)

    torch.manual_seed(123)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    backwards = upscaler(images[::-1].copy())[::-1]
    torch.set_num_threads(threads)
    alone = np.concatenate([upscaler(images[i : i + 1]) for i in range(6)])

    np.testing.assert_array_equal(together, backwards)
    np.testing.assert_array_equal(together, alone)


def test_another_process_gets_the_same_bytes(start: SharedStart, small48: np.ndarray) -> None:
    upscaler = ZeroShot(start)

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        elsewhere = pool.submit(upscaler, small48[:3]).result()

    np.testing.assert_array_equal(elsewhere, upscaler(small48[:3]))


def test_the_caller_keeps_its_number_of_threads(start: SharedStart, small48: np.ndarray) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)

    ZeroShot(start, steps=1)(small48[:1])
    after = torch.get_num_threads()
    torch.set_num_threads(before)

    assert after == 2


def test_a_saved_start_gives_the_same_pictures(
    start: SharedStart, small48: np.ndarray, tmp_path: Path
) -> None:
    start.save(tmp_path / "start.safetensors")

    loaded = ZeroShot(SharedStart.load(tmp_path / "start.safetensors"))

    np.testing.assert_array_equal(loaded(small48[:3]), ZeroShot(start)(small48[:3]))


def test_a_file_of_another_kind_is_refused(tmp_path: Path, faces25: np.ndarray) -> None:
    from train.superres.subspace import fit_subspace

    fit_subspace(faces25, components=8, low=19).save(tmp_path / "faces.safetensors")

    with pytest.raises(WeightsError, match="holds face subspace, not zero-shot start"):
        SharedStart.load(tmp_path / "faces.safetensors")


def test_the_published_network_has_eight_layers_of_64_channels(small48: np.ndarray) -> None:
    weights = ZeroShotPerImage(max_steps=1).adapt(small48[0])

    assert len(weights) == 8
    assert sum(layer.numel() for layer in weights) == 222_336


def test_the_learning_rate_falls_only_when_the_error_has_stopped_falling() -> None:
    steps = list(range(0, 500, 50))
    wobble = [0.1 + 0.01 * (-1) ** i for i in range(10)]

    assert not has_stalled(steps, [1.0 - s / 1000 for s in steps])
    assert has_stalled(steps, wobble)


def test_augmentation_keeps_size_and_range_and_mixes_three_kinds(small48: np.ndarray) -> None:
    father = small48[0].astype(np.float32) / 255
    turns = [np.rot90(m, k).tobytes() for m in (father, father[:, ::-1]) for k in range(4)]
    random = np.random.default_rng(0)

    drawn = [augment(father, random) for _ in range(2000)]

    assert all(image.shape == (48, 48) for image in drawn)
    assert min(image.min() for image in drawn) >= 0
    assert max(image.max() for image in drawn) <= 1
    unchanged = np.mean([image.tobytes() == father.tobytes() for image in drawn])
    turned = np.mean([image.tobytes() in turns for image in drawn])
    assert unchanged == pytest.approx(0.05 + 0.45 / 8, abs=0.03)
    assert turned == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("options", [{"steps": -1}, {"lr": 0.0}, {"back_projections": -1}])
def test_settings_that_cannot_work_are_refused(options: dict) -> None:
    with pytest.raises(ConfigError):
        ZeroShot(None, **options)


@pytest.mark.parametrize("shape", [(0, 48, 48), (3, 20, 20), (3, 48, 40), (3, 64, 64)])
def test_pictures_that_cannot_train_a_start_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError):
        train_start(np.zeros(shape, np.uint8), steps=2)
