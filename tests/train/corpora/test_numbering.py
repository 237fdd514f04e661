from __future__ import annotations

import numpy as np
import pytest

from emotion.errors import DataError
from emotion.labels import CORPUS_LABELS, LABELS
from train.corpora import load_corpus
from train.corpora.numbering import check_numbers
from train.corpora.published import PUBLISHED

FER2013 = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
ALPHABETICAL = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
FERPLUS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")
RAF_DB = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")


def counts(corpus: str, classes: tuple[str, ...], first: int = 0, share: float = 1.0):
    """Count a corpus, or a part drawn by chance, whose classes are numbered in this order."""
    random = np.random.default_rng(0)
    return {
        split: {
            str(number + first): int(random.binomial(published[name], share))
            for number, name in enumerate(classes)
        }
        for split, published in PUBLISHED[corpus].items()
    }


@pytest.mark.parametrize("share", [1.0, 0.95, 0.1, 0.02])
@pytest.mark.parametrize(
    ("corpus", "order", "first"), [("fer2013", FER2013, 0), ("raf-db", RAF_DB, 1)]
)
def test_published_numbers_are_believed_for_the_whole_and_for_a_part(corpus, order, first, share):
    check_numbers(corpus, counts(corpus, order, first, share), "the csv")


def test_a_split_without_neutral_is_believed():
    train = counts("fer2013", FER2013[:6])["train"]
    check_numbers("fer2013", {"train": train}, "the csv")


@pytest.mark.parametrize("share", [1.0, 0.1])
@pytest.mark.parametrize(
    ("corpus", "order", "first"),
    [
        ("fer2013", ALPHABETICAL, 0),
        ("fer2013", FERPLUS, 0),
        ("fer2013", FER2013, 1),
        ("raf-db", RAF_DB, 0),
        ("raf-db", ALPHABETICAL, 0),
        ("raf-db", FER2013, 0),
    ],
)
def test_another_order_is_refused_and_told(corpus, order, first, share):
    meant = ",".join(f"{number + first}={name}" for number, name in enumerate(order))
    with pytest.raises(DataError, match="not occur as often") as caught:
        check_numbers(corpus, counts(corpus, order, first, share), "the csv")
    assert f"they fit {'' if order == ALPHABETICAL else 'the order of '}" in str(caught.value)
    assert str(caught.value).endswith(f",{meant}.")


@pytest.mark.parametrize("corpus", ["fer2013", "raf-db"])
def test_too_few_pictures_or_balanced_ones_are_not_believed(corpus):
    numbers = [word for word in CORPUS_LABELS[corpus] if word.isdecimal()]
    for count in (1, 400):
        with pytest.raises(DataError, match="as published it would be ,"):
            check_numbers(corpus, {"train": dict.fromkeys(numbers, count)}, "the csv")


def test_swapping_two_classes_of_almost_equal_size_is_noticed_in_the_whole():
    order = ("anger", "disgust", "fear", "happiness", "neutral", "surprise", "sadness")
    with pytest.raises(DataError):
        check_numbers("fer2013", counts("fer2013", order), "the csv")


def test_a_few_stray_numbers_do_not_matter():
    numbers = counts("fer2013", FER2013)
    numbers["train"]["9"] = 3
    check_numbers("fer2013", numbers, "the csv")


def numbered_from_zero(raf_folders):
    files = {}
    for name, content in raf_folders.items():
        parts = name.split("/")
        if len(parts) > 2:
            parts[2] = str(int(parts[2]) - 1)
            files["/".join(parts)] = content
    return files


def flat_from_zero(raf_folders):
    files = {}
    for split in ("train", "test"):
        header, *rows = raf_folders[f"{split}_labels.csv"].split()
        moved = [f"{row[:-1]}{int(row[-1]) - 1}" for row in rows]
        files[f"{split}_labels.csv"] = "\n".join([header, *moved])
        files |= {
            f"images/{name.rpartition('/')[2]}": data
            for name, data in raf_folders.items()
            if f"/{split}/" in name
        }
    return files


def official_from_zero(raf_folders):
    files = {
        f"Image/aligned/{name.rpartition('/')[2]}": data
        for name, data in raf_folders.items()
        if name.endswith(".jpg")
    }
    lines = [
        f"{name.rpartition('/')[2].replace('_aligned', '')} {int(name.split('/')[2]) - 1}"
        for name in raf_folders
        if name.endswith(".jpg")
    ]
    return {**files, "EmoLabel/list_patition_label.txt": "\n".join(lines)}


@pytest.mark.parametrize("layout", [numbered_from_zero, flat_from_zero, official_from_zero])
def test_raf_db_counted_from_zero_is_refused_in_every_layout_until_it_is_explained(
    pack, raf_folders, layout, checked
):
    path = pack(layout(raf_folders))

    with pytest.raises(DataError, match="Say behind the path which is which"):
        load_corpus("raf-db", path)

    told = ",".join(f"{number}={name}" for number, name in enumerate(RAF_DB))
    rows = load_corpus("raf-db", f"{path},{told}").splits["train"]
    meaning = {
        original: LABELS[label]
        for original, label in zip(rows["original_label"], rows["label"], strict=True)
    }
    assert meaning == {str(n): name for n, name in enumerate(RAF_DB) if name in LABELS}


def test_fer2013_in_another_order_is_refused_until_it_is_explained(as_folder, checked):
    pixels = " ".join(["7"] * 2303)
    lines = ["emotion,pixels,Usage"]
    for number, name in enumerate(ALPHABETICAL):
        count = PUBLISHED["fer2013"]["train"][name] // 40
        lines += [f"{number},{i % 7} {pixels},Training" for i in range(count)]
    path = as_folder({"fer2013.csv": "\n".join(lines) + "\n"})

    with pytest.raises(DataError, match="fit alphabetical order, counted from 0"):
        load_corpus("fer2013", path)

    told = ",".join(f"{number}={name}" for number, name in enumerate(ALPHABETICAL))
    corpus = load_corpus("fer2013", f"{path},{told}")
    assert corpus.counts["train"]["5"] == corpus.class_counts["train"]["sadness"] == 120


def test_a_map_of_words_alone_explains_no_number(pack, raf_folders, checked):
    with pytest.raises(DataError, match="tells classes by numbers"):
        load_corpus("raf-db", f"{pack(raf_folders)},joie=happiness")
