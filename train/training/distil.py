"""Knowledge distillation: what trained networks answer becomes part of what is learnt."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as pack_tensors
from torch import Tensor

from emotion.align import CROP_SIZE
from emotion.calibration import Calibration
from emotion.errors import ConfigError
from emotion.files import write_bytes
from emotion.network import EmotionNet
from emotion.weights import Loaded, load
from train.config.fit import FitConfig
from train.faces.store import FaceStore
from train.scoring.inference import predict
from train.scoring.views import average_over_views
from train.training import distributed
from train.training.data import TrainingData

ANSWERS = "teachers.safetensors"
"""File in the folder of a run, so that a resumed one does not ask again."""


def distil(config: FitConfig, data: TrainingData, out: Path, device: torch.device) -> TrainingData:
    """Mix the answers of the config's teachers into the targets of the training faces.

    A target t becomes (1 - a) t + a q, where a is ``teacher_weight`` and q the mean of the
    teachers' calibrated probabilities of the face and its mirror image: Hinton et al., "Distilling
    the Knowledge in a Neural Network", 2015, with each teacher's own calibration in place of one
    temperature. A teacher that knows the convention of a face's corpus answers by it. The face is
    not augmented, so it has one target.
    Outliers, which have no class, keep theirs.

    Args:
        config: names the teachers.
        data: what is trained on; comes back as it is where there are no teachers.
        out: folder of the run, which gets the answers.
        device: where the teachers run.

    Raises:
        ConfigError: if a teacher expects crops of another zoom.
        DataError: if the answers cannot be written.
        WeightsError: if weights cannot be used.
    """
    if not config.data.teachers:
        return data
    loaded = [load(spec) for spec in config.data.teachers]
    for one in loaded:
        if one.network.config.zoom != data.zoom:
            raise ConfigError(
                f"The faces were prepared with zoom {data.zoom}, and the teacher {one.spec} "
                f"expects {one.network.config.zoom}; prepare them for it, or leave it out."
            )
    known = data.training.labels >= 0
    faces = data.training.select(known)
    teachers = [_teacher(one, faces, config.data.corpora) for one in loaded]
    if not distributed.rank():
        _ask_once(teachers, faces, out, device)
    distributed.wait()
    answers = _read(out / ANSWERS)
    taught = torch.stack([answers[teacher.key] for teacher in teachers]).mean(0)
    targets = data.training.targets.clone()
    share = config.data.teacher_weight
    targets[known] = (1 - share) * targets[known] + share * taught
    seen = dict.fromkeys(data.splits)
    for teacher in teachers:
        seen |= dict.fromkeys(teacher.network.config.trained_on)
    return replace(data, training=replace(data.training, soft=targets), splits=tuple(seen))


class _Teacher(NamedTuple):
    """Who answers.

    Attributes:
        key: names the answers of the network, as it is calibrated, to these faces.
        network: it.
        rows: convention -> which of the faces it answers by it.
    """

    key: str
    network: EmotionNet
    rows: dict[str, Tensor]


def _teacher(one: Loaded, faces: FaceStore, corpora: Sequence[str]) -> _Teacher:
    rows = _by_convention(one.network, faces, corpora)
    digest = hashlib.sha256(f"{one.digest} {one.network.config}".encode())
    for convention, chosen in rows.items():
        digest.update(convention.encode() + faces.faces[chosen].numpy().tobytes())
    return _Teacher(digest.hexdigest(), one.network, rows)


def _by_convention(
    network: EmotionNet, faces: FaceStore, corpora: Sequence[str]
) -> dict[str, Tensor]:
    """Return which faces (rows) a network answers by which convention."""
    own = network.config.convention
    names = [name if name in network.config.conventions else own for name in corpora]
    assert faces.corpus is not None
    return {
        name: torch.tensor([names[place] == name for place in range(len(names))])[faces.corpus]
        for name in dict.fromkeys(names)
    }


def _ask_once(teachers: list[_Teacher], faces: FaceStore, out: Path, device: torch.device) -> None:
    answers = _read(out / ANSWERS)
    for key, network, rows in teachers:
        if key in answers:
            continue
        network.to(device)
        said = torch.empty(len(faces), len(network.config.labels))
        for convention, chosen in rows.items():
            said[chosen] = _ask(network.answer_as(convention), faces.faces[chosen])
        answers[key] = said
        write_bytes(out / ANSWERS, pack_tensors(answers))


def _ask(network: EmotionNet, faces: Tensor) -> Tensor:
    """Return the mean of a network's calibrated probabilities over views, float32 (N, 6)."""
    calibration = Calibration.of(network.config)

    def classify(crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return predict(network, torch.from_numpy(crops), CROP_SIZE).probabilities(calibration)

    answers = average_over_views(
        classify, faces.numpy(), "flip", "asking the teacher", mirrors=network.config.mirror
    )
    return torch.from_numpy(answers)


def _read(path: Path) -> dict[str, Tensor]:
    """Read answers by key; a file that is missing or damaged holds none."""
    try:
        return parse_tensors(path.read_bytes())
    except (FileNotFoundError, SafetensorError):
        return {}
