"""A method's options on the command line."""

from __future__ import annotations

import pytest

from train.cli import main
from train.config.fit import FitConfig
from train.config.methods import chosen_method, hide_others, plain
from train.config.recipes import recipe

WORDS = {"progressive": "--relevance-thresholds", "bort2": "--neumann-terms"}


@pytest.mark.parametrize("method", ["none", *WORDS])
@pytest.mark.parametrize("way", ["--method {}", "--method={}", "--recipe {}"])
def test_help_shows_the_options_of_the_chosen_method_alone(method, way, capsys):
    if (method, way) == ("none", "--recipe {}"):
        way = "--recipe union"
    with pytest.raises(SystemExit):
        main(["fit", *way.format(method).split(), "--help"])
    said = capsys.readouterr().out
    assert {name for name, word in WORDS.items() if word in said} == {method} - {"none"}


@pytest.mark.parametrize("word", ["--tolerance=0.1", "--tolerance"])
def test_an_option_of_another_method_is_one_sentence(word, capsys):
    assert main(["fit", "--data", "x", "--out", "y", "--recipe", "bort2", word, "0.1"]) == 2
    said = capsys.readouterr().err
    assert said == "--tolerance belongs to --method progressive; add that or leave it out.\n"


def test_the_last_choice_counts():
    words = ["--method", "bort2", "--method=progressive"]
    assert chosen_method(words, "none") == "progressive"
    assert chosen_method(words[:1], "none") == "none"


def test_hiding_changes_no_value():
    config = recipe("progressive")
    assert plain(hide_others(config, "none")) == config
    assert type(plain(hide_others(config, "bort2"))) is FitConfig
