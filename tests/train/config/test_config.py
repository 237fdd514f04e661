from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from emotion.errors import ConfigError
from train.cli import main
from train.config.fit import GROUPS, FitConfig, from_json, override, read_config, to_json
from train.config.recipes import RECIPES, recipe


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_survives_json(name: str, tmp_path: Path) -> None:
    (tmp_path / "fit.json").write_text(json.dumps(to_json(RECIPES[name])), "utf-8")

    assert read_config(tmp_path / "fit.json") == RECIPES[name]


def test_no_two_groups_share_an_option_so_that_one_word_names_it() -> None:
    names = Counter(option.name for kind in GROUPS.values() for option in dataclasses.fields(kind))

    assert names.most_common(1)[0][1] == 1
    assert set(GROUPS) | {"seed"} == {option.name for option in dataclasses.fields(FitConfig)}


def test_an_override_reaches_every_group_and_leaves_the_rest() -> None:
    config = override(RECIPES["quick"], lr=0.5, erase=0.0, limit=100, seed=7)

    assert (config.optimizer.lr, config.augment.erase, config.data.limit) == (0.5, 0.0, 100)
    assert config.seed == 7
    assert config.schedule == RECIPES["quick"].schedule
    with pytest.raises(ConfigError, match="no option 'colour'"):
        override(config, colour="red")


def test_a_config_of_another_version_or_with_an_impossible_word_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fit.json"
    path.write_text(json.dumps({"colour": "red"}), "utf-8")
    with pytest.raises(ConfigError, match="of this version"):
        read_config(path)

    values = to_json(FitConfig())
    values["architecture"]["activation"] = "tanh"
    with pytest.raises(ConfigError, match="--activation must be one of relu, silu"):
        from_json(values)


def test_an_unknown_recipe_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match="baseline, "):
        recipe("cake")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"erase": 1.5}, "--erase must be between 0 and 1, not 1.5."),
        ({"batch_size": 1}, "--batch-size must be at least 2, not 1."),
        ({"lr": 0.0}, "--lr must be above 0, not 0.0."),
        ({"lr": math.nan}, "--lr must be above 0, not nan."),
        ({"ema_decay": 1}, "--ema-decay must be at least 0 and below 1, not 1."),
        ({"standardise": "page"}, "--standardise must be one of crop, corpus, not 'page'."),
        ({"corpora": [3]}, "--corpora cannot be 3 (input should be a valid string)."),
    ],
)
def test_a_value_that_cannot_work_is_one_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override(FitConfig(), **values)
    assert str(caught.value) == sentence


def test_the_command_line_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", "--data", "prepared", "--out", "run", "--method", "progressive"]
    assert main([*words, "--risk", "2"]) == 2
    assert capsys.readouterr().err == "--risk must be between 0 and 1, not 2.0.\n"
