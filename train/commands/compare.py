"""``python -m train compare``: several trainings under one budget, over seeds, in one table."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro
import yaml

from emotion.errors import ConfigError, DataError, EmotionError
from emotion.files import write_text
from train.config.fit import FitConfig, to_json
from train.config.methods import check_words, chosen_method
from train.config.recipes import recipe, take_recipe
from train.scoring.history import UNRECORDED, precision_of, seconds_of
from train.seeds import finished, summarise, to_cell, train_once

_SCORES = ("accuracy", "macro_f1")
_SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Arguments:
    """Train several variants under one budget and put their validation scores in one table.

    A variant is a name and options of fit. Every variant is trained once per seed, one after the
    other; what is finished is not repeated, so repeat the command after a stop, or with more.

    Examples: python -m train compare --data prepared --out runs/activation
    --common="--limit 6000 --sizes 32 --epochs 10" --variant "ReLU: --activation relu"
    --variant "SiLU: --activation silu"; python -m train compare --data prepared
    --out runs/choices --plan docs/plans/choices.yaml
    """

    data: Path
    """Folder that prepare wrote."""
    out: Path
    """Folder of the runs and of compare.json and compare.md."""
    variant: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """NAME: OPTIONS, may be repeated; the first is what the others are compared with."""
    common: str = ""
    """Options of all variants: the budget. --recipe is one, too. Write --common="--limit 6000"."""
    seeds: tuple[int, ...] = ()
    """Each variant is trained once with each; by default those of the plan, or 1 2 3."""
    plan: Path | None = None
    """YAML file with common, seeds, and comparisons: a title and its variants for each."""
    only: tuple[str, ...] = ()
    """Titles of the plan's comparisons to train now; by default all. The tables show every one."""


@dataclass(frozen=True)
class Comparison:
    """Variants that differ in one choice.

    Attributes:
        title: what is compared.
        variants: name -> config; the seed is not yet in it. The first is the reference.
    """

    title: str
    variants: dict[str, FitConfig]


def run(arguments: Arguments) -> int:
    """Train what is not finished, and write and print the tables.

    Raises:
        ConfigError: if the plan or an option cannot be used; nothing is trained then.
        DataError: if the data are missing, ``out`` cannot be written, or some trainings failed; the
            others are in the tables.
    """
    from train.faces.prepared import prepared_fingerprint

    comparisons, seeds = read_plan(arguments)
    runs = _Runs(arguments.out, prepared_fingerprint(arguments.data))
    wanted = {
        runs.folder(config, seed): (
            f"{comparison.title}, {name}, seed {seed}",
            replace(config, seed=seed),
        )
        for comparison in comparisons
        if not arguments.only or comparison.title in arguments.only
        for name, config in comparison.variants.items()
        for seed in seeds
    }
    failed = []
    for number, (folder, (description, config)) in enumerate(wanted.items(), 1):
        if not finished(folder):
            print(f"Run {number} of {len(wanted)}: {description} ({folder})", flush=True)
            try:
                train_once(config, arguments.data, folder, partial(_with_seconds, folder))
            except EmotionError as error:
                failed.append(f"{description}: {error}")
        _write_tables(comparisons, seeds, runs)
    print((arguments.out / "compare.md").read_text("utf-8"))
    if failed:
        raise DataError(
            f"{len(failed)} of {len(wanted)} trainings failed and are not in the tables; the "
            f"first: {failed[0]}"
        )
    return 0


def read_plan(arguments: Arguments) -> tuple[list[Comparison], tuple[int, ...]]:
    """Read what is to be trained from the plan, or from the command line.

    Returns:
        The comparisons and the seeds.

    Raises:
        ConfigError: if the plan cannot be used, or there is nothing to compare.
    """
    if arguments.plan is None:
        variants = dict(_split_variant(text) for text in arguments.variant)
        if len(variants) < max(1, len(arguments.variant)):
            raise ConfigError(
                'Name the variants, each with a name of its own: --variant "NAME: OPTIONS".'
            )
        plan: dict[str, Any] = {"comparisons": {"variants": variants}}
    elif arguments.variant:
        raise ConfigError("The variants stand in the plan; give --plan or --variant, not both.")
    else:
        plan = _read_yaml(arguments.plan)
    common = f"{plan.get('common', '')} {arguments.common}"
    # YAML reads names such as 32 as numbers.
    found = [
        Comparison(str(title), {str(n): _parse(f"{common} {o or ''}") for n, o in variants.items()})
        for title, variants in plan["comparisons"].items()
    ]
    titles = [comparison.title for comparison in found]
    for title in arguments.only:
        if title not in titles:
            raise ConfigError(f"There is no comparison {title!r}; choose from {', '.join(titles)}.")
    return found, arguments.seeds or tuple(plan.get("seeds", ())) or _SEEDS


