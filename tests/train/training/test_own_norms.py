"""Norms that know whose face they see, and the plain network that answers as one corpus."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from emotion.config import COMMON, NetworkConfig
from emotion.errors import ConfigError
from emotion.network import EmotionNet
from emotion.weights import load
from train.config.fit import FitConfig, override
from train.faces.store import read_split
from train.fit import fit
from train.scoring.inference import predict_logits, save_network
from train.training.data import read_data
from train.training.network import build_network, follow_weights
from train.training.own_norms import (
    HIDDEN,
    OffsetNorm,
    OwnNorm,
    StatisticsNorm,
    begin_as,
    conventions,
    folded,
    give_norms,
    plain_weights,
    show_corpora,
    written,
)

Tiny = Callable[..., FitConfig]
CORPUS = torch.tensor([0, 1, 1, 0, 1])


def tell(network: EmotionNet, corpus: torch.Tensor) -> None:
    for module in network.modules():
        if isinstance(module, OwnNorm):
            module.corpus = corpus


def network() -> EmotionNet:
    torch.manual_seed(0)
    plain = EmotionNet(NetworkConfig(backbone="cnn", widths=(4, 4, 8, 8))).eval()
    for module in plain.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    return plain


def taught(own: str) -> EmotionNet:
    """Return a network that has learnt something for each of two corpora."""
    changed = give_norms(network(), own, 2)  # type: ignore[arg-type]
    optimizer = torch.optim.SGD(changed.train().parameters(), 0.1)
    inputs = torch.randn(5, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    for step in range(4):
        show_corpora(changed, CORPUS, torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        changed(inputs + CORPUS[:, None, None, None]).square().sum().backward()
        optimizer.step()
    for module in changed.modules():
        if isinstance(module, OffsetNorm):  # steps this small hardly move them
            for offset in module.offsets:
                nn.init.normal_(offset)
    return changed.eval()


def maps(seed: int = 1) -> torch.Tensor:
    return torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(seed))


def test_the_corpus_is_an_input_where_its_offset_is_added() -> None:
    norm, plain = OffsetNorm(3, 2), nn.BatchNorm2d(3)
    with torch.no_grad():
        norm.offsets[1].copy_(torch.tensor([0.5, -1.0, 2.0]))
    norm.corpus = CORPUS
    shifted = maps() + torch.stack(list(norm.offsets))[CORPUS][:, :, None, None]

    torch.testing.assert_close(norm(maps()), plain(shifted))

    other = OffsetNorm(3, 2)
    other.corpus = CORPUS
    (other(maps()) * maps(2)).sum().backward()
    assert all(offset.grad is not None and offset.grad.any() for offset in other.offsets[:2])


def test_the_corpus_of_half_the_faces_is_hidden() -> None:
    norm, corpus = OffsetNorm(3, 2), torch.arange(1000) % 2

    norm.show(corpus, torch.Generator().manual_seed(0))

    hidden = norm.corpus == 2
    assert hidden.float().mean().item() == pytest.approx(HIDDEN, abs=0.05)
    assert torch.equal(norm.corpus[~hidden], corpus[~hidden])
    assert 0.4 < corpus[hidden].float().mean() < 0.6
    statistics = StatisticsNorm(3, 2)
    statistics.show(corpus, torch.Generator())
    assert torch.equal(statistics.corpus, corpus)


def test_each_corpus_is_normalised_by_its_own_statistics() -> None:
    norm = StatisticsNorm(3, 3)
    norm.corpus = CORPUS
    shifted = maps() + 4.0 * CORPUS[:, None, None, None]

    result = norm(shifted)

    for place in (0, 1):
        rows = shifted[place == CORPUS]
        expected = F.batch_norm(rows, None, None, training=True)
        torch.testing.assert_close(result[place == CORPUS], expected)
        mean = rows.mean((0, 2, 3))
        torch.testing.assert_close(norm.means[place], 0.1 * mean)
    assert not norm.means[2].any()  # nobody of the third corpus was in the batch
    torch.testing.assert_close(norm.variances[2], torch.ones(3))


def test_a_single_value_of_a_corpus_is_normalised_as_in_evaluation() -> None:
    norm = StatisticsNorm(3, 2)
    norm.corpus = torch.tensor([0, 1, 0, 0, 0])
    small = maps()[:, :, :1, :1]  # of each corpus as many values as faces

    result = norm(small)

    torch.testing.assert_close(result[1], small[1], rtol=1e-4, atol=1e-4)
    assert not norm.means[1].any()
    assert norm.means[0].any()
    torch.testing.assert_close(result[[0, 2, 3, 4]].mean(0), torch.zeros(3, 1, 1))


@pytest.mark.parametrize("own", ["offsets", "statistics"])
def test_a_network_answers_as_before_until_it_learns(own: str) -> None:
    plain, inputs = network(), torch.randn(5, 3, 64, 64)
    before = plain(inputs)

    changed = give_norms(network(), own, 2)  # type: ignore[arg-type]
    tell(changed, CORPUS)

    torch.testing.assert_close(changed(inputs), before)
    torch.testing.assert_close(folded(changed, 1)(inputs), before)


@pytest.mark.parametrize("own", ["offsets", "statistics"])
def test_a_folded_network_answers_as_one_corpus(own: str) -> None:
    changed, inputs = taught(own), torch.randn(5, 3, 64, 64)

    answers = []
    for place in (0, 1):
        tell(changed, torch.full((5,), place))
        answers.append(changed(inputs).detach())
        torch.testing.assert_close(folded(changed, place)(inputs), answers[-1])
    assert (answers[0] - answers[1]).abs().max() > 1e-3


@pytest.fixture
def two(prepared: Path, tmp_path: Path) -> Path:
    """Two corpora, which are the same drawn faces."""
    for name in ("synthetic", "another"):
        shutil.copytree(prepared / "synthetic", tmp_path / "prepared" / name)
    return tmp_path / "prepared"


def test_what_is_written_answers_as_nobodys_corpus_and_as_each() -> None:
    changed, corpora, inputs = taught("offsets"), ("one", "two"), torch.randn(5, 3, 64, 64)

    network = written(changed, corpora, COMMON)

    assert network.config.conventions == corpora
    names = conventions(changed, corpora)
    assert names == ("one", "two", COMMON)
    answers = [folded(changed, place)(inputs) for place in range(3)]
    torch.testing.assert_close(network(inputs), answers[2])
    for name, expected in zip(names, answers, strict=True):
        torch.testing.assert_close(network.answer_as(name)(inputs), expected)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not torch.allclose(answers[one], answers[other], atol=1e-3)


def test_statistics_of_one_corpus_are_a_plain_network() -> None:
    changed, inputs = taught("statistics"), torch.randn(5, 3, 64, 64)

    network = written(changed, ("one", "two"), "two")

    assert not network.config.conventions
    torch.testing.assert_close(network(inputs), folded(changed, 1)(inputs))


@pytest.mark.parametrize("answering", [COMMON, "one"])
def test_a_later_run_begins_with_what_each_corpus_has(answering: str) -> None:
    start, inputs = written(taught("offsets"), ("one", "two"), COMMON), torch.randn(3, 3, 64, 64)
    plain = network()
    plain.load_state_dict(
        {k: v for k, v in plain_weights(start.answer_as(answering)).items() if ".offsets." not in k}
    )
    changed = give_norms(plain, "offsets", 3)

    begin_as(changed, start, ("two", "new", "one"))

    answers = [folded(changed, place)(inputs) for place in range(4)]
    for answer, name in zip(answers, ("two", answering, "one", COMMON), strict=True):
        torch.testing.assert_close(answer, start.answer_as(name)(inputs))


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"heads": True},
        {"own_norms": "offsets"},
        {"own_norms": "offsets", "widths": (4, 4, 8, 12)},
        {"own_norms": "statistics"},
    ],
    ids=str,
)
def test_a_run_begins_as_the_weights_answer(
    asked: dict[str, object], two: Path, tiny: Tiny, tmp_path: Path
) -> None:
    corpora, inputs = ("synthetic", "another"), torch.randn(3, 3, 64, 64)
    start = written(taught("offsets"), ("one", "two"), COMMON).answer_as("two")
    save_network(start, tmp_path / "start")
    plain = tiny(corpora=corpora, init=str(tmp_path / "start"), widths=(4, 4, 8, 8))
    config = follow_weights(override(plain, **asked))

    begun = build_network(config, read_data(config, two))

    tell(begun, torch.zeros(3, dtype=torch.long))
    torch.testing.assert_close(begun.eval()(inputs), start(inputs))


@pytest.mark.parametrize("own", ["offsets", "statistics"])
def test_a_run_writes_a_network_that_answers_as_the_best_corpus(
    own: str, two: Path, tiny: Tiny, tmp_path: Path
) -> None:
    corpora, run = ("synthetic", "another"), tmp_path / "whole"
    config = tiny(corpora=corpora, own_norms=own, limit=60, epochs=(2,), calm_weight=0.5)

    best = fit(config, two, run)

    assert best["convention"] in (corpora if own == "statistics" else (COMMON, *corpora))
    assert set(best["validation"]["another"]) >= {"own", "accuracy"}
    config_of = load(str(run)).network.config
    if own == "statistics":
        assert config_of.conventions == ()
        return
    assert config_of.conventions == corpora
    assert set(config_of.calibrations) == {COMMON, *corpora}
    figures = json.loads((run / "calibration.json").read_text("utf-8"))
    assert set(figures["conventions"]) == {COMMON, *corpora}
    for name in corpora:
        network = load(str(run), name).network
        assert network.config.calm_bound == config_of.calibrations[name]["calm_bound"]
        faces = read_split(two, name, "train")
        assert torch.isfinite(predict_logits(network, faces.faces, 64)).all()
    again = tiny(corpora=corpora, own_norms=own, limit=60, epochs=(1,), init=str(run), lr=1e-9)
    fit(again, two, tmp_path / "again")
    faces = read_split(two, "another", "train").faces[:8]
    before, after = (
        predict_logits(load(str(folder), "another").network, faces, 32)
        for folder in (run, tmp_path / "again")
    )
    torch.testing.assert_close(after, before, atol=0.3, rtol=0.1)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"own_norms": "offsets", "heads": True}, "leave out --heads"),
        ({"own_norms": "statistics"}, "name more than one"),
    ],
    ids=str,
)
def test_what_cannot_go_together_is_refused(
    values: dict[str, object], sentence: str, prepared: Path, tiny: Tiny, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        fit(tiny(**values), prepared, tmp_path)
