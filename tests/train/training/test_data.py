from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from datasets import Dataset, load_from_disk

from emotion.errors import ConfigError, DataError
from emotion.labels import SEVEN_LABELS
from train.config.fit import FitConfig
from train.faces.prepared import TRAINING, VALIDATION, VALIDATION_SPLITS, read_neutral_rows
from train.faces.store import (
    FaceStore,
    add_neutral,
    concatenate,
    from_dataset,
    hold_out,
    read_neutral,
    stratified,
)
from train.training.data import read_data
from train.training.sampling import MixedSource, ShuffledSource

Tiny = Callable[..., FitConfig]


def numbered(*counts: int) -> FaceStore:
    """Faces whose grey level is their number, so many of each class."""
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    faces = torch.arange(len(labels), dtype=torch.uint8)[:, None, None].expand(-1, 64, 64)
    return FaceStore(faces, labels, torch.ones(len(labels), dtype=torch.bool))


def numbers(store: FaceStore) -> list[int]:
    return store.faces[:, 0, 0].tolist()


def test_holding_out_is_stratified_disjoint_and_repeatable() -> None:
    store = numbered(100, 30, 0, 0, 10)

    rest, held = hold_out(store, 0.1, seed=3)

    assert held.counts().tolist() == [10, 3, 0, 0, 1, 0]
    assert rest.counts().tolist() == [90, 27, 0, 0, 9, 0]
    assert not set(numbers(rest)) & set(numbers(held))
    assert numbers(hold_out(store, 0.1, seed=3)[1]) == numbers(held)


def test_a_limit_keeps_shares_and_loses_no_class() -> None:
    store = numbered(100, 60, 2, 40, 0, 20)

    few = stratified(store, 37, seed=1)

    assert len(few) == 37
    assert few.counts().tolist() == [17, 10, 1, 6, 0, 3]
    assert numbers(few) == sorted(numbers(few))
    assert numbers(stratified(store, 37, seed=1)) == numbers(few)
    assert numbers(stratified(store, 37, seed=2)) != numbers(few)
    assert stratified(store, 0, seed=1) is store
    assert stratified(store, 1000, seed=1) is store


def test_a_limit_applies_to_each_corpus_and_never_to_validation(prepared: Path, tiny: Tiny) -> None:
    full, limited = (read_data(tiny(limit=limit), prepared) for limit in (0, 30))

    assert len(limited.training) == 30
    assert limited.training.counts().tolist() == [5] * 6
    assert len(limited.validation["synthetic"]) == len(full.validation["synthetic"])
    assert full.splits == ("synthetic/train",)


