from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from emotion.calibration import Calibration
from emotion.config import NetworkConfig
from emotion.network import Outputs
from emotion.weights import load_weights
from train.cli import main
from train.config.fit import FitConfig
from train.faces.prepared import read_rows
from train.fit import fit
from train.scoring.calibrate import CorpusAnswers, abstain_threshold, calibrate
from train.scoring.temperature import fit_offsets, fit_temperature, fit_temperatures

Tiny = Callable[..., FitConfig]


def overconfident(random: np.random.Generator, count: int, factor: float) -> CorpusAnswers:
    """Answers whose probabilities are right at temperature ``factor``; neutral ones are flatter.

    Their features have nothing to do with it.
    """
    logits = torch.tensor(random.normal(0, 2, (count, 6)), dtype=torch.float32)
    drawn = [random.choice(6, p=p) for p in logits.double().softmax(1).numpy()]
    neutral = torch.tensor(random.normal(0, 1, (count, 6)), dtype=torch.float32)
    pooled = torch.tensor(random.normal(0, 1, (count, 4)), dtype=torch.float32)
    return CorpusAnswers(
        Outputs(factor * logits, pooled), torch.tensor(drawn), Outputs(factor * neutral, pooled)
    )


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_the_temperature_is_the_factor_that_made_answers_too_sure(
    random: np.random.Generator, factor: float
) -> None:
    answers = overconfident(random, 4000, factor)

    logits = answers.faces.logits
    temperature = fit_temperature(logits, answers.labels)

    assert temperature == pytest.approx(factor, rel=0.07)
    best = F.cross_entropy(logits / temperature, answers.labels)
    for other in (0.9 * temperature, 1.1 * temperature):
        assert F.cross_entropy(logits / other, answers.labels) > best


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, 6, generator=generator) * 3
    labels = torch.multinomial((logits / temperature).softmax(1), 1, generator=generator)[:, 0]

    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_a_face_gets_the_temperature_that_its_features_tell(random: np.random.Generator) -> None:
    pooled = torch.tensor(random.normal(3, 0.5, (40_000, 4)), dtype=torch.float32)
    true = 0.8 * torch.exp(torch.clamp(0.6 * (pooled[:, 0] - 3) - 0.4 * (pooled[:, 2] - 3), -1, 1))
    logits = torch.tensor(random.normal(0, 2, (40_000, 6)), dtype=torch.float32)
    labels = torch.multinomial(logits.softmax(1), 1)[:, 0]

    temperature = fit_temperatures(logits * true[:, None], labels, pooled)

    assert temperature.typical == pytest.approx(0.8, rel=0.05)
    assert temperature.slope == pytest.approx([0.6, 0, -0.4, 0], abs=0.12)
    found = temperature.temperatures(pooled.numpy())
    assert np.corrcoef(np.log(found), true.log().numpy())[0, 1] > 0.97
    assert np.median(found) == pytest.approx(temperature.typical, rel=0.01)


def test_features_that_tell_nothing_leave_the_constant(random: np.random.Generator) -> None:
    answers = overconfident(random, 3000, 2.0)

    temperature = fit_temperatures(answers.faces.logits, answers.labels, answers.faces.pooled)

    constant = fit_temperature(answers.faces.logits, answers.labels)
    assert temperature.typical == pytest.approx(constant, rel=0.02)
    assert np.abs(temperature.slope).max() < 0.05


def test_few_faces_hold_the_slope_closer_to_zero(random: np.random.Generator) -> None:
    pooled = torch.tensor(random.normal(0, 1, (40_000, 1)), dtype=torch.float32)
    logits = torch.tensor(random.normal(0, 2, (40_000, 6)), dtype=torch.float32)
    labels = torch.multinomial(logits.softmax(1), 1)[:, 0]
    unequal = logits * torch.exp(0.5 * pooled)

    few = fit_temperatures(unequal[:100], labels[:100], pooled[:100])
    many = fit_temperatures(unequal, labels, pooled)

    assert abs(few.slope[0]) < 0.3
    assert many.slope[0] == pytest.approx(0.5, abs=0.1)


