"""``python -m train domains``: is adaptation worth it, compared with simply joining the corpora?"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from emotion.errors import ConfigError, DataError
from emotion.files import write_bytes, write_text
from train.config.fit import FitConfig, override
from train.config.recipes import recipe
from train.scoring.history import UNRECORDED, precision_of, seconds_of
from train.seeds import finished, summarise, to_cell, train_once

_PROGRESSIVE, _BORT2 = "progressive", "progressive + BORT²"


@dataclass(frozen=True)
class Arguments:
    """Compare one corpus, the union of all under three samplings, progressive, and BORT² on top.

    Every arm is trained with every seed, on as many steps as the union in --epochs; the trials of
    the progressive arm come on top, the table shows what each took. What is finished is not
    repeated, so repeat the command after a stop.

    Example: python -m train domains --data prepared --out runs/domains --limit 3000 --epochs 12
    """

    data: Path
    """Folder that prepare wrote."""
    out: Path
    """Folder of the runs, of study.json and study.md, and of the figures."""
    corpora: tuple[str, ...] = ("fer2013", "raf-db", "affectnet")
    """The first is the target."""
    limit: int = 3000
    """Training faces of each corpus, the same share of every class; 0 uses all."""
    epochs: int = 12
    """Epochs of the union."""
    bort2_epochs: int = 3
    """Epochs of BORT² on the target."""
    size: int = 64
    """Side in px of the crops."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """Each arm is trained once with each."""
    widths: tuple[int, ...] = ()
    """Channels of the network's stages; by default its own. Narrow ones try the command out."""
    ema_decay: float = 0.99
    """Of the averaged weights; it must forget within an epoch, or a trial changes nothing."""
    threads: int = 0
    """CPU threads; 0 takes all."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the trainings, see fit; what is measured is always measured in float32."""


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        name: in the table.
        config: what to train; the seed is not yet in it.
        after: the arm whose weights it starts from, with the same seed.
    """

    name: str
    config: FitConfig
    after: str | None = None


def run(arguments: Arguments) -> int:
    """Train what is not finished, and write and print table and figures.

    Raises:
        ConfigError: if there is nothing to compare, an option cannot work, or ``out`` holds a study
            with other options.
        DataError: if the data are missing, or ``out`` cannot be written.
    """
    if len(arguments.corpora) < 2 or not arguments.seeds:
        raise ConfigError("The study needs two corpora or more, and a seed.")
    from train.training.checks import check_claim
    from train.training.network import follow_weights

    arms = list(_arms(arguments))
    for seed in arguments.seeds:
        for arm in arms:
            folder = _folder(arguments.out, arm.name, seed)
            config = _config(arm, seed, arguments)
            if finished(folder):
                check_claim(follow_weights(config), folder, resume=True)
            else:
                print(f"{arm.name}, seed {seed} ({folder})", flush=True)
                _train(arm, config, folder, arguments)
            rows = [_row(arm, arguments) for arm in arms]
            write_text(arguments.out / "study.json", json.dumps(rows, indent=1) + "\n")
    from train.domains.progressive.figures import plot_shards, plot_study, plot_trials

    text = to_markdown(rows, arguments) + _trials_to_markdown(arguments)
    write_text(arguments.out / "study.md", text)
    write_bytes(arguments.out / "study.svg", plot_study(rows))
    logs = {seed: _read_log(_folder(arguments.out, _PROGRESSIVE, seed)) for seed in arguments.seeds}
    write_bytes(arguments.out / "shards.svg", plot_shards(logs[arguments.seeds[0]]))
    write_bytes(arguments.out / "trials.svg", plot_trials(logs))
    print(text)
    return 0


def _arms(arguments: Arguments) -> Iterator[Arm]:
    from train.training.data import read_data

    base = override(
        recipe("baseline"),
        corpora=arguments.corpora,
        limit=arguments.limit,
        sizes=(arguments.size,),
        epochs=(arguments.epochs,),
        widths=arguments.widths,
        ema_decay=arguments.ema_decay,
        threads=arguments.threads,
        precision=arguments.precision,
    )
    target = arguments.corpora[0]
    parts = read_data(base, arguments.data).parts
    longer = sum(len(part) for part in parts.values()) / len(parts[target])
    alone = override(base, corpora=(target,))
    yield Arm(f"{target} only", override(alone, epochs=(round(arguments.epochs * longer),)))
    yield Arm("union, natural sampling", base)
    for sampling in ("sqrt", "uniform"):
        config = override(base, sampling=sampling, class_weights="none")
        yield Arm(f"union, {sampling} sampling", config)
    yield Arm(
        _PROGRESSIVE,
        override(base, method="progressive", target_epochs=max(1, arguments.epochs // 4)),
    )
    bort2 = recipe("bort2")
    yield Arm(
        _BORT2,
        override(
            alone,
            method="bort2",
            epochs=(arguments.bort2_epochs,),
            lr=bort2.optimizer.lr,
            warmup_epochs=bort2.schedule.warmup_epochs,
        ),
        after=_PROGRESSIVE,
    )


def _folder(out: Path, name: str, seed: int) -> Path:
    words = "".join(c if c.isalnum() else " " for c in name.replace("²", "2")).split()
    return out / f"{'-'.join(words).lower()}-{seed}"


def _config(arm: Arm, seed: int, arguments: Arguments) -> FitConfig:
    config = replace(arm.config, seed=seed)
    if arm.after:
        config = override(config, init=str(_folder(arguments.out, arm.after, seed)))
    return config


def _train(arm: Arm, config: FitConfig, folder: Path, arguments: Arguments) -> None:
    """Train an arm, and score the kept weights on every corpus's validation faces."""
    from emotion.weights import load_weights
    from train.scoring.inference import predict_logits
    from train.scoring.metrics import evaluate_probabilities
    from train.training.data import read_data

    everything = override(arm.config, corpora=arguments.corpora, limit=0)

    def score(_best: dict[str, Any]) -> dict[str, Any]:
        network = load_weights(str(folder))
        scores = {}
        for corpus, faces in read_data(everything, arguments.data).validation.items():
            logits = predict_logits(network, faces.faces, arguments.size)
            result = evaluate_probabilities(logits.softmax(1).numpy(), faces.labels.numpy())
            scores[corpus] = {name: result[name] for name in ("accuracy", "macro_f1")}
        return {
            "seconds": seconds_of(folder),
            "precision": precision_of(folder),
            "scores": scores,
        }

    train_once(config, arguments.data, folder, score)


