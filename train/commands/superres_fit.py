"""``python -m train superres-fit``: the models of the super-resolution methods."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emotion.errors import ConfigError
from train.superres import SOURCE, TARGET


@dataclass(frozen=True)
class Arguments:
    """Fit the model that eigenface_map, eigenface_lmmse or zssr needs.

    Use the training split only, framed like the pictures that will be enlarged.

    For example:

    python -m train superres-fit --faces raf-db.zip --inside DATASET/train --out eigen.safetensors

    python -m train superres-fit --kind zssr --faces fer2013.zip --inside train --out z.safetensors
    """

    faces: Path
    """Folder or zip archive of pictures, or a .npy file of uint8 (N, height, width)."""

    out: Path
    """File to write (.safetensors)."""

    kind: Literal["eigenface", "zssr"] = "eigenface"
    """eigenface learns from pictures of at least 64x64, zssr from small ones (48x48)."""

    inside: str = ""
    """Take only pictures below this folder of the source."""

    limit: int = 10000
    """Take at most this many pictures, drawn at random."""

    components: int = 200
    """Number of eigenfaces."""

    noise: float = 0.03
    """Noise of the small pictures as a share of their contrast (eigenface)."""

    balance: bool = True
    """Give every class folder the same weight, lest frequent ones win (eigenface)."""

    steps: int = 2000
    """Training steps (zssr)."""

    seed: int = 0
    """Of every random choice."""


def run(args: Arguments) -> int:
    """Fit a model, write it, and print what it is made of.

    Raises:
        EmotionError: if the faces, an option or the output cannot be used.
    """
    from train.superres.pictures import read_faces
    from train.superres.subspace import fit_subspace
    from train.superres.zero_shot import train_start

    if args.limit < 1:
        raise ConfigError(f"The limit must be 1 or more, not {args.limit}.")
    side = TARGET if args.kind == "eigenface" else SOURCE
    faces = read_faces(args.faces, side, inside=args.inside, limit=args.limit, seed=args.seed)
    print(f"Read {len(faces.images)} pictures at {side}x{side}; {faces.too_small} were smaller.")
    for line in faces.left_out:
        print(f"Left out {line}")
    started = time.perf_counter()
    if args.kind == "eigenface":
        subspace = fit_subspace(
            faces.images,
            labels=faces.labels if args.balance else None,
            components=args.components,
            noise=args.noise,
            low=SOURCE,
            seed=args.seed,
        )
        subspace.save(args.out)
        print(f"{args.components} eigenfaces hold {subspace.explained:.1%} of the variance.")
    else:
        train_start(faces.images, steps=args.steps, seed=args.seed).save(args.out)
    print(f"Wrote {args.out} after {time.perf_counter() - started:.0f} s.")
    return 0
