from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotion.errors import ConfigError, DataError, WeightsError
from train.superres import Bicubic, resize_grey
from train.superres.eigenface import EigenfaceUpScaler, face_covariances, lmmse_gain
from train.superres.subspace import FaceSubspace, fit_subspace, map_gain, normalise, observe

LOW, HIGH = 19, 25


@pytest.fixture(scope="module")
def subspace(faces25: np.ndarray) -> FaceSubspace:
    return fit_subspace(faces25[:80], components=20, noise=0.01, low=LOW)


def psnr(images: np.ndarray, truth: np.ndarray) -> np.ndarray:
    error = ((images.astype(float) - truth) ** 2).mean(axis=(1, 2))
    return 10 * np.log10(255**2 / error)


def observed_basis(subspace: FaceSubspace) -> np.ndarray:
    return observe(subspace.basis.T, HIGH, LOW).T


def test_map_recovers_the_coefficients_of_faces_inside_the_subspace(
    subspace: FaceSubspace,
) -> None:
    exact = replace(
        subspace,
        projected_mean=np.zeros(20),
        projected_covariance=1e-12 * np.eye(20),
    )
    coefficients = np.random.default_rng(0).normal(size=(5, 20)) * np.sqrt(subspace.variance)
    observations = observe(exact.mean + coefficients @ exact.basis.T, HIGH, LOW)

    recovered = (observations - exact.map_centre) @ exact.map_coefficients.T

    np.testing.assert_allclose(recovered, coefficients, atol=1e-6)


def test_map_returns_the_mean_face_when_noise_drowns_the_observation(
    subspace: FaceSubspace,
) -> None:
    seen = observed_basis(subspace)

    gain = map_gain(seen, subspace.variance, 1e12 * np.eye(len(seen)))

    assert np.abs(gain).max() < 1e-8


def test_map_is_least_squares_when_the_prior_is_flat(subspace: FaceSubspace) -> None:
    seen = observed_basis(subspace)

    gain = map_gain(seen, np.full(20, np.inf), np.eye(len(seen)))

    np.testing.assert_allclose(gain, np.linalg.pinv(seen), atol=1e-10)


def test_lmmse_without_noise_agrees_with_the_observation(
    subspace: FaceSubspace, faces25: np.ndarray
) -> None:
    clean, _, _ = normalise(resize_grey(faces25[80:], LOW, LOW) / 255)
    difference = clean.reshape(20, -1) - subspace.observed_mean

    restored = difference @ lmmse_gain(*face_covariances(subspace), noise=1e-9).T

    assert np.abs(observe(restored, HIGH, LOW) - difference).max() < 1e-3


def test_lmmse_is_map_when_nothing_is_left_outside_the_subspace(subspace: FaceSubspace) -> None:
    confined = replace(subspace, floor=0.0)
    seen = observed_basis(subspace)

    lmmse = lmmse_gain(*face_covariances(confined), noise=0.01)
    ridge = subspace.basis @ map_gain(seen, subspace.variance, 0.01 * np.eye(len(seen)))

    np.testing.assert_allclose(lmmse, ridge, atol=1e-8)


def test_one_matrix_gives_what_solving_for_each_face_gives(
    subspace: FaceSubspace, faces25: np.ndarray
) -> None:
    clean, _, _ = normalise(resize_grey(faces25[80:], LOW, LOW) / 255)
    difference = clean.reshape(20, -1) - subspace.observed_mean
    cross, observed = face_covariances(subspace)

    at_once = difference @ lmmse_gain(cross, observed, noise=0.01).T

    total = observed + 0.01 * np.eye(len(observed))
    for row, one in zip(at_once, difference, strict=True):
        np.testing.assert_allclose(row, cross @ np.linalg.solve(total, one), atol=1e-8)


@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_lmmse_beats_bicubic_on_held_out_faces(sigma: float, faces25: np.ndarray) -> None:
    # Noise is given as a share of the contrast of the observed pictures, 0.2 for these faces.
    share = max(0.01, sigma / np.hypot(0.2, sigma))
    fitted = fit_subspace(faces25[:80], components=20, noise=share, low=LOW)
    truth = faces25[80:]
    clean = resize_grey(truth, LOW, LOW) / 255
    noisy = clean + sigma * np.random.default_rng(1).standard_normal(clean.shape)
    observed = np.rint(np.clip(noisy, 0, 1) * 255).astype(np.uint8)
    upscaler = EigenfaceUpScaler(fitted)

    restored = psnr(upscaler(observed), truth)

    assert not upscaler.falls_back(observed).any()
    assert restored.mean() > psnr(Bicubic(HIGH)(observed), truth).mean() + 0.3