def _row(arm: Arm, arguments: Arguments) -> dict[str, Any]:
    """Collect the finished seeds of an arm."""
    results = {seed: finished(_folder(arguments.out, arm.name, seed)) for seed in arguments.seeds}
    done = {seed: result for seed, result in results.items() if result}
    per_corpus = {
        corpus: [run["scores"][corpus]["macro_f1"] for run in done.values()]
        for corpus in arguments.corpora
    }
    return {
        "name": arm.name,
        "seeds": list(done),
        "precision": [run.get("precision", UNRECORDED) for run in done.values()],
        "minutes": [run["seconds"] / 60 for run in done.values()],
        "macro_f1": per_corpus,
        "scores": [statistics.fmean(values) for values in zip(*per_corpus.values(), strict=True)],
    }


def to_markdown(rows: Sequence[dict[str, Any]], arguments: Arguments) -> str:
    """Render the study's table, and say which arm is the best."""
    corpora = arguments.corpora
    lines = [
        f"| macro F1 (validation) | seeds | {' | '.join(corpora)} | mean | minutes a run |",
        f"|---|---|{'---|' * len(corpora)}---|---|",
    ]
    for row in rows:
        scores = [*(row["macro_f1"][corpus] for corpus in corpora), row["scores"]]
        cells = [to_cell(summarise(values)) for values in scores]
        minutes = f"{statistics.fmean(row['minutes']):.1f}" if row["minutes"] else ""
        values = (row["name"], str(len(row["seeds"])), *cells, minutes)
        lines.append(f"| {' | '.join(values)} |")
    scored = [row for row in rows if row["scores"]]
    best = max(scored, key=lambda row: statistics.fmean(row["scores"]))
    from train.training.precision import sentence  # torch, which --help need not wait for

    said = sentence({row["name"]: row["precision"] for row in rows})
    best_line = f"The best by the mean of the corpora: {best['name']}."
    return "\n".join([*lines, "", said, best_line, ""])


def _trials_to_markdown(arguments: Arguments) -> str:
    """List what the progressive runs accepted and rejected, and why."""
    lines = [
        "",
        "| seed | corpus | relevance from | faces | state | without | with | loss probable |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for seed in arguments.seeds:
        for line in _read_log(_folder(arguments.out, _PROGRESSIVE, seed)):
            if line["event"] != "group":
                continue
            numbers = [
                f"{line[name]:.3f}" if name in line else ""
                for name in ("control", "trial", "drop_probability")
            ]
            start = (str(seed), line["corpus"], f"{line['threshold']:g}", str(line["images"]))
            lines.append(f"| {' | '.join((*start, line['state'], *numbers))} |")
    return "\n".join(lines) + "\n"


def _read_log(folder: Path) -> list[dict[str, Any]]:
    from train.domains.progressive.trainer import LOG

    try:
        return [json.loads(line) for line in (folder / LOG).read_text("utf-8").splitlines()]
    except (OSError, ValueError):
        raise DataError(
            f"{folder / LOG} is missing or damaged; remove {folder} to train it anew."
        ) from None
