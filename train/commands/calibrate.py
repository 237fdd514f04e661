"""``python -m train calibrate``: offsets, temperatures and threshold of finished weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion.errors import ConfigError, DataError, WeightsError
from emotion.labels import LABELS
from train.config.options import COVERAGE


@dataclass(frozen=True)
class Arguments:
    """Fit class offsets, temperatures and abstain threshold of finished weights anew.

    They are written to RUN/config.json, and what they achieve to RUN/calibration.json. The tensors
    stay as they are. fit does the same at its end.

    Example: python -m train calibrate --run runs/mine --data prepared
    """

    run: Path
    """Folder with config.json and model.safetensors."""
    data: Path
    """Folder that prepare wrote."""
    corpora: tuple[str, ...] = ()
    """Whose validation faces are used; by default those that the weights were trained on."""
    coverage: float = COVERAGE
    """Share of expressive faces that are answered with an expression; the others, and those like
    them, are "not sure" or calm."""
    exclude: Path | None = None
    """File with one sample id per line, left out (see python -m train copies)."""


def run(arguments: Arguments) -> int:
    """Calibrate and print the figures.

    Raises:
        ConfigError: if the coverage is no share, or the crops have another zoom than the weights.
        DataError: if the faces are missing or were trained on, or RUN cannot be written.
        WeightsError: if RUN holds no weights.
    """
    from functools import partial

    import torch
    from tqdm import tqdm

    from emotion.align import CROP_SIZE
    from emotion.network import Outputs
    from emotion.weights import load_weights
    from train.faces.copies import Excluded
    from train.faces.prepared import VALIDATION, check_zoom, read_rows
    from train.faces.store import from_dataset, read_neutral
    from train.scoring.calibrate import ask
    from train.scoring.calibrate_network import calibrate_network, write_calibration
    from train.scoring.inference import pooled_features

    if not 0 < arguments.coverage <= 1:
        raise ConfigError(f"--coverage must lie in (0, 1], not {arguments.coverage}.")
    if not arguments.run.is_dir():
        raise WeightsError(f"{arguments.run} is no folder; give one with config.json and weights.")
    network = load_weights(str(arguments.run))

    def answer(faces: torch.Tensor) -> Outputs:
        parts = tqdm(torch.split(faces, 128), "classifying", leave=False)
        pooled = torch.cat([pooled_features(network, part, CROP_SIZE) for part in parts])
        return network.read_out(pooled)

    check_zoom(arguments.data, network.config.zoom)
    corpora = _choose_corpora(arguments, network.config.trained_on)
    excluded = Excluded(arguments.exclude)
    validation = {
        corpus: from_dataset(excluded.leave_out(read_rows(arguments.data, corpus, VALIDATION)))
        for corpus in corpora
    }
    excluded.check_used()
    neutral = read_neutral(arguments.data, corpora)
    asked = partial(ask, answer, validation, neutral)
    values, figures = calibrate_network(network, asked, arguments.coverage)
    figures["excluded"] = excluded.count
    write_calibration(arguments.run, values, figures)
    print(to_text(figures))
    print(f"Wrote config.json and calibration.json in {arguments.run}.")
    return 0


def _choose_corpora(arguments: Arguments, trained_on: tuple[str, ...]) -> list[str]:
    from train.faces.prepared import VALIDATION, official_split, prepared_corpora

    prepared = prepared_corpora(arguments.data)
    known = {split.partition("/")[0] for split in trained_on}
    chosen = list(arguments.corpora) or [corpus for corpus in prepared if corpus in known]
    if not chosen:
        raise DataError(
            f"{arguments.data} holds none of the corpora that the weights were trained on "
            f"(found: {', '.join(prepared) or 'nothing'}); name some with --corpora."
        )
    for corpus in chosen:
        split = f"{corpus}/{official_split(corpus, VALIDATION)}"
        if split in trained_on:
            raise DataError(
                f"The weights {arguments.run} were trained on {split}, so it cannot calibrate them."
            )
    return chosen


def to_text(figures: dict[str, Any]) -> str:
    """Render the figures for a terminal."""
    offsets = zip(LABELS, figures["class_offsets"], strict=True)
    lines = [
        *_convention_lines(figures),
        f"temperature {figures['temperature']} (from {figures['temperatures'][0]:.3f} to "
        f"{figures['temperatures'][-1]:.3f}), not sure below {figures['abstain_below']} "
        f"(answers {figures['coverage']:.0%} of expressive faces)",
        f"offsets {', '.join(f'{name} {value:+.2f}' for name, value in offsets)}",
        "split               images  accuracy  without  ECE at 1  constant  calibrated  no name"
        "  calm  neutral no name  AUROC",
    ]
    for name, row in figures["corpora"].items():
        line = (
            f"{name:18} {row['n']:7}    {row['accuracy']:.4f}   {row['accuracy_before']:.4f}"
            f"    {row['ece_before']:.4f}    {row['ece_constant']:.4f}"
            f"      {row['ece_after']:.4f}"
            f"     {1 - row['answered']:6.1%}  {row.get('called_calm', 0):4.0%}"
        )
        if row["neutral"]:
            score = row.get("auroc_calm", row["auroc"])
            line += f"           {1 - row['neutral_answered']:6.1%}  {score:.3f}"
        lines.append(line)
    return "\n".join(lines)


def _convention_lines(figures: dict[str, Any]) -> list[str]:
    """Say which layer answers, and what each reaches at the calibration of the other half."""
    lines = []
    for name, layer in figures.get("conventions", {}).items():
        scores = ", ".join(
            f"{split} {row['accuracy_crossed']:.4f}/{row['macro_f1_crossed']:.4f}"
            for split, row in layer["corpora"].items()
        )
        answers = " (answers)" if name == figures["convention"] else ""
        lines.append(f"{name}{answers}: accuracy/macro F1, crossed: {scores}")
    return lines