def test_a_temperature_stays_within_twice_the_typical_one() -> None:
    temperature = Calibration(0.7, (1.0, -1.0), 0.5)

    found = temperature.temperatures(
        np.array([[0.5, 0.0], [0.8, 0.0], [99.0, 0.0], [0.0, 99.0]], np.float32)
    )

    assert found == pytest.approx([0.7, 0.7 * np.exp(0.3), 1.4, 0.35])
    logits = np.array([[2.0, 0, 1, 0, 0, 0]] * 4, np.float32)
    np.testing.assert_allclose(
        temperature.probabilities(logits, np.array([[0.8, 0.0]] * 4, np.float32)),
        torch.tensor(logits / found[1]).softmax(1),
        rtol=1e-5,
    )


def preferring(
    random: np.random.Generator, offsets: torch.Tensor, shares: list[float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, right but for offsets that were added to them, and labels in these shares."""
    labels = torch.tensor(random.choice(len(shares), 30_000, p=shares))
    means = 1.5 * F.one_hot(labels, len(shares)).float()
    logits = 1.5 * (means + torch.tensor(random.normal(0, 1, means.shape), dtype=torch.float32))
    return logits + offsets, labels


@pytest.mark.parametrize("shares", [[0.25, 0.25, 0.25, 0.25], [0.55, 0.2, 0.2, 0.05]])
def test_offsets_take_back_what_prefers_a_class_however_frequent_it_is(
    random: np.random.Generator, shares: list[float]
) -> None:
    preference = torch.tensor([0.6, -0.2, 0.0, -0.4])
    logits, labels = preferring(random, preference, shares)
    every_class_alike = 1 / torch.bincount(labels).double()[labels]

    offsets = fit_offsets(1.7 * logits, labels, every_class_alike)

    torch.testing.assert_close(offsets.float(), -1.7 * preference, rtol=0, atol=0.12)
    recalls = [
        float(((1.7 * logits + offsets).argmax(1) == k)[labels == k].double().mean())
        for k in range(4)
    ]
    assert max(recalls) - min(recalls) < 0.05


def test_of_a_class_without_a_face_nothing_is_said(random: np.random.Generator) -> None:
    answers = overconfident(random, 5000, 1.0)
    kept = answers.labels != 5

    offsets = fit_offsets(answers.faces.logits[kept], answers.labels[kept])

    assert offsets[5] == 0
    assert offsets.abs().max() < 0.15


def test_logits_that_tell_nothing_need_no_offsets(random: np.random.Generator) -> None:
    constant = torch.tensor([-0.06, -0.2, 0.05, -0.01, 0.2, -0.19])
    logits = constant + torch.tensor(random.normal(0, 1e-4, (258, 6)), dtype=torch.float32)

    offsets = fit_offsets(logits, torch.arange(258) % 6)

    assert offsets.abs().max() < 0.1


def test_few_faces_hold_the_offsets_closer_to_zero(random: np.random.Generator) -> None:
    logits, labels = preferring(random, torch.tensor([1.0, 0.0, 0.0, -1.0]), [0.25] * 4)

    few, many = fit_offsets(logits[:8], labels[:8]), fit_offsets(logits, labels)

    assert few.abs().max() < 0.7 * many.abs().max()


def test_offsets_weigh_every_class_of_every_corpus_alike(random: np.random.Generator) -> None:
    preference = torch.tensor([0.6, -0.2, 0.0, 0.0, 0.0, -0.4])
    corpora = {}
    for name, shares in (
        ("a/valid", [0.5, 0.3, 0.05, 0.05, 0.05, 0.05]),
        ("b/valid", [0.05, 0.05, 0.1, 0.1, 0.3, 0.4]),
    ):
        logits, labels = preferring(random, preference, shares)
        corpora[name] = CorpusAnswers(Outputs(logits, torch.zeros(len(labels), 2)), labels)

    calibration, _ = calibrate(corpora)

    assert calibration.class_offsets == pytest.approx((-preference).tolist(), abs=0.08)


def test_calibration_adds_the_offsets_before_it_divides() -> None:
    logits = np.array([[1.0, 0.9, 0, 0, 0, 0]], np.float32)
    calibration = Calibration(0.5, class_offsets=(-0.2, 0.1, 0, 0, 0, 0))

    probabilities = calibration.probabilities(logits, np.zeros((1, 3), np.float32))

    expected = torch.tensor([[0.8, 1.0, 0, 0, 0, 0]]).div(0.5).softmax(1)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)
    assert probabilities.argmax() == 1


def test_what_offsets_bring_is_told_and_measured_on_the_other_half_too(
    random: np.random.Generator,
) -> None:
    answers = overconfident(random, 6000, 1.0)
    preferring_one = torch.tensor([1.5, 0, 0, 0, 0, 0])
    answers.faces.logits[:] += preferring_one

    calibration, figures = calibrate({"a/valid": answers})

    row = figures["corpora"]["a/valid"]
    assert calibration.class_offsets[0] == pytest.approx(-1.25, abs=0.15)  # -1.5 less the mean
    assert row["accuracy"] > row["accuracy_before"] + 0.01
    assert row["macro_f1_crossed"] > row["macro_f1_before"] + 0.01
    assert row["accuracy_before"] == pytest.approx(
        float((answers.faces.logits.argmax(1) == answers.labels).float().mean())
    )


def test_every_corpus_counts_the_same_whatever_its_size(random: np.random.Generator) -> None:
    small, large = overconfident(random, 1000, 4.0), overconfident(random, 8000, 1.0)
    single = CorpusAnswers(
        Outputs(large.faces.logits[:1000], large.faces.pooled[:1000]), large.labels[:1000]
    )

    unequal, _ = calibrate({"a/valid": small, "b/valid": large})
    equal, _ = calibrate({"a/valid": small, "b/valid": single})

    assert unequal.typical == pytest.approx(equal.typical, rel=0.08)
    assert unequal.typical > 1.5


def test_two_corpora_that_features_tell_apart_are_calibrated_both(
    random: np.random.Generator,
) -> None:
    factors = {"a/valid": 0.6, "b/valid": 1.6}
    corpora = {name: overconfident(random, 5000, factor) for name, factor in factors.items()}
    for answers, mark in zip(corpora.values(), (-1.0, 1.0), strict=True):
        answers.faces.pooled[:] += 3 * mark

    _, figures = calibrate(corpora)

    for row in figures["corpora"].values():
        assert row["ece_constant"] > 0.05
        assert row["ece_after"] < 0.6 * row["ece_constant"]
        assert row["ece_crossed"] < 0.6 * row["ece_constant"]


def test_the_threshold_is_the_largest_that_answers_the_share(random: np.random.Generator) -> None:
    confidences, weights = random.random(999), random.random(999)

    threshold = abstain_threshold(confidences, weights, 0.85)

    def answered(at: float) -> float:
        return float(weights[confidences >= at].sum() / weights.sum())

    assert answered(threshold) >= 0.85
    above = confidences[confidences >= threshold].min()
    assert answered(above + 1e-9) < 0.85
    assert threshold == pytest.approx(above, abs=1.1e-4)
    assert abstain_threshold(confidences, weights, 1.0) <= confidences.min()


def test_a_confidence_of_one_gives_a_threshold_that_weights_may_have() -> None:
    threshold = abstain_threshold(np.ones(20, np.float32), np.ones(20), 0.85)

    assert 0.999 < threshold < 1
    assert NetworkConfig(abstain_below=threshold).abstain_below == threshold


def test_calibration_mends_the_error_and_tells_neutral_faces_apart(
    random: np.random.Generator,
) -> None:
    answers = overconfident(random, 3000, 3.0)

    _, figures = calibrate({"a/valid": answers}, coverage=0.8)

    row = figures["corpora"]["a/valid"]
    assert row["ece_before"] > 0.1
    assert row["ece_after"] < 0.03
    assert row["ece_crossed"] < 0.03
    assert row["answered"] == pytest.approx(0.8, abs=0.005)
    assert row["accuracy_answered"] > row["accuracy"]
    assert row["neutral_answered"] < row["answered"]
    assert 0.6 < row["auroc"] < 1


def test_without_neutral_faces_there_is_a_threshold_all_the_same(
    random: np.random.Generator,
) -> None:
    answers = overconfident(random, 200, 1.0)
    alone = CorpusAnswers(answers.faces, answers.labels)

    _, figures = calibrate({"a/valid": alone})

    assert figures["abstain_below"] == calibrate({"a/valid": answers})[1]["abstain_below"]
    assert "auroc" not in figures["corpora"]["a/valid"]


@pytest.fixture
def run(prepared: Path, tmp_path: Path, tiny: Tiny) -> Path:
    fit(tiny(epochs=(1,), backbone="resnet18"), prepared, tmp_path / "run")
    return tmp_path / "run"


def config(run: Path) -> dict[str, object]:
    values: dict[str, object] = json.loads((run / "config.json").read_text("utf-8"))
    return values


def test_fit_leaves_calibrated_weights(run: Path) -> None:
    figures = json.loads((run / "calibration.json").read_text("utf-8"))

    assert config(run)["temperature"] == figures["temperature"] != 1
    assert config(run)["class_offsets"] == figures["class_offsets"]
    assert len(figures["class_offsets"]) == 6
    assert config(run)["abstain_below"] == figures["abstain_below"] > 0
    assert Calibration.of(load_weights(str(run)).config).digest == figures["digest"]
    assert len(config(run)["temperature_slope"]) == config(run)["widths"][-1]  # type: ignore[arg-type,index]
    assert figures["corpora"]["synthetic/valid"]["neutral"] > 0


def test_the_command_calibrates_anew_and_leaves_the_tensors_alone(
    run: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = (run / "model.safetensors").read_bytes()
    before = config(run)
    left_out = read_rows(prepared, "synthetic", "validation")["sample_id"][:3]
    (tmp_path / "ids.txt").write_text("\n".join(left_out) + "\n")
    arguments = ["calibrate", "--run", str(run), "--data", str(prepared), "--coverage", "0.5"]

    assert main([*arguments, "--exclude", str(tmp_path / "ids.txt")]) == 0

    figures = json.loads((run / "calibration.json").read_text("utf-8"))
    assert figures["excluded"] == 3
    assert figures["corpora"]["synthetic/valid"]["answered"] == pytest.approx(0.5, abs=0.06)
    assert config(run)["abstain_below"] == figures["abstain_below"] != before["abstain_below"]
    assert (run / "model.safetensors").read_bytes() == tensors
    output = capsys.readouterr().out
    assert f"offsets happiness {figures['class_offsets'][0]:+.2f}, surprise" in output
    assert "synthetic/valid" in output


def test_unusable_input_of_calibrate_is_one_sentence_and_changes_nothing(
    run: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ids.txt").write_text("someone else's picture\n")
    every = read_rows(prepared, "synthetic", "valid")["sample_id"]
    (tmp_path / "all.txt").write_text("\n".join(every))
    before = config(run)
    common = ["calibrate", "--run", str(run), "--data", str(prepared)]
    for arguments, sentence in (
        ([*common, "--coverage", "1.5"], "(0, 1]"),
        ([*common, "--exclude", str(tmp_path / "ids.txt")], "None of the 1 sample ids"),
        ([*common, "--exclude", str(tmp_path / "gone.txt")], "cannot be read"),
        ([*common, "--exclude", str(tmp_path / "all.txt")], "none is left to measure"),
        ([*common, "--corpora", "raf-db"], "no prepared raf-db"),
        (["calibrate", "--run", str(run), "--data", str(tmp_path)], "none of the corpora"),
        (["calibrate", "--run", str(tmp_path / "x"), "--data", str(prepared)], "is no folder"),
    ):
        assert main(arguments) == 2
        assert sentence in capsys.readouterr().err

    (run / "config.json").write_text(
        json.dumps({**before, "trained_on": ["synthetic/train", "synthetic/valid"]})
    )
    assert main(common) == 2
    assert "trained on synthetic/valid" in capsys.readouterr().err
    assert config(run)["temperature"] == before["temperature"]


def test_weights_for_another_zoom_are_not_calibrated_on_these_crops(
    run: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "synthetic").symlink_to(prepared / "synthetic")
    (tmp_path / "data" / "report.json").write_text('{"options": {"zoom": "1.4"}}')

    assert main(["calibrate", "--run", str(run), "--data", str(tmp_path / "data")]) == 2
    assert "--zoom" in capsys.readouterr().err
