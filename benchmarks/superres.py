"""PSNR and SSIM of every super-resolution method against bicubic, on faces that none was fitted to.

RAF-DB crops of 100x100 px are reduced to 64x64 (the truth) and to 48x48 (the input), once as they
are, once compressed as FER-2013's files are (JPEG, quality 95), and once with sensor noise added
before that. The methods are fitted on some of them and measured on others.

    python -m benchmarks.superres --data-root ../shared/data --fit 3000 --evaluate 500
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage.metrics import structural_similarity

from benchmarks import _rows
from emotion.errors import EmotionError
from train.superres import SOURCE, TARGET, Bicubic, UpScaler, resize_grey
from train.superres.eigenface import EigenfaceUpScaler
from train.superres.pictures import Faces, read_faces
from train.superres.subspace import fit_subspace
from train.superres.zero_shot import ZeroShot, train_start, zero_shot_from_nothing
from train.superres.zero_shot_published import ZeroShotPerImage

JPEG_QUALITY = 95  # the quantisation tables of FER-2013's files
NOISE = 5.0  # standard deviation in grey levels

Images = npt.NDArray[np.uint8]


def main() -> int:
    """Fit, measure, print a Markdown table, and write JSON if asked to."""
    args = _arguments()
    try:
        faces = read_faces(
            args.data_root / "raf-db.zip",
            TARGET,
            inside="DATASET/train",
            limit=args.fit + args.evaluate,
            seed=args.seed,
        )
        order = np.random.default_rng(args.seed).permutation(len(faces.images))
        fitted, held_out = order[args.evaluate :], order[: args.evaluate]
        methods = build_methods(faces, fitted, args.seed)
    except EmotionError as error:
        print(error, file=sys.stderr)
        return 2
    truth = faces.images[held_out]
    rows = [
        measure(name, upscaler, condition, degrade(truth), truth)
        for condition, degrade in degradations(args.seed).items()
        for name, upscaler in methods.items()
    ]
    if args.slow:
        few = truth[: args.slow]
        slow = {
            "bicubic": Bicubic(),
            "zssr, no start": zero_shot_from_nothing(),
            "zssr_per_image": ZeroShotPerImage(),
        }
        small = resize_grey(few, SOURCE, SOURCE)
        rows += [measure(n, u, f"clean, first {args.slow}", small, few) for n, u in slow.items()]
    print(f"Fitted on {len(fitted)} faces, measured on {len(held_out)} others.\n")
    print(table(rows))
    _rows.write(args.json, rows, fit=len(fitted), evaluate=len(held_out), seed=args.seed)
    return 0


def build_methods(faces: Faces, fitted: npt.NDArray[np.int64], seed: int) -> dict[str, UpScaler]:
    """Fit every method with its defaults on the chosen faces."""
    images, labels = faces.images[fitted], faces.labels[fitted]
    subspace = fit_subspace(images, labels=labels, seed=seed)
    start = train_start(resize_grey(images, SOURCE, SOURCE), seed=seed)
    return {
        "bicubic": Bicubic(),
        "eigenface_map": EigenfaceUpScaler(subspace, "eigenface_map"),
        "eigenface_lmmse": EigenfaceUpScaler(subspace, "eigenface_lmmse"),
        "zssr, 0 steps": ZeroShot(start, steps=0),
        "zssr": ZeroShot(start),
        "zssr, 1 back-projection": ZeroShot(start, back_projections=1),
    }


def degradations(seed: int) -> dict[str, Callable[[Images], Images]]:
    """Ways from the truth (N, 64, 64) to the input (N, 48, 48)."""

    def clean(truth: Images) -> Images:
        return resize_grey(truth, SOURCE, SOURCE)

    def noisy(truth: Images) -> Images:
        random = np.random.default_rng(seed)
        values = clean(truth) + NOISE * random.standard_normal((len(truth), SOURCE, SOURCE))
        return compress(np.rint(np.clip(values, 0, 255)).astype(np.uint8))

    return {
        "clean": clean,
        f"JPEG {JPEG_QUALITY}": lambda truth: compress(clean(truth)),
        f"noise {NOISE:.0f}, JPEG {JPEG_QUALITY}": noisy,
    }


def compress(images: Images) -> Images:
    """Write and read every image as JPEG."""
    compressed = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY)
        compressed.append(np.asarray(Image.open(buffer)))
    return np.stack(compressed)


def measure(
    name: str, upscaler: UpScaler, condition: str, small: Images, truth: Images
) -> dict[str, str | float]:
    """Compare one method with the truth and with bicubic, picture by picture."""
    upscaler(small[:1])  # what is computed once per method is not a picture's cost
    started = time.process_time()
    enlarged = upscaler(small)
    seconds = time.process_time() - started
    gain = psnr(enlarged, truth) - psnr(Bicubic()(small), truth)
    return {
        "input": condition,
        "method": name,
        "psnr_db": float(psnr(enlarged, truth).mean()),
        "gain_db": float(gain.mean()),
        "gain_standard_error_db": float(gain.std(ddof=1) / np.sqrt(len(gain))),
        "ssim": float(np.mean([ssim(a, b) for a, b in zip(enlarged, truth, strict=True)])),
        "fell_back": float(upscaler.falls_back(small).mean()),
        "cpu_ms_per_picture": 1000 * seconds / len(small),
    }


def psnr(images: Images, truth: Images) -> npt.NDArray[np.float64]:
    """Peak signal-to-noise ratio of each picture in dB."""
    error = ((images.astype(np.float64) - truth) ** 2).mean(axis=(1, 2))
    return 10 * np.log10(255**2 / error)


def ssim(image: Images, truth: Images) -> float:
    """Structural similarity with the Gaussian window of Wang et al., 2004."""
    return float(
        structural_similarity(
            image,
            truth,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def table(rows: list[dict[str, str | float]]) -> str:
    """Markdown, one row per input and method."""
    lines = [
        "| input | method | PSNR dB | gain over bicubic | SSIM | fell back | CPU ms per picture |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['input']} | {row['method']} | {row['psnr_db']:.2f} | {row['gain_db']:+.2f} ± "
        f"{row['gain_standard_error_db']:.2f} | {row['ssim']:.4f} | {row['fell_back']:.1%} | "
        f"{row['cpu_ms_per_picture']:.1f} |"
        for row in rows
    ]
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="holds raf-db.zip")
    parser.add_argument("--fit", type=int, default=3000, help="faces to fit on")
    parser.add_argument("--evaluate", type=int, default=500, help="faces to measure on")
    parser.add_argument(
        "--slow", type=int, default=0, help="measure training from nothing on that many faces"
    )
    parser.add_argument("--seed", type=int, default=0)
    _rows.add_option(parser)
    args = parser.parse_args()
    if args.evaluate < 2 or args.slow == 1 or not 0 <= args.slow <= args.evaluate:
        parser.error("--evaluate must be 2 or more, --slow 0 or from 2 to --evaluate")
    return args


if __name__ == "__main__":
    sys.exit(main())
