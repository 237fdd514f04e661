from __future__ import annotations

import pytest
from datasets import (
    ClassLabel,
    Dataset,
    DatasetDict,
    Features,
    Image,
    Value,
)

from emotion.errors import DataError
from emotion.labels import LABELS
from train.corpora import FEATURES, hub, load_corpus
from train.corpora.hub import rename_splits, unify

FER_NAMES = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]


@pytest.fixture
def repository(picture):
    """Rows as a dataset repository on the Hub has them: image, label, and something else."""

    def make(label_feature, labels):
        features = Features({"image": Image(), "label": label_feature, "age": Value("int64")})
        images = [{"bytes": picture(number), "path": None} for number in range(len(labels))]
        columns = {"image": images, "label": labels, "age": [30] * len(labels)}
        return Dataset.from_dict(columns, features=features)

    return make


@pytest.mark.parametrize(
    ("corpus", "feature", "labels", "expected"),
    [
        ("fer2013", ClassLabel(names=FER_NAMES), [0, 3, 4], ["anger", "happiness", None]),
        ("fer2013", Value("int64"), [0, 3, 6], ["anger", "happiness", None]),
        ("raf-db", ClassLabel(names=[*"1234567"]), [0, 3, 6], ["surprise", "happiness", None]),
        ("raf-db", Value("string"), ["6", "7"], ["anger", None]),
        ("raf-db", ClassLabel(names=["Happiness", "Neutral"]), [0, 1], ["happiness", None]),
        ("affectnet", Value("string"), ["Sad", "contempt"], ["sadness", None]),
    ],
)
def test_labels_are_names_numbers_or_folder_names(repository, corpus, feature, labels, expected):
    rows = unify(repository(feature, labels), corpus, "train")
    assert rows.features == FEATURES
    names = [LABELS[label] if label >= 0 else None for label in rows["label"]]
    assert names == expected


def test_images_stay_encoded(repository, picture):
    rows = unify(repository(Value("int64"), [3, 3]), "fer2013", "train")
    assert [image["bytes"] for image in rows["image"]] == [picture(0), picture(1)]


def test_an_unknown_class_name_is_refused_before_the_rows_are_read(repository):
    rows = repository(ClassLabel(names=["happy", "bored"]), [0, 0])
    with pytest.raises(DataError, match="class 'bored'"):
        unify(rows, "fer2013", "train")


def test_a_repository_without_labels_is_refused(repository):
    rows = repository(Value("int64"), [3]).remove_columns("label")
    with pytest.raises(DataError, match="it needs image and label"):
        unify(rows, "fer2013", "train")


def test_splits_get_the_words_of_the_corpus(repository):
    rows = repository(Value("int64"), [3])
    loaded = DatasetDict({"train": rows, "validation": rows, "test": rows})
    assert [*rename_splits("fer2013", loaded, "hf://x")] == ["train", "public", "private"]
    assert [*rename_splits("affectnet", loaded, "hf://x")] == ["train", "valid", "test"]


def test_a_split_without_counterpart_is_refused(repository):
    loaded = DatasetDict({"train": repository(Value("int64"), [3])})
    loaded["extra"] = loaded["train"]
    with pytest.raises(DataError, match="must be train, test"):
        rename_splits("raf-db", loaded, "hf://x")


def test_a_test_split_that_may_mix_two_official_ones_is_refused(repository):
    rows = repository(Value("int64"), [3])
    with pytest.raises(DataError, match="may mix"):
        rename_splits("fer2013", DatasetDict({"train": rows, "test": rows}), "hf://x")


@pytest.mark.parametrize("address", ["hf://me/faces", "hf://datasets/faces", "hf://datasets/a/b c"])
def test_a_malformed_address_is_refused(address):
    with pytest.raises(DataError, match="no dataset address"):
        load_corpus("fer2013", address)


def test_an_unreachable_repository_is_one_sentence():
    with pytest.raises(DataError, match="cannot be loaded") as caught:
        load_corpus("fer2013", "hf://datasets/nobody/nothing@v1")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("feature", [Value("int64"), ClassLabel(names=[*"0123456"])])
def test_numbers_in_rows_are_refused_until_they_are_explained(
    repository, monkeypatch, checked, feature
):
    rows = DatasetDict(train=repository(feature, [0, 1, 2, 3, 4, 5, 6]))
    monkeypatch.setattr(hub, "fetch_archive", lambda *_, **__: None)
    monkeypatch.setattr(hub, "load_repository", lambda *_, **__: rows)
    location = "hf://datasets/me/faces"

    with pytest.raises(DataError, match="Say behind the path which is which"):
        load_corpus("fer2013", location)

    told = ",0=neutral,1=joy,2=surprise,3=sad,4=angry,5=disgust,6=fear"
    corpus = load_corpus("fer2013", f"{location}{told}")
    assert corpus.class_counts["train"] == dict.fromkeys((*LABELS, "neutral"), 1)
    assert corpus.splits["other"]["original_label"] == ["0"]
