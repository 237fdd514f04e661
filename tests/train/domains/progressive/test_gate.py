from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from train.domains.progressive.gate import paired_bootstrap


def predictions(share_right: float, truth: np.ndarray, random: np.random.Generator) -> np.ndarray:
    wrong = random.random(len(truth)) >= share_right
    return np.where(wrong, (truth + random.integers(1, 6, len(truth))) % 6, truth)


@pytest.fixture
def truth(random: np.random.Generator) -> np.ndarray:
    return random.choice(6, 2982, p=[0.3, 0.14, 0.22, 0.155, 0.02, 0.165])


def test_the_scores_are_macro_f1(truth: np.ndarray, random: np.random.Generator) -> None:
    before, after = (predictions(share, truth, random) for share in (0.6, 0.7))

    verdict = paired_bootstrap(truth, before, after, tolerance=0.005, risk=0.5)

    assert verdict.control == pytest.approx(f1_score(truth, before, average="macro"))
    assert verdict.trial == pytest.approx(f1_score(truth, after, average="macro"))


def test_a_clear_fall_is_rejected_and_a_rise_accepted(
    truth: np.ndarray, random: np.random.Generator
) -> None:
    good, bad = (predictions(share, truth, random) for share in (0.7, 0.66))

    fall = paired_bootstrap(truth, good, bad, tolerance=0.005, risk=0.5)
    rise = paired_bootstrap(truth, bad, good, tolerance=0.005, risk=0.5)

    assert not fall.accepted
    assert fall.drop_probability > 0.95
    assert rise.accepted
    assert rise.drop_probability < 0.05


def test_equal_predictions_are_accepted_without_doubt(truth: np.ndarray) -> None:
    verdict = paired_bootstrap(truth, truth, truth, tolerance=0.0, risk=0.0)

    assert verdict.accepted
    assert verdict.interval == (0.0, 0.0)


def test_the_interval_covers_the_change_and_is_narrower_than_unpaired(
    truth: np.ndarray, random: np.random.Generator
) -> None:
    before = predictions(0.7, truth, random)
    after = before.copy()
    changed = random.random(len(truth)) < 0.05
    after[changed] = predictions(0.7, truth, random)[changed]

    verdict = paired_bootstrap(truth, before, after, tolerance=0.005, risk=0.5)

    low, high = verdict.interval
    assert low <= verdict.trial - verdict.control <= high
    unpaired = []
    for _ in range(60):
        a, b = (random.integers(0, len(truth), len(truth)) for _ in range(2))
        unpaired.append(
            f1_score(truth[b], after[b], average="macro")
            - f1_score(truth[a], before[a], average="macro")
        )
    assert high - low < 0.7 * np.subtract(*np.quantile(unpaired, [0.95, 0.05]))


def test_less_risk_accepts_less(truth: np.ndarray, random: np.random.Generator) -> None:
    before, after = (predictions(share, truth, random) for share in (0.7, 0.69))

    lax = paired_bootstrap(truth, before, after, tolerance=0.005, risk=0.99)
    strict = paired_bootstrap(truth, before, after, tolerance=0.005, risk=0.01)

    assert lax.accepted
    assert not strict.accepted
