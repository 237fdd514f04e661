from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from emotion.labels import LABELS
from train.metrics import evaluate_probabilities


def predictions(random: np.random.Generator, count: int, classes: list[int]) -> np.ndarray:
    scores = random.random((count, 6)) + 1e-3
    scores[:, [k for k in range(6) if k not in classes]] = 0
    return scores / scores.sum(1, keepdims=True)


@pytest.mark.parametrize("present", [[0, 1, 2, 3, 4, 5], [0, 2, 3], [4]])
@pytest.mark.parametrize("predicted", [[0, 1, 2, 3, 4, 5], [0, 1], [5]])
def test_scores_equal_scikit_learns_absent_classes_included(
    random: np.random.Generator, present: list[int], predicted: list[int]
) -> None:
    labels = random.choice(present, 200)
    probabilities = predictions(random, 200, predicted)

    result = evaluate_probabilities(probabilities, labels)

    guess = probabilities.argmax(1)
    every = list(range(6))
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, guess, labels=every, zero_division=0
    )
    assert result["n"] == 200
    assert result["accuracy"] == pytest.approx(accuracy_score(labels, guess))
    assert result["macro_precision"] == pytest.approx(precision.mean())
    assert result["macro_recall"] == pytest.approx(recall.mean())
    assert result["macro_f1"] == pytest.approx(f1.mean())
    assert result["confusion"] == confusion_matrix(labels, guess, labels=every).tolist()
    for k, name in enumerate(LABELS):
        assert result["per_class"][name] == pytest.approx(
            {"precision": precision[k], "recall": recall[k], "f1": f1[k], "support": support[k]}
        )


def test_ece_is_the_gap_between_confidence_and_accuracy() -> None:
    # Ten answers with confidence 0.9, six of them right: one bin, gap 0.3.
    probabilities = np.full((10, 6), 0.02)
    probabilities[:, 1] = 0.9
    labels = np.array([1] * 6 + [0] * 4)

    assert evaluate_probabilities(probabilities, labels)["ece"] == pytest.approx(0.3, abs=1e-6)


def test_a_perfect_prediction_scores_one_without_uncertainty() -> None:
    labels = np.repeat(np.arange(6), 50)

    result = evaluate_probabilities(np.eye(6)[labels], labels)

    assert result["macro_f1"] == result["accuracy"] == 1
    assert result["confidence_intervals"] == {"accuracy": [1.0, 1.0], "macro_f1": [1.0, 1.0]}


def test_the_interval_has_the_width_of_a_binomial(random: np.random.Generator) -> None:
    labels = np.zeros(2000, np.int64)
    probabilities = np.eye(6)[(random.random(2000) < 0.3).astype(int)]

    low, high = evaluate_probabilities(probabilities, labels)["confidence_intervals"]["accuracy"]

    assert low < 0.7 < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.7 * 0.3 / 2000), rel=0.15)
