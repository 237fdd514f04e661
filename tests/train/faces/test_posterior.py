from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset, DatasetDict

from emotion.errors import DataError
from emotion.labels import LABELS
from train.faces.align_rows import PREPARED
from train.faces.posterior import FOLDS, add_soft_labels, answer, cross_fitted, fit

# What taggers answer to each class: they call much of the corpus's fear surprise.
HABITS = np.full((6, 10), 0.02)
HABITS[np.arange(6), np.arange(1, 7)] = 0.82
HABITS[5, [2, 6]] = 0.66, 0.18


def draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 6, count)
    return np.array([random.multinomial(10, HABITS[label]) for label in labels]), labels


def truth(votes: np.ndarray) -> np.ndarray:
    """P(label | votes) by Bayes, the classes being as frequent."""
    likelihood = np.exp(votes @ np.log(HABITS).T)
    return likelihood / likelihood.sum(1, keepdims=True)


def rows(votes: np.ndarray, labels: np.ndarray, split: str = "train") -> Dataset:
    columns = {name: [None] * len(labels) for name in PREPARED}
    columns["votes"], columns["label"] = votes.tolist(), labels.tolist()
    columns["sample_id"] = [f"{split}/{number}" for number in range(len(labels))]
    return Dataset.from_dict(columns, features=PREPARED)


def test_the_posterior_is_bayes_rule_and_not_the_votes() -> None:
    votes, labels = draw(4000, 0)
    seen, _ = draw(500, 1)

    soft = answer(fit(votes, np.eye(6)[labels], seed=0), seen)

    assert np.abs(soft - truth(seen)).mean() < 0.015
    fear = np.array([[0, 0, 7, 0, 0, 0, 2, 0, 1, 0]])
    assert answer(fit(votes, np.eye(6)[labels], seed=0), fear)[0].argmax() == LABELS.index("fear")


def test_no_row_learns_from_its_own_label() -> None:
    votes, labels = draw(600, 0)
    folds = np.arange(600) % FOLDS
    targets = np.eye(6)[labels]
    lying = targets.copy()
    lying[folds == 2] = np.eye(6)[(labels[folds == 2] + 1) % 6]

    honest, lied = (cross_fitted(votes, t, folds) for t in (targets, lying))

    np.testing.assert_array_equal(honest[folds == 2], lied[folds == 2])
    assert (honest[folds != 2] != lied[folds != 2]).any()


def test_training_rows_with_votes_get_a_soft_label_and_no_others() -> None:
    votes, labels = draw(300, 0)
    training = rows(votes, labels)
    column = [None if i % 10 == 0 else v for i, v in enumerate(training["votes"])]
    training = training.remove_columns("votes").add_column(
        "votes", column, feature=PREPARED["votes"]
    )
    public, other = rows(*draw(200, 1), "public"), rows(*draw(20, 2), "other")

    splits, summary = add_soft_labels(
        DatasetDict(train=training, public=public, other=other), "fer2013"
    )

    soft = splits["train"]["soft_label"]
    assert [i for i, row in enumerate(soft) if row is None] == list(range(0, 300, 10))
    assert np.sum(soft[1]) == pytest.approx(1, abs=1e-5)
    assert splits["train"].column_names == training.column_names
    assert set(map(str, splits["public"]["soft_label"])) == {"None"}
    assert summary is not None
    assert summary.rows == 270
    assert set(summary.accuracy) == {"train", "public"}
    expected = (truth(np.array(public["votes"])).argmax(1) == np.array(public["label"])).mean()
    assert summary.accuracy["public"] == pytest.approx(expected, abs=0.06)


def test_the_same_rows_get_the_same_soft_labels_bit_by_bit() -> None:
    training = rows(*draw(200, 0))

    first, _ = add_soft_labels(DatasetDict(train=training), "fer2013")
    again, _ = add_soft_labels(DatasetDict(train=training), "fer2013")

    assert first["train"]["soft_label"] == again["train"]["soft_label"]


def test_copies_teach_the_mean_of_their_labels() -> None:
    votes, labels = draw(300, 0)
    training = rows(votes, labels)
    mean = [[0.5, 0.5, 0, 0, 0, 0] if label == 0 else None for label in labels]
    merged = training.remove_columns("label_mean").add_column(
        "label_mean", mean, feature=PREPARED["label_mean"]
    )

    splits, _ = add_soft_labels(DatasetDict(train=merged), "fer2013")

    happy = np.array(splits["train"]["soft_label"])[labels == 0]
    np.testing.assert_allclose(happy.mean(0)[:2], [0.48, 0.48], atol=0.08)


def test_a_class_that_nobody_voted_on_is_refused_by_name() -> None:
    votes, labels = draw(200, 0)
    known = (labels != 4) & (labels != 2)

    with pytest.raises(DataError, match="fewer than 5 are labelled sadness or disgust"):
        add_soft_labels(DatasetDict(train=rows(votes[known], labels[known])), "fer2013")


def test_a_corpus_without_votes_stays_as_it_is() -> None:
    training = rows(*draw(20, 0)).remove_columns("votes")
    training = training.add_column("votes", [None] * 20, feature=PREPARED["votes"])
    splits = DatasetDict(train=training)

    assert add_soft_labels(splits, "fer2013") == (splits, None)
    assert add_soft_labels(DatasetDict(public=training), "fer2013")[1] is None
