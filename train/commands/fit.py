"""``python -m train fit``: one training run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from train.config.fit import FitConfig
from train.config.methods import check_words, chosen_method, hide_others, plain, with_types
from train.config.recipes import recipe, take_recipe


@dataclass(frozen=True)
class Arguments:
    """Train a network on prepared faces.

    Examples: python -m train fit --data prepared --out runs/mine --recipe quick --seed 3;
    torchrun --nproc-per-node 4 -m train fit --data prepared --out runs/mine --batch-size 256
    """

    data: Path
    """Folder that prepare wrote."""
    out: Path
    """Folder of the run."""
    recipe: str = "baseline"
    """Named values of the fields below; fields given here override them."""
    resume: bool = False
    """Continue the run in --out from its newest checkpoint."""
    config: Annotated[FitConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=FitConfig)


def defaults(words: list[str]) -> Arguments:
    """Return the arguments before the command line is read: a recipe's values.

    Help shows the options of the chosen method alone.

    Raises:
        ConfigError: if there is no such recipe, or an option is another method's.
    """
    name, _ = take_recipe(words)
    config = recipe(name)
    method = chosen_method(words, config.adaptation.method)
    check_words(words, method)
    shown = hide_others(config, method)
    values = Arguments(data=tyro.MISSING, out=tyro.MISSING, recipe=name, config=shown)
    typed: Arguments = with_types(
        values, {"config": Annotated[type(shown), tyro.conf.OmitArgPrefixes]}
    )
    return typed


def run(arguments: Arguments) -> int:
    """Train, and say what was kept.

    Raises:
        EmotionError: if options, data or weights cannot be used, or the folder not written.
    """
    from train.fit import fit

    best = fit(plain(arguments.config), arguments.data, arguments.out, resume=arguments.resume)
    if int(os.environ.get("RANK", "0")):
        return 0  # the first of several processes reports
    print(
        f"Kept epoch {best['epoch']}: validation accuracy {best['accuracy']:.4f}, macro F1 "
        f"{best['macro_f1']:.4f}. Use it with --weights {arguments.out}"
    )
    return 0
