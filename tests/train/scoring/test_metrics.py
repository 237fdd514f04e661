from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

from emotion.labels import LABELS
from train.scoring.metrics import (
    RECALLS,
    auroc,
    evaluate_probabilities,
    precision_recall,
    reliability,
    score_second_labels,
)


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


def test_other_classes_than_the_six_can_be_scored(random: np.random.Generator) -> None:
    labels, names = random.integers(0, 7, 300), (*LABELS, "neutral")
    probabilities = random.dirichlet(np.ones(7), 300)

    result = evaluate_probabilities(probabilities, labels, names)

    _, _, f1, _ = precision_recall_fscore_support(
        labels, probabilities.argmax(1), labels=range(7), zero_division=0
    )
    assert result["macro_f1"] == pytest.approx(f1.mean())
    assert list(result["per_class"]) == list(names)


def test_the_bins_of_the_reliability_diagram_add_up_to_the_calibration_error(
    random: np.random.Generator,
) -> None:
    probabilities, labels = random.dirichlet(np.full(6, 0.4), 500), random.integers(0, 6, 500)

    bins = reliability(probabilities, labels)

    assert sum(entry["n"] for entry in bins) == 500
    gap = sum(entry["n"] * abs(entry["confidence"] - entry["accuracy"]) for entry in bins) / 500
    expected = evaluate_probabilities(probabilities, labels)["ece"]
    assert gap == pytest.approx(expected, abs=2e-4)
    lower = [entry["confidence"] for entry in bins]
    assert lower == sorted(lower)


def test_precision_over_recall_is_that_of_the_strictest_threshold_that_reaches_it(
    random: np.random.Generator,
) -> None:
    labels = random.choice([0, 1, 2, 4], 200)  # two classes are absent
    probabilities = random.dirichlet(np.ones(6), 200)

    curves = precision_recall(probabilities, labels)

    assert list(curves) == [LABELS[k] for k in (0, 1, 2, 4)]
    for k in (0, 1, 2, 4):
        curve, truth = curves[LABELS[k]], labels == k
        average = average_precision_score(truth, probabilities[:, k])
        assert curve["average_precision"] == pytest.approx(average, abs=1e-5)
        best_first = truth[np.argsort(-probabilities[:, k])]
        recall = best_first.cumsum() / truth.sum()
        precision = best_first.cumsum() / np.arange(1, 201)
        for at, value in zip(RECALLS[1:], curve["precision"][1:], strict=True):
            assert value == pytest.approx(precision[np.argmax(recall >= at - 1e-6)], abs=1e-4)


def test_auroc_equals_scikit_learns_ties_included(random: np.random.Generator) -> None:
    positive, negative = random.integers(3, 9, 80) / 9, random.integers(0, 7, 50) / 9

    expected = roc_auc_score([1] * 80 + [0] * 50, np.concatenate([positive, negative]))
    assert auroc(positive, negative) == pytest.approx(expected, abs=1e-6)


def test_a_second_annotation_is_scored_where_it_names_a_class() -> None:
    probabilities = np.eye(6)[[0, 1, 2, 3, 4]]
    labels, second = np.array([0, 1, 0, 3, 4]), np.array([0, 5, 2, -1, 4])

    assert score_second_labels(probabilities, labels, second) == {
        "n": 4,
        "agree": 0.5,
        "accuracy": 0.75,
        "accuracy_second": 0.75,
        "accuracy_agreed": 1.0,
    }
