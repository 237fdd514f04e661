"""Named training runs: values of one dataclass."""

from __future__ import annotations

from train.config import FitConfig

RECIPES: dict[str, FitConfig] = {
    "baseline": FitConfig(),
    "report": FitConfig(activation="silu"),
    "quick": FitConfig(sizes=(32, 40), epochs=(2, 1), max_pool=True, warmup_epochs=0.3),
    "demo": FitConfig(
        corpora=("synthetic",), sizes=(64,), epochs=(4,), widths=(16, 32, 64, 128), ema_decay=0.98
    ),
}
"""``baseline`` made the embedded weights, ``quick`` takes minutes, ``demo`` learns drawn faces."""
