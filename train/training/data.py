"""The faces that a run trains on and those that validate it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from emotion.align import DEFAULT_ZOOM
from emotion.errors import DataError
from emotion.labels import LABELS
from train.config.fit import FitConfig
from train.corpora.published import TRAINING_SPLIT
from train.faces.prepared import (
    HELD_OUT,
    TRAINING,
    VALIDATION,
    prepared_zoom,
    read_neutral_rows,
    validation_split,
)
from train.faces.store import (
    FaceStore,
    add_neutral,
    add_outliers,
    concatenate,
    from_dataset,
    hold_out,
    read_split,
    softened,
    stratified,
)


@dataclass(frozen=True)
class TrainingData:
    """Prepared faces.

    Attributes:
        training: the training faces of all corpora, and outliers behind them if there are any.
        validation: corpus -> faces that are never trained on.
        splits: the splits that ``training`` was taken from, as ``corpus/split``.
        zoom: scale of the crops, see ``emotion.align.template``.
        parts: corpus -> which faces of ``training`` are its own, in the order of the corpora.
    """

    training: FaceStore
    validation: dict[str, FaceStore]
    splits: tuple[str, ...]
    zoom: float = DEFAULT_ZOOM
    parts: dict[str, range] = field(default_factory=dict)


def read_data(config: FitConfig, data: Path) -> TrainingData:
    """Read the training faces of all corpora, and the validation faces of each.

    Raises:
        DataError: if a corpus was not prepared in ``data``, or has no neutral faces where they are
            to be learnt.
    """
    options = config.data
    if options.soft_labels and not any(softened(data, corpus) for corpus in options.corpora):
        raise DataError(
            f"Nobody but the label says anything about the faces of {', '.join(options.corpora)} "
            f"in {data}; prepare fer2013 again with FER+ votes (fer2013new.csv) beside it, or "
            "train without --soft-labels."
        )
    training: list[FaceStore] = []
    validation: dict[str, FaceStore] = {}
    parts: dict[str, range] = {}
    first = 0
    for place, corpus in enumerate(options.corpora):
        faces = read_split(
            data,
            corpus,
            TRAINING_SPLIT,
            options.annotation,
            soft_labels=options.soft_labels,
            soft_share=options.soft_share,
        )
        if validation_split(corpus) is None:
            faces, _ = hold_out(faces, HELD_OUT, seed=0)
        held = read_split(data, corpus, VALIDATION)
        if options.neutral:
            faces, held = _with_neutral(faces, held, data, corpus)
        validation[corpus] = stratified(held, options.validation_limit, seed=0)
        training.append(_of_corpus(stratified(faces, options.limit, config.seed), place))
        parts[corpus] = range(first, first + len(training[-1]))
        first = parts[corpus].stop
    together = concatenate(training)
    if options.outlier_exposure or config.objective.calm_weight:
        outliers = _outliers(config, data)
        together = add_outliers(together, outliers, uniform=options.outlier_exposure)
    splits = tuple(f"{corpus}/train" for corpus in options.corpora)
    zoom = prepared_zoom(data) or DEFAULT_ZOOM
    return TrainingData(together, validation, splits, zoom, parts)


def _with_neutral(
    faces: FaceStore, held: FaceStore, data: Path, corpus: str
) -> tuple[FaceStore, FaceStore]:
    """Add the corpus's neutral faces to its training and to its validation faces."""
    training = from_dataset(read_neutral_rows(data, corpus, TRAINING))
    validation = from_dataset(read_neutral_rows(data, corpus, VALIDATION))
    if not (len(training) and len(validation)):
        raise DataError(f"{corpus} has no neutral faces to learn; train it without --neutral.")
    return add_neutral(faces, training), add_neutral(held, validation)


def has_outliers(corpora: Iterable[str], data: Path) -> bool:
    """Tell whether there are neutral training faces that may be shown."""
    return any(len(read_neutral_rows(data, corpus, TRAINING)) for corpus in corpora)


def _of_corpus(faces: FaceStore, place: int, *, calm: float = 0.0) -> FaceStore:
    """Note where faces come from, and for those whom nobody was asked about how calm they are."""
    asked = torch.full((len(faces),), torch.nan) if faces.calm is None else faces.calm
    corpus = torch.full((len(faces),), place, dtype=torch.int64)
    return replace(faces, calm=asked.nan_to_num(calm), corpus=corpus)


def _outliers(config: FitConfig, data: Path) -> FaceStore:
    """Read the neutral faces that are shown; under a limit as many as a class has on average."""
    corpora = config.data.corpora
    rows = [read_neutral_rows(data, corpus, TRAINING) for corpus in corpora]
    faces = [
        _of_corpus(from_dataset(part), place, calm=1.0)
        for place, part in enumerate(rows)
        if len(part)
    ]
    if not faces:
        raise DataError(
            f"{', '.join(corpora)} have no neutral training faces to show; train with "
            "--no-outlier-exposure and --calm-weight 0."
        )
    limit = config.data.limit
    most = max(1, limit // len(LABELS)) if limit else None
    generator = torch.Generator().manual_seed(config.seed)
    chosen = [torch.randperm(len(store), generator=generator)[:most] for store in faces]
    return concatenate([store.select(rows) for store, rows in zip(faces, chosen, strict=True)])