def _split_variant(text: str) -> tuple[str, str]:
    name, colon, options = text.partition(":")
    if not colon or not name.strip():
        raise ConfigError(f'{text!r} is no variant; write "NAME: OPTIONS", such as "SGD: --lr .1".')
    return name.strip(), options


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        plan = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"The plan {path} cannot be read ({error}).") from None
    sound = (
        isinstance(plan, dict)
        and set(plan) <= {"common", "seeds", "comparisons"}
        and isinstance(plan.get("comparisons"), dict)
        and plan["comparisons"]
        and all(isinstance(v, dict) and v for v in plan["comparisons"].values())
        and isinstance(plan.get("common", ""), str)
        and isinstance(plan.get("seeds", []), list)
        and all(type(seed) is int for seed in plan.get("seeds", []))
    )
    if not sound:
        raise ConfigError(
            f"The plan {path} must have comparisons: a title, and under it names with options of "
            "fit; and may have common (options) and seeds (whole numbers)."
        )
    return dict(plan)


def _parse(options: str) -> FitConfig:
    """Read options as ``fit`` does; unknown ones end the program with fit's own message.

    Raises:
        ConfigError: if they cannot be split into words, or one belongs to another method.
    """
    try:
        words = shlex.split(options)
    except ValueError as error:
        raise ConfigError(f"{options!r} cannot be read as options ({error}).") from None
    name, words = take_recipe(words)
    default = recipe(name)
    check_words(words, chosen_method(words, default.adaptation.method))
    config: FitConfig = tyro.cli(
        FitConfig,
        args=words,
        default=default,
        prog="python -m train fit",
        config=(tyro.conf.OmitArgPrefixes,),
    )
    return config


@dataclass(frozen=True)
class _Runs:
    """Where runs are: each in a folder that is named by everything its result depends on."""

    out: Path
    data: str

    def folder(self, config: FitConfig, seed: int) -> Path:
        values: dict[str, Any] = {"prepared": self.data, **to_json(replace(config, seed=seed))}
        values.pop("machine")
        if config.machine.precision != "auto":
            values["precision"] = config.machine.precision
        return (
            self.out / hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
        )


def _with_seconds(folder: Path, best: dict[str, Any]) -> dict[str, Any]:
    seconds = round(seconds_of(folder))
    return {**best, "precision": precision_of(folder), "total_seconds": seconds}


def _write_tables(comparisons: Sequence[Comparison], seeds: Sequence[int], runs: _Runs) -> None:
    tables = [
        {
            "title": comparison.title,
            "variants": list(_rows(comparison, seeds, runs)),
        }
        for comparison in comparisons
    ]
    write_text(runs.out / "compare.json", json.dumps(tables, indent=1) + "\n")
    write_text(runs.out / "compare.md", "\n".join(to_markdown(table) for table in tables))


def _rows(comparison: Comparison, seeds: Sequence[int], runs: _Runs) -> Iterator[dict[str, Any]]:
    kept = {
        name: {seed: finished(runs.folder(config, seed)) for seed in seeds}
        for name, config in comparison.variants.items()
    }
    reference = next(iter(kept.values()))
    for name, lines in kept.items():
        done = {seed: line for seed, line in lines.items() if line}
        row: dict[str, Any] = {
            "name": name,
            "config": to_json(comparison.variants[name]),
            "seeds": list(done),
            "precision": [line.get("precision", UNRECORDED) for line in done.values()],
            "seconds": summarise([line["total_seconds"] for line in done.values()]),
        }
        for score in _SCORES:
            row[score] = summarise([line[score] for line in done.values()])
            # Seeds share initialisation and order, so differences vary less than scores do.
            paired = [done[s][score] - reference[s][score] for s in done if reference[s]]
            row[f"{score}_difference"] = summarise(paired)
        yield row


def to_markdown(table: Mapping[str, Any]) -> str:
    """Render one comparison as a Markdown table."""
    lines = [
        f"### {table['title']}",
        "",
        "| variant | seeds | accuracy | macro F1 | macro F1, difference | minutes a run |",
        "|---|---|---|---|---|---|",
    ]
    for row in table["variants"]:
        cells = [row["name"], str(len(row["seeds"]))]
        cells += [to_cell(row[score]) for score in _SCORES]
        cells.append(
            "" if row is table["variants"][0] else to_cell(row["macro_f1_difference"], "+.3f")
        )
        cells.append("" if row["seconds"] is None else f"{row['seconds'][0] / 60:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    from train.training.precision import sentence  # torch, which --help need not wait for

    lines += ["", sentence({row["name"]: row["precision"] for row in table["variants"]})]
    return "\n".join(lines) + "\n"
