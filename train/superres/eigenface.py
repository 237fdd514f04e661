"""Super-resolution in the space of eigenfaces: the MAP estimator and its full Gaussian form.

B. K. Gunturk, A. U. Batur, Y. Altunbasak, M. H. Hayes and R. M. Mersereau, "Eigenface-domain
super-resolution for face recognition", IEEE TIP 12(5):597-606, 2003. One observed frame, so that
the paper's iteration has a closed form. Notation: x high-resolution face (D,), y = H x + n its
observation (d,), x = mu + Phi a + e, a ~ N(0, Lambda), Psi eigenfaces of the observations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from train.superres.resize import Floats, GreyImages, resize_grey, resize_matrix, to_grey_levels
from train.superres.subspace import FaceSubspace, normalise, observe
from train.superres.upscaler import MIN_CONTRAST, check_images

CORRELATION_LENGTH = 1.2
"""Length in px of the Gaussian correlation of what the eigenfaces leave over."""

MAX_Z_SCORE = 3.0
"""A picture whose log residual lies further above that of unseen faces is not taken for one."""

_BATCH = 512


def lmmse_gain(cross: Floats, observed: Floats, noise: float) -> Floats:
    """Gain of the linear minimum mean square error estimator x* = mu + gain (y - H mu).

    gain = S H' (H S H' + noise I)^-1: the posterior mean under x ~ N(mu, S), which is the paper's
    MAP estimate when S = Phi Lambda Phi'.

    Args:
        cross: S H', (D, d).
        observed: H S H', (d, d).
        noise: variance of the observation noise, not negative.

    Returns:
        float64 (D, d).
    """
    total = observed + noise * np.eye(len(observed))
    return np.asarray(np.linalg.solve(total, cross.T).T)


def face_covariances(subspace: FaceSubspace) -> tuple[Floats, Floats]:
    """Covariances of S = Phi Lambda Phi' + nu (k kron k) with the observation.

    The second term lets the estimate leave the span of the eigenfaces: nu is the mean variance
    outside them and k the Gaussian correlation exp(-r^2 / (2 length^2)) along one axis.

    Returns:
        S H' (D, d) and H S H' (d, d).
    """
    reduce = resize_matrix(subspace.high, subspace.low)
    distance = np.subtract.outer(np.arange(subspace.high), np.arange(subspace.high))
    smooth = np.exp(-0.5 * (distance / CORRELATION_LENGTH) ** 2)
    smooth_reduced = smooth @ reduce.T
    twice_reduced = reduce @ smooth_reduced
    seen = observe(subspace.basis.T, subspace.high, subspace.low).T
    weighted = seen * subspace.variance
    cross = subspace.basis @ weighted.T + subspace.floor * np.kron(smooth_reduced, smooth_reduced)
    observed = weighted @ seen.T + subspace.floor * np.kron(twice_reduced, twice_reduced)
    return cross, observed


@dataclass(frozen=True)
class EigenfaceUpScaler:
    """Applies one matrix to every picture that looks like a face; the rest gets bicubic.

    Each picture is brought to mean 0 and standard deviation 1 and back, so that lighting and
    contrast are neither learned nor changed.

    Attributes:
        subspace: what was fitted.
        method: which estimator.
        max_z_score: limit of the residual |y - H x_map| in standard deviations of its logarithm
            over faces that were not part of the fit.
    """

    subspace: FaceSubspace
    method: Literal["eigenface_map", "eigenface_lmmse"] = "eigenface_lmmse"
    max_z_score: float = MAX_Z_SCORE

    def falls_back(self, images: GreyImages) -> npt.NDArray[np.bool_]:
        """Tell which pictures get bicubic: other sizes, no contrast, or not like a face.

        Args:
            images: uint8 (N, h, w).

        Returns:
            Bool (N,).
        """
        check_images(images, self.subspace.high)
        if images.shape[1:] != (self.subspace.low, self.subspace.low):
            return np.ones(len(images), bool)
        rejected = np.empty(len(images), bool)
        for start in range(0, len(images), _BATCH):
            part = images[start : start + _BATCH].astype(np.float64)
            rejected[start : start + _BATCH] = self._rejects(part)
        return rejected

    def __call__(self, images: GreyImages) -> GreyImages:
        """Enlarge uint8 (N, low, low) to (N, high, high); see ``UpScaler``."""
        rejected = self.falls_back(images)
        high = self.subspace.high
        enlarged = np.empty((len(images), high, high), np.uint8)
        enlarged[rejected] = resize_grey(images[rejected], high, high)
        chosen = np.flatnonzero(~rejected)
        for start in range(0, len(chosen), _BATCH):
            part = chosen[start : start + _BATCH]
            enlarged[part] = self._restore(images[part].astype(np.float64))
        return enlarged

    def _rejects(self, images: Floats) -> npt.NDArray[np.bool_]:
        normal, _, deviation = normalise(images)
        score = self.subspace.z_score(normal.reshape(len(images), -1))
        return np.asarray((deviation < MIN_CONTRAST) | (score > self.max_z_score))

    def _restore(self, images: Floats) -> GreyImages:
        normal, mean, deviation = normalise(images)
        centre, gain = self._affine
        difference = normal.reshape(len(images), -1) - centre
        faces = (self.subspace.mean + difference @ gain.T).reshape(len(images), *self._shape)
        return to_grey_levels(faces * deviation[:, None, None] + mean[:, None, None])

    @property
    def _shape(self) -> tuple[int, int]:
        return self.subspace.high, self.subspace.high

    @cached_property
    def _affine(self) -> tuple[Floats, Floats]:
        """The observation (d,) that gives the mean face, and the matrix (D, d) around it."""
        if self.method == "eigenface_lmmse":
            cross, observed = face_covariances(self.subspace)
            return self.subspace.observed_mean, lmmse_gain(cross, observed, self.subspace.noise**2)
        gain = self.subspace.basis @ self.subspace.map_coefficients
        return self.subspace.map_centre, gain
