"""The face subspace behind both eigenface estimators: fitted once, kept as one file.

Gunturk et al., IEEE TIP 12(5):597-606, 2003: eigenfaces of high- and low-resolution faces, and the
statistics of the projected observation noise, estimated from training faces.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from emotion.errors import ConfigError, DataError, WeightsError
from train.superres import files
from train.superres.resize import SOURCE, Floats, GreyImages, resize
from train.superres.upscaler import MIN_CONTRAST

KIND = "face subspace"
_ARRAYS = (
    "mean",
    "basis",
    "variance",
    "low_basis",
    "projected_mean",
    "projected_covariance",
    "log_residual",
)


def normalise(images: Floats) -> tuple[Floats, Floats, Floats]:
    """Bring each image (N, h, w) to mean 0 and standard deviation 1.

    Returns:
        Images (N, h, w), means (N,) and standard deviations (N,) of the given ones. An image
        without contrast stays zero.
    """
    mean = images.mean(axis=(1, 2))
    deviation = images.std(axis=(1, 2))
    safe = np.where(deviation > 0, deviation, 1.0)
    return (images - mean[:, None, None]) / safe[:, None, None], mean, deviation


def observe(faces: Floats, high: int, low: int) -> Floats:
    """Apply H, the antialiased reduction, to flattened images (N, high^2): (N, low^2)."""
    return resize(faces.reshape(-1, high, high), low, low).reshape(len(faces), -1)


def map_gain(observed: Floats, variance: Floats, noise: Floats) -> Floats:
    """Gain of the MAP estimate a* = gain (observation - its mean), Gunturk et al.

    Minimises (y - G a)' R^-1 (y - G a) + a' Lambda^-1 a, hence
    gain = (Lambda^-1 + G' R^-1 G)^-1 G' R^-1.

    Args:
        observed: G (M, L), the eigenfaces as observed: H Phi, or Psi' H Phi.
        variance: diagonal of Lambda (L,); infinite entries give least squares.
        noise: R (M, M), covariance of what else is observed.

    Returns:
        float64 (L, M).
    """
    weighted = np.linalg.solve(noise, observed).T
    return np.asarray(np.linalg.solve(np.diag(1 / variance) + weighted @ observed, weighted))


@dataclass(frozen=True)
class FaceSubspace:
    """Statistics of normalised faces at both resolutions. D = high^2, d = low^2, L components.

    Attributes:
        mean: mu (D,).
        basis: Phi (D, L), orthonormal columns.
        variance: diagonal of Lambda (L,), falling.
        low_basis: Psi (d, L), orthonormal columns.
        projected_mean: m_v (L,) of v = Psi'(H e + n).
        projected_covariance: K (L, L) of v.
        log_residual: mean and standard deviation (2,) of log rms(y - H x_map) over faces held out.
        floor: nu, mean variance of a pixel outside the basis.
        noise: standard deviation of the observation noise, as a share of the picture's own.
        low: side of an observation in px.
        high: side of a face in px.
        faces: number of faces the fit saw.
        explained: share of the variance inside the basis, 0..1.
    """

    mean: Floats
    basis: Floats
    variance: Floats
    low_basis: Floats
    projected_mean: Floats
    projected_covariance: Floats
    log_residual: Floats
    floor: float
    noise: float
    low: int
    high: int
    faces: int
    explained: float

    @cached_property
    def observed_mean(self) -> Floats:
        """H mu (d,)."""
        return np.asarray(observe(self.mean[None], self.high, self.low)[0])

    @cached_property
    def map_centre(self) -> Floats:
        """The observation (d,) whose MAP estimate is the mean face: H mu + Psi m_v."""
        return np.asarray(self.observed_mean + self.low_basis @ self.projected_mean)

    @cached_property
    def map_coefficients(self) -> Floats:
        """Matrix (L, d) from an observation minus ``map_centre`` to the MAP coefficients a*."""
        projected = self.low_basis.T @ self._observed_basis
        gain = map_gain(projected, self.variance, self.projected_covariance)
        return np.asarray(gain @ self.low_basis.T)

    def z_score(self, observations: Floats) -> Floats:
        """How unlike a face each normalised observation (N, d) is: (N,), 0 on average for faces."""
        mean, deviation = self.log_residual
        return np.asarray((self._log_rms_residual(observations) - mean) / deviation)

    def save(self, path: Path) -> None:
        """Write one safetensors file.

        Raises:
            DataError: if it cannot be written.
        """
        facts = {name: getattr(self, name) for name in ("floor", "noise", "low", "high", "faces")}
        files.save_arrays(path, self._arrays(), KIND, facts | {"explained": self.explained})

    @classmethod
    def load(cls, path: Path) -> FaceSubspace:
        """Read a file of ``save``.

        Raises:
            WeightsError: if it is missing, damaged, or of another kind.
        """
        arrays, facts = files.load_arrays(path, KIND)
        scalars: dict[str, Any] = arrays | facts
        try:
            return cls(**scalars)
        except TypeError:
            raise WeightsError(f"{path} was made by another version; make it again.") from None

    @cached_property
    def _observed_basis(self) -> Floats:
        return observe(self.basis.T, self.high, self.low).T

    def _arrays(self) -> files.Arrays:
        return {name: getattr(self, name) for name in _ARRAYS}

    def _log_rms_residual(self, observations: Floats) -> Floats:
        coefficients = (observations - self.map_centre) @ self.map_coefficients.T
        residual = observations - self.observed_mean - coefficients @ self._observed_basis.T
        return np.asarray(np.log(np.sqrt((residual**2).mean(axis=1)) + 1e-12))


def fit_subspace(
    faces: GreyImages,
    *,
    labels: npt.NDArray[Any] | None = None,
    components: int = 200,
    noise: float = 0.03,
    low: int = SOURCE,
    seed: int = 0,
) -> FaceSubspace:
    """Fit eigenfaces and noise statistics on aligned faces.

    Nine tenths are fitted; the residual that tells faces from other pictures is calibrated on the
    last tenth. Use training faces only, framed like the pictures that will be enlarged.

    Args:
        faces: uint8 (N, high, high), N at least 2.5 times ``components``.
        labels: (N,) classes; when given, each class weighs the same, so that frequent expressions
            do not pull every mouth to theirs.
        components: L, number of eigenfaces.
        noise: standard deviation of the observation noise (compression, sensor) as a share of the
            picture's own standard deviation, 0.005..0.9. JPEG at quality 95, as in FER-2013,
            measured 0.03 on faces.
        low: side of the observations in px, below ``high``.
        seed: of the held-out tenth and of the simulated noise.

    Raises:
        ConfigError: if an option is outside its range.
        DataError: if there are too few faces or they are not uint8 (N, high, high).
    """
    _check(faces, labels, components, noise, low)
    random = np.random.default_rng(seed)
    order = random.permutation(len(faces))
    high, held = faces.shape[1], len(faces) // 10
    x, y = _normalised_pairs(faces[order], low, noise, random)
    weights = _weights(None if labels is None else labels[order][held:], len(faces) - held)

    mean = weights @ x[held:]
    observed_mean = observe(mean[None], high, low)[0]
    basis, variance, total = _principal_components(x[held:] - mean, weights, components, seed)
    low_basis, _, _ = _principal_components(y[held:] - observed_mean, weights, components, seed)
    coefficients = (x[held:] - mean) @ basis
    predicted = coefficients @ (low_basis.T @ observe(basis.T, high, low).T).T
    v = (y[held:] - observed_mean) @ low_basis - predicted
    projected_mean = weights @ v
    centred = v - projected_mean
    subspace = FaceSubspace(
        mean=mean,
        basis=basis,
        variance=variance,
        low_basis=low_basis,
        projected_mean=projected_mean,
        projected_covariance=(centred * weights[:, None]).T @ centred,
        log_residual=np.array([0.0, 1.0]),
        floor=float(max(total - variance.sum(), 0.0) / len(mean)),
        noise=noise,
        low=low,
        high=high,
        faces=len(faces),
        explained=float(variance.sum() / total),
    )
    # With mean 0 and deviation 1 the score is the log residual itself.
    residual = subspace.z_score(y[:held])
    return replace(subspace, log_residual=np.array([residual.mean(), residual.std()]))


def _normalised_pairs(
    faces: GreyImages, low: int, noise: float, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Faces (N, D) and their noisy observations (N, d), both by the mean and std of the latter.

    Only the observation is known when a picture is enlarged, so its statistics are used here too.
    """
    images = faces.astype(np.float64)
    clean = resize(images, low, low)
    share = noise / np.sqrt(1 - noise**2)
    deviation = clean.std(axis=(1, 2), keepdims=True)
    y, mean, scale = normalise(clean + share * deviation * random.standard_normal(clean.shape))
    x = (images - mean[:, None, None]) / scale[:, None, None]
    return x.reshape(len(faces), -1), y.reshape(len(faces), -1)


def _principal_components(
    centred: Floats, weights: Floats, components: int, seed: int
) -> tuple[Floats, Floats, float]:
    """Weighted PCA: basis (D, L), variances (L,), and the total variance."""
    scaled = centred * np.sqrt(weights)[:, None]
    total = float((scaled**2).sum())
    size = min(components + 50, *scaled.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _, singular, right = torch.svd_lowrank(torch.from_numpy(scaled), q=size, niter=4)
    return right.numpy()[:, :components].copy(), singular.numpy()[:components] ** 2, total


def _weights(labels: npt.NDArray[Any] | None, count: int) -> Floats:
    """Weight of each face (N,), summing to one, with equal sums per class if there are labels."""
    if labels is None:
        return np.full(count, 1 / count)
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.asarray(1 / (counts[inverse] * len(counts)))


def _check(
    faces: GreyImages, labels: npt.NDArray[Any] | None, components: int, noise: float, low: int
) -> None:
    if faces.dtype != np.uint8 or faces.ndim != 3 or faces.shape[1] != faces.shape[2]:
        shape = "x".join(map(str, faces.shape))
        raise DataError(f"Faces must be uint8, N x side x side, not {faces.dtype} {shape}.")
    if not 8 <= low < faces.shape[1]:
        raise ConfigError(
            f"Observations of {low} px cannot be made from faces of {faces.shape[1]} px; give at "
            "least 8 px and less than the faces have."
        )
    if not 1 <= components <= low * low:
        raise ConfigError(f"The number of components must be 1 to {low * low}, not {components}.")
    if not 0.005 <= noise <= 0.9:
        raise ConfigError(f"The noise must be 0.005 to 0.9 of the contrast, not {noise}.")
    needed = max(20, int(2.5 * components))
    if len(faces) < needed:
        raise DataError(
            f"{components} components need at least {needed} faces, not {len(faces)}; give "
            "more faces or fewer components."
        )
    if labels is not None and labels.shape != (len(faces),):
        raise DataError(f"There must be one label per face: {len(faces)}, not {labels.shape}.")
    if bool((faces.reshape(len(faces), -1).std(axis=1) < MIN_CONTRAST).any()):
        raise DataError("Some faces are flat pictures of one grey; leave them out of the fit.")
