"""``python -m train`` without a command: prepare, fit and evaluate what is there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emotion.errors import DataError
from emotion.files import write_text
from train.config import override
from train.face_options import AlignConfig, EvaluateConfig
from train.recipes import recipe

ARCHIVES = {
    "fer2013": ("fer2013.zip", "fer2013", "fer2013.csv"),
    "raf-db": ("raf-db.zip", "raf-db"),
    "affectnet": ("affectnet-yolo.zip", "affectnet.zip", "affectnet"),
}
"""Corpus -> names under which it is looked for in the data folder."""


@dataclass(frozen=True)
class Arguments:
    """Train from the corpora that are there: prepare, fit and evaluate in one go.

    Repeating the command goes on where it stopped.

    Examples: python -m train --data-root ../shared/data; python -m train --demo
    """

    data_root: Path = Path("data")
    """Folder with fer2013.zip, raf-db.zip, affectnet-yolo.zip, or folders of those names."""
    out: Path = Path("runs/union")
    """Folder of the run; the prepared faces go to its folder 'prepared'."""
    recipe: str = "union"
    """Named training, see python -m train fit --help; corpora that are not there are left out."""
    demo: bool = False
    """Draw faces instead of reading a corpus, and train on them for two minutes."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the training, see fit; what is measured is always measured in float32."""


def run(arguments: Arguments) -> int:
    """Prepare, fit and evaluate.

    Raises:
        ConfigError: if the recipe is unknown.
        DataError: if no corpus is there.
    """
    from train.data import has_outliers
    from train.evaluate import evaluate, to_text
    from train.fit import fit
    from train.prepare import PrepareConfig, prepare
    from train.prepared import VALIDATION
    from train.report import to_text as report_text

    config = recipe("demo" if arguments.demo else arguments.recipe)
    corpora = {"synthetic": "synthetic"} if arguments.demo else _find(arguments.data_root)
    wanted = config.data.corpora
    chosen = tuple(corpus for corpus in wanted if corpus in corpora) or tuple(corpora)
    config = override(config, corpora=chosen, precision=arguments.precision)
    prepared = arguments.out / "prepared"
    texts = tuple(corpora[corpus] for corpus in chosen)
    print(report_text(prepare(PrepareConfig(texts, prepared, AlignConfig()))))
    if config.data.outlier_exposure and not has_outliers(chosen, prepared):
        print("There are no neutral faces to show, so outlier exposure is left out.")
        config = override(config, outlier_exposure=False)
    fit(config, prepared, arguments.out, resume=(arguments.out / "fit.json").exists())
    for corpus in chosen:
        result = evaluate(EvaluateConfig(str(arguments.out), corpus, VALIDATION, data=prepared))
        print(to_text(result))
        target = arguments.out / f"{corpus}-{result['split']}.json"
        write_text(target, json.dumps(result, indent=2) + "\n")
    print(f"Use it with: python app.py --weights {arguments.out}")
    return 0


def _find(root: Path) -> dict[str, str]:
    """Return NAME=PATH of every corpus in the data folder."""
    found = {}
    for corpus, names in ARCHIVES.items():
        for name in names:
            if (root / name).exists():
                found[corpus] = f"{corpus}={root / name}"
                break
    if not found:
        places = "; ".join(f"{corpus} as {root / names[0]}" for corpus, names in ARCHIVES.items())
        raise DataError(
            f"There is no corpus in {root}: put {places}, or name their folder with --data-root. "
            "To see everything run without a corpus: python -m train --demo"
        )
    return found
