"""Named training runs: values of one dataclass."""

from __future__ import annotations

from collections.abc import Sequence

from emotion.errors import ConfigError
from train.config.fit import FitConfig, override

_BASELINE = FitConfig()
_CORPORA = ("fer2013", "raf-db", "affectnet")
# Eight to twelve times the work of the CNN per image, so fewer epochs.
_RESNET = override(_BASELINE, backbone="resnet18", sizes=(32, 40, 64), epochs=(4, 7, 2))

RECIPES: dict[str, FitConfig] = {
    "baseline": _BASELINE,
    # The best way to use three corpora on all their validations: docs/experiments/adaptation.md
    "union": override(
        _BASELINE, corpora=_CORPORA, annotation="mean", outlier_exposure=True, degrade=0.2
    ),
    "resnet18": _RESNET,
    # The report's words: Swish, Adam, CosineAnnealingWarmRestarts. Sizes change where a cycle ends.
    "report": override(
        _RESNET,
        activation="silu",
        optimizer="adam",
        weight_decay=1e-4,
        schedule="warm_restarts",
        warmup_epochs=0.0,
        restart_epochs=3,
        restart_factor=1,
        epochs=(6, 6, 3),
    ),
    # What published ResNet-18s for FER-2013 use, with a cosine in place of their step decay.
    "sgd": override(_RESNET, optimizer="sgd", lr=0.05, last_stage_lr=0.02, weight_decay=5e-4),
    "alexnet": override(_BASELINE, backbone="alexnet", sizes=(32, 48, 64), epochs=(20, 6, 3)),
    "quick": override(_BASELINE, epochs=(2,), warmup_epochs=0.3),
    "progressive": override(
        _BASELINE,
        method="progressive",
        corpora=_CORPORA,
    ),
    "bort2": override(
        _BASELINE,
        method="bort2",
        init="embedded",
        epochs=(4,),
        lr=1e-4,
        warmup_epochs=0.2,
    ),
    # Given weights, and a few hundred pictures or more of one's own.
    "finetune": override(
        _BASELINE,
        init="embedded",
        annotation="mean",
        outlier_exposure=True,
        degrade=0.2,
        epochs=(8,),
        lr=3e-4,
        warmup_epochs=0.5,
    ),
    "demo": override(
        _RESNET,
        corpora=("synthetic",),
        sizes=(48, 64),
        epochs=(8, 2),
        widths=(16, 32, 64, 128),
        batch_size=32,
        lr=3e-3,
        last_stage_lr=1e-3,
        ema_decay=0.98,
        erase=0.0,
        head_dropout=0.0,
    ),
}
"""``baseline`` is the default of fit and ``union`` that of ``python -m train``. ``resnet18`` and
``alexnet`` are other networks, ``report`` and ``sgd`` minimise in other ways, ``quick`` takes
minutes, ``demo`` learns drawn faces. ``progressive`` lets other corpora in part by part, ``bort2``
trains given weights against wrong labels, ``finetune`` trains them on, for pictures of one's own.
What else differs in one choice is ``override(RECIPES["baseline"], option=value)``.
"""


def take_recipe(words: Sequence[str]) -> tuple[str, list[str]]:
    """Take ``--recipe NAME`` out of options, the last if there are several.

    It comes first: its values are the defaults that ``--help`` shows and that options override.

    Returns:
        The name, ``baseline`` where none is given, and the other words.
    """
    name, rest = "baseline", []
    remaining = iter(words)
    for word in remaining:
        if word == "--recipe":
            name = next(remaining, name)
        elif word.startswith("--recipe="):
            name = word.removeprefix("--recipe=")
        else:
            rest.append(word)
    return name, rest


def recipe(name: str) -> FitConfig:
    """Return a named run.

    Raises:
        ConfigError: if there is none of that name; it lists them.
    """
    if name not in RECIPES:
        raise ConfigError(f"There is no recipe {name!r}; choose from {', '.join(RECIPES)}.")
    return RECIPES[name]