def test_the_zoom_of_the_preparation_is_found_beside_the_faces(
    prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    shutil.copytree(prepared, tmp_path / "zoomed")
    (tmp_path / "zoomed" / "report.json").write_text(json.dumps({"options": {"zoom": "1.25"}}))

    assert read_data(tiny(), tmp_path / "zoomed").zoom == 1.25


def test_soft_and_hard_stores_join_into_probabilities() -> None:
    hard = numbered(1, 1)
    soft = FaceStore(hard.faces, hard.labels, hard.found, torch.full((2, 6), 1 / 6))

    joined = concatenate([hard, soft])

    assert concatenate([hard, hard]).soft is None
    torch.testing.assert_close(joined.targets[:2], torch.eye(6)[:2])
    torch.testing.assert_close(joined.targets[2:], torch.full((2, 6), 1 / 6))


def epoch(source: ShuffledSource, number: int) -> list[list[int]]:
    source.begin_epoch(number)
    return [source.rows(index).tolist() for index in range(source.steps)]


def test_an_epoch_shows_every_face_once_in_an_order_of_its_own() -> None:
    store = numbered(10, 9)
    source = ShuffledSource(store, 6, seed=1)

    first, second = epoch(source, 0), epoch(source, 1)

    assert [len(batch) for batch in first] == [6, 6, 6]
    assert len({row for batch in first for row in batch}) == 18
    assert first != second
    assert epoch(ShuffledSource(store, 6, seed=1), 0) == first
    assert epoch(ShuffledSource(store, 6, seed=2), 0) != first


def test_a_restored_source_continues_its_epoch_and_refuses_another_stores() -> None:
    store = numbered(10, 9)
    source = ShuffledSource(store, 6, seed=1)
    batches = epoch(source, 3)
    other = ShuffledSource(store, 6, seed=1)

    other.restore(source.state())

    assert [other.rows(index).tolist() for index in range(3)] == batches
    other.restore(ShuffledSource(store, 6, seed=1).state())  # taken before the first epoch
    with pytest.raises(DataError, match="other prepared data"):
        ShuffledSource(numbered(30, 30), 6, seed=1).restore(source.state())


def test_too_few_images_for_a_batch_are_named() -> None:
    with pytest.raises(DataError, match="smaller --batch-size"):
        ShuffledSource(numbered(3, 3), 7, seed=1)


def test_a_mixture_fixes_what_each_corpus_gives_and_balances_within_it() -> None:
    store = concatenate([numbered(400, 100), numbered(10, 90)])
    parts = {"large": range(500), "small": range(500, 600)}
    source = MixedSource(store, parts, (60, 30), 10, seed=1, balance=0.5)

    shown = torch.zeros(2, 2)
    for number in range(60):
        source.begin_epoch(number)
        rows = torch.cat([source.rows(index) for index in range(source.steps)])
        assert [int((rows < 500).sum()), int((rows >= 500).sum())] == [60, 30]
        for part in (0, 1):
            labels = store.labels[rows[(rows >= 500) == bool(part)]]
            shown[part] += torch.bincount(labels, minlength=2)

    shares = shown / shown.sum(1, keepdim=True)
    torch.testing.assert_close(shares[:, 0], torch.tensor([2 / 3, 1 / 4]), atol=0.03, rtol=0)
    torch.testing.assert_close(source.prior[:2], torch.tensor([19 / 36, 17 / 36]).double())


def test_a_natural_mixture_shows_no_face_twice_while_there_are_others() -> None:
    store = numbered(30, 30)
    source = MixedSource(store, {"only": range(60)}, (50,), 10, seed=1)

    source.begin_epoch(0)
    rows = torch.cat([source.rows(index) for index in range(source.steps)])

    assert len(rows.unique()) == 50
    again = MixedSource(store, {"only": range(60)}, (50,), 10, seed=1)
    again.restore(source.state())
    assert torch.equal(again.rows(4), source.rows(4))
    with pytest.raises(DataError, match="less than one batch"):
        MixedSource(store, {"only": range(60)}, (5,), 10, seed=1)


@pytest.mark.parametrize(("balance", "power"), [(0.5, 0.5), (1.0, 0.0)])
def test_over_sampling_shows_classes_by_their_power(balance: float, power: float) -> None:
    counts = torch.tensor([800, 100, 40, 20, 20, 20])
    store = numbered(*counts.tolist())
    source = ShuffledSource(store, 100, seed=1, balance=balance)

    shown = torch.zeros(6)
    for number in range(20):
        rows = torch.tensor(epoch(source, number)).flatten()
        assert len(rows) == len(store)
        shown += torch.bincount(store.labels[rows], minlength=6)

    expected = counts**power / (counts**power).sum()
    torch.testing.assert_close(shown / shown.sum(), expected, atol=0.015, rtol=0)
    torch.testing.assert_close(source.prior, expected.double())
    assert ShuffledSource(store, 100, seed=1).prior[0] == 0.8


@pytest.fixture
def annotated() -> Dataset:
    return Dataset.from_dict(
        {
            "px": [bytes([level]) * 4096 for level in range(4)],
            "label": [0, 1, 2, 3],
            "face_found": [True] * 4,
            "second_label": ["fear", None, "neutral", "anger"],
            "soft_label": [None, [0.1, 0.9, 0, 0, 0, 0], None, [0, 0, 0, 0.5, 0, 0.5]],
        }
    )


def test_the_second_annotation_replaces_the_first_and_drops_what_it_calls_neutral(
    annotated: Dataset,
) -> None:
    assert from_dataset(annotated).labels.tolist() == [0, 1, 2, 3]

    second = from_dataset(annotated, "second")

    assert second.labels.tolist() == [5, 1, 3]
    assert numbers(second) == [0, 1, 3]
    assert second.soft is None


def test_the_mean_annotation_shares_the_probability(annotated: Dataset) -> None:
    mean = from_dataset(annotated, "mean")

    one = torch.eye(6)
    expected = torch.stack([(one[0] + one[5]) / 2, one[1], one[2], one[3]])
    torch.testing.assert_close(mean.targets, expected)


def test_soft_labels_are_learnt_half_and_half_with_the_label(annotated: Dataset) -> None:
    soft = from_dataset(annotated, soft_labels=True)

    one = torch.eye(6)
    votes = (torch.tensor([0.1, 0.9, 0, 0, 0, 0]), torch.tensor([0, 0, 0, 0.5, 0, 0.5]))
    expected = [(one[0] + one[5]) / 2, (one[1] + votes[0]) / 2, one[2], (one[3] + votes[1]) / 2]
    torch.testing.assert_close(soft.targets, torch.stack(expected))
    assert soft.labels.tolist() == [0, 1, 2, 3]


def test_the_share_of_soft_labels_can_be_chosen(annotated: Dataset) -> None:
    soft = from_dataset(annotated, soft_labels=True, soft_share=0.2)

    assert soft.targets[1].tolist() == pytest.approx([0.02, 0.98, 0, 0, 0, 0])
    assert soft.targets[0].tolist() == pytest.approx([0.8, 0, 0, 0, 0, 0.2])


def test_soft_labels_go_together_with_every_annotation(annotated: Dataset) -> None:
    second = from_dataset(annotated, "second", soft_labels=True, soft_share=0.25)
    mean = from_dataset(annotated, "mean", soft_labels=True, soft_share=0.25)

    assert numbers(second) == [0, 1, 3]
    assert second.targets[0].tolist() == pytest.approx([0.25, 0, 0, 0, 0, 0.75])
    assert mean.targets[0].tolist() == pytest.approx([0.5, 0, 0, 0, 0, 0.5])
    assert mean.targets[1].tolist() == pytest.approx([0.025, 0.975, 0, 0, 0, 0])


def test_how_calm_faces_are_follows_them_everywhere(annotated: Dataset) -> None:
    calm = [0.0, 0.25, None, 1.0]
    store = from_dataset(annotated.add_column("calm", calm))
    unknown = from_dataset(annotated)

    assert store.calm.dtype == torch.float32
    expected = torch.tensor([0.0, 0.25, float("nan"), 1.0])
    torch.testing.assert_close(store.calm, expected, equal_nan=True)
    assert unknown.calm is None
    joined = concatenate([unknown, store]).select(torch.tensor([7, 5, 0]))
    torch.testing.assert_close(joined.calm, torch.tensor([1.0, 0.25, float("nan")]), equal_nan=True)


def test_soft_labels_that_nobody_gave_are_refused(prepared: Path, tiny: Tiny) -> None:
    with pytest.raises(DataError, match="Nobody but the label says anything"):
        read_data(tiny(soft_labels=True), prepared)


def test_neutral_is_a_seventh_class_where_it_is_asked_for(prepared: Path, tiny: Tiny) -> None:
    six, seven = (read_data(tiny(neutral=neutral), prepared) for neutral in (False, True))

    assert seven.training.classes == SEVEN_LABELS
    assert seven.training.counts()[:6].tolist() == six.training.counts().tolist()
    assert seven.training.counts()[6] == len(read_neutral_rows(prepared, "synthetic", TRAINING))
    assert seven.training.targets.shape == (len(seven.training), 7)
    held = seven.validation["synthetic"]
    assert held.counts()[:6].tolist() == six.validation["synthetic"].counts().tolist()
    assert held.counts()[6] == len(read_neutral_rows(prepared, "synthetic", VALIDATION))
    assert seven.parts["synthetic"] == range(len(seven.training))
    neutral = seven.training.faces[seven.training.labels == 6].flatten(1)
    unseen = held.faces[held.labels == 6].flatten(1)
    assert not {bytes(face) for face in neutral.numpy()} & {bytes(f) for f in unseen.numpy()}


def test_the_mean_of_several_labels_leaves_room_for_a_seventh_class(annotated: Dataset) -> None:
    mean = [[0.5, 0.5, 0, 0, 0, 0], None, None, None]
    six = from_dataset(annotated.add_column("label_mean", mean))
    none = annotated.remove_columns("label").add_column("label", [-1] * 4)

    seven = add_neutral(six, from_dataset(none))

    assert seven.targets[0].tolist() == [0.5, 0.5, 0, 0, 0, 0, 0]
    assert seven.targets[1:4].argmax(1).tolist() == [1, 2, 3]
    assert seven.targets[4:].argmax(1).tolist() == [6] * 4


def test_outliers_are_learnt_as_all_classes_alike(prepared: Path, tiny: Tiny) -> None:
    plain, exposed = (read_data(tiny(outlier_exposure=on), prepared) for on in (False, True))
    count = len(plain.training)

    neutral = read_neutral_rows(prepared, "synthetic", TRAINING)
    assert len(exposed.training) == count + len(neutral) > count
    torch.testing.assert_close(exposed.training.targets[:count], plain.training.targets)
    torch.testing.assert_close(
        exposed.training.targets[count:], torch.full((len(neutral), 6), 1 / 6)
    )
    assert exposed.training.counts().tolist() == plain.training.counts().tolist()
    assert exposed.parts["synthetic"] == range(count)
    assert exposed.validation["synthetic"].counts().tolist() == (
        plain.validation["synthetic"].counts().tolist()
    )
    unseen = from_dataset(read_neutral_rows(prepared, "synthetic", VALIDATION)).faces.flatten(1)
    shown = exposed.training.faces[count:].flatten(1)
    assert not {bytes(f) for f in shown.numpy()} & {bytes(f) for f in unseen.numpy()}


def test_under_a_limit_there_are_as_many_outliers_as_a_class_has(
    prepared: Path, tiny: Tiny
) -> None:
    limited = read_data(tiny(outlier_exposure=True, limit=24), prepared)

    assert len(limited.training) == 24 + 4


def test_where_no_split_validates_nine_tenths_of_the_neutral_faces_are_shown(
    prepared: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(VALIDATION_SPLITS, "synthetic")

    data = read_data(tiny(outlier_exposure=True), prepared)
    held = read_neutral(prepared, ["synthetic"])["synthetic"]

    shown = data.training.faces[data.training.labels < 0]
    assert len(held) == round(0.1 * (len(shown) + len(held))) > 0
    pictures = ({bytes(f) for f in faces.flatten(1).numpy()} for faces in (shown, held.faces))
    assert not set.intersection(*pictures)


def test_calm_faces_say_nothing_about_classes_and_the_others_are_not_calm(
    prepared: Path, tiny: Tiny
) -> None:
    data = read_data(tiny(calm_weight=0.5), prepared)

    calm = data.training.labels < 0
    assert calm.any()
    assert data.training.calm is not None
    assert torch.equal(data.training.calm, calm.float())
    assert not data.training.targets[calm].any()
    torch.testing.assert_close(data.training.targets[~calm].sum(1), torch.ones(int((~calm).sum())))
    assert data.training.corpus is not None
    assert not data.training.corpus.any()


@pytest.mark.parametrize(
    "others", [{"neutral": True}, {"sampling": "sqrt"}, {"mixture": (10,)}], ids=str
)
def test_outliers_are_refused_where_they_would_have_no_place(
    tiny: Tiny, others: dict[str, object]
) -> None:
    with pytest.raises(ConfigError, match="--outlier-exposure"):
        tiny(outlier_exposure=True, **others)


def test_where_no_split_validates_a_tenth_of_the_neutral_faces_is_held_out(
    prepared: Path, tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(VALIDATION_SPLITS, "synthetic")

    data = read_data(tiny(neutral=True), prepared)

    training, held = data.training.counts(), data.validation["synthetic"].counts()
    assert held[6] == round(0.1 * (training[6] + held[6])) > 0
    faces = (data.training, data.validation["synthetic"])
    neutral, unseen = ({bytes(f) for f in s.faces[s.labels == 6].numpy()} for s in faces)
    assert not neutral & unseen


def test_a_corpus_without_neutral_faces_says_so(prepared: Path, tmp_path: Path, tiny: Tiny) -> None:
    splits = load_from_disk(str(prepared / "synthetic"))
    del splits["other"]
    splits.save_to_disk(str(tmp_path / "synthetic"))

    with pytest.raises(DataError, match="no neutral faces to learn; train it without --neutral"):
        read_data(tiny(neutral=True), tmp_path)