def test_map_stays_in_the_span_of_the_eigenfaces_and_lmmse_leaves_it(
    subspace: FaceSubspace, faces25: np.ndarray
) -> None:
    small = resize_grey(faces25[80:], LOW, LOW)
    _, mean, deviation = normalise(small.astype(float))

    def share_outside(upscaler: EigenfaceUpScaler) -> float:
        normal = (upscaler(small) - mean[:, None, None]) / deviation[:, None, None]
        centred = normal.reshape(20, -1) - subspace.mean
        outside = centred - centred @ subspace.basis @ subspace.basis.T
        return float((outside**2).sum() / (centred**2).sum())

    # Rounding and clipping to grey levels leave the span a little.
    assert share_outside(EigenfaceUpScaler(subspace, "eigenface_map")) < 0.001
    assert share_outside(EigenfaceUpScaler(subspace, "eigenface_lmmse")) > 0.1


def test_what_is_no_face_gets_bicubic_and_is_counted(
    subspace: FaceSubspace, faces25: np.ndarray
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, LOW, LOW)).astype(np.uint8)
    flat = np.full((1, LOW, LOW), 90, np.uint8)
    mixed = np.concatenate([resize_grey(faces25[80:], LOW, LOW), noise, flat])
    upscaler = EigenfaceUpScaler(subspace, max_z_score=2.0)

    rejected = upscaler.falls_back(mixed)

    assert rejected.tolist() == [False] * 20 + [True] * 21
    np.testing.assert_array_equal(upscaler(mixed)[20:], Bicubic(HIGH)(mixed[20:]))


@pytest.mark.parametrize("method", ["eigenface_map", "eigenface_lmmse"])
def test_lighting_and_contrast_come_back_as_they_were(
    method: str, subspace: FaceSubspace, faces25: np.ndarray
) -> None:
    small = resize_grey(faces25[80:], LOW, LOW)
    dull = np.rint(small * 0.4 + 60).astype(np.uint8)
    # An estimate may leave 0..255 and be clipped; only what stays inside scales along.
    upscaler = EigenfaceUpScaler(subspace, method)

    bright, faint = upscaler(small).astype(float), upscaler(dull).astype(float)

    inside = (bright > 0) & (bright < 255)
    assert np.abs(bright * 0.4 + 60 - faint)[inside].max() < 3


def test_class_balance_keeps_a_frequent_class_from_winning(faces25: np.ndarray) -> None:
    mirrored = np.concatenate([faces25[:, :, ::-1][:10], faces25[:90]])
    lit = mirrored.astype(float)
    lit[:10] *= np.linspace(0.2, 1, HIGH)
    lit[10:] *= np.linspace(1, 0.2, HIGH)
    images = lit.astype(np.uint8)
    labels = np.array(["rare"] * 10 + ["frequent"] * 90)

    def tilt(fitted: FaceSubspace) -> float:
        face = fitted.mean.reshape(HIGH, HIGH)
        return float(abs(face[:, :8].mean() - face[:, -8:].mean()))

    plain = fit_subspace(images, components=10, low=LOW)
    balanced = fit_subspace(images, labels=labels, components=10, low=LOW)

    assert tilt(balanced) < 0.5 * tilt(plain)


def test_fitting_twice_gives_the_same_subspace(subspace: FaceSubspace, faces25: np.ndarray) -> None:
    again = fit_subspace(faces25[:80], components=20, noise=0.01, low=LOW)

    small = resize_grey(faces25[80:], LOW, LOW)
    np.testing.assert_array_equal(
        EigenfaceUpScaler(again)(small), EigenfaceUpScaler(subspace)(small)
    )


def test_a_saved_subspace_gives_the_same_pictures(
    subspace: FaceSubspace, faces25: np.ndarray, tmp_path: Path
) -> None:
    small = resize_grey(faces25[80:], LOW, LOW)
    subspace.save(tmp_path / "faces.safetensors")

    loaded = EigenfaceUpScaler(FaceSubspace.load(tmp_path / "faces.safetensors"))

    original = EigenfaceUpScaler(subspace)
    np.testing.assert_array_equal(loaded(small), original(small))


def test_a_truncated_file_is_refused_in_one_sentence(
    subspace: FaceSubspace, tmp_path: Path
) -> None:
    path = tmp_path / "faces.safetensors"
    subspace.save(path)
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(WeightsError, match="cannot be read"):
        FaceSubspace.load(path)


def test_a_missing_file_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="superres-fit"):
        FaceSubspace.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"components": 41}, "need at least 102 faces"),
        ({"labels": np.zeros(3)}, "one label per face"),
    ],
)
def test_faces_that_cannot_carry_a_fit_are_refused(
    options: dict, message: str, faces25: np.ndarray
) -> None:
    with pytest.raises(DataError, match=message):
        fit_subspace(faces25, low=LOW, **{"components": 20, **options})


def test_flat_pictures_are_refused_for_fitting(faces25: np.ndarray) -> None:
    images = faces25.copy()
    images[3] = 7

    with pytest.raises(DataError, match="flat"):
        fit_subspace(images, components=20, low=LOW)


@pytest.mark.parametrize(
    "options", [{"low": 25}, {"low": 4}, {"components": 0}, {"noise": 0.0}, {"noise": 1.0}]
)
def test_options_outside_their_range_are_refused(options: dict, faces25: np.ndarray) -> None:
    with pytest.raises(ConfigError):
        fit_subspace(faces25, **{"components": 20, "low": LOW, **options})
