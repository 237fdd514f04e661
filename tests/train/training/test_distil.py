from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from emotion.calibration import Calibration
from emotion.config import NetworkConfig
from emotion.errors import ConfigError
from emotion.network import EmotionNet
from train.config.fit import FitConfig
from train.fit import fit
from train.scoring.inference import predict
from train.scoring.views import average_over_views
from train.training.checkpoint import load_newest
from train.training.data import TrainingData, read_data
from train.training.distil import ANSWERS, distil

Tiny = Callable[..., FitConfig]
CPU = torch.device("cpu")


def teacher(folder: Path, seed: int, temperature: float = 1.0, mirror: bool = False) -> str:
    torch.manual_seed(seed)
    config = NetworkConfig(
        backbone="cnn",
        widths=(8, 8, 16, 16),
        temperature=temperature,
        mirror=mirror,
        trained_on=(f"corpus-{seed}/train",),
    )
    network = EmotionNet(config)
    network.fc.weight.data *= 20  # answers that differ from face to face
    network.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def exposed(prepared: Path, tiny: Tiny) -> TrainingData:
    """Training faces with outliers behind them."""
    return read_data(tiny(outlier_exposure=True), prepared)


def test_targets_are_labels_mixed_with_the_teachers_mean_calibrated_answer(
    tmp_path: Path, exposed: TrainingData, tiny: Tiny
) -> None:
    specs = teacher(tmp_path / "a", 1, 2.0), teacher(tmp_path / "b", 2, mirror=True)
    config = tiny(outlier_exposure=True, teachers=specs, teacher_weight=0.25)

    taught = distil(config, exposed, tmp_path, CPU)

    before, after = exposed.training, taught.training
    count = len(exposed.parts["synthetic"])
    answers = []
    for spec in specs:
        network = EmotionNet.from_pretrained(spec).eval()

        def classify(crops: np.ndarray, network: EmotionNet = network) -> np.ndarray:
            said = predict(network, torch.tensor(crops), 64)
            calibration = Calibration.of(network.config)
            return said.probabilities(calibration)

        answers.append(average_over_views(classify, before.faces[:count].numpy(), "flip"))
    expected = 0.75 * before.targets[:count] + 0.25 * torch.from_numpy(np.mean(answers, 0))
    torch.testing.assert_close(after.targets[:count], expected)
    assert (after.targets[:count] - before.targets[:count]).abs().amax(1).min() > 0.01
    torch.testing.assert_close(after.targets[count:], torch.full_like(after.targets[count:], 1 / 6))
    assert torch.equal(after.labels, before.labels)
    assert set(taught.splits) == {"synthetic/train", "corpus-1/train", "corpus-2/train"}


def test_a_teacher_answers_each_face_by_the_convention_of_its_corpus(
    tmp_path: Path, exposed: TrainingData, tiny: Tiny
) -> None:
    torch.manual_seed(0)
    config = NetworkConfig(backbone="cnn", widths=(8, 8, 16, 16), conventions=("another", "jaffe"))
    network = EmotionNet(config).eval()
    network.save_pretrained(tmp_path / "teacher")
    faces = exposed.training.select(torch.arange(40))
    corpus = torch.arange(40) % 2
    data = replace(exposed, training=replace(faces, corpus=corpus))
    spec = str(tmp_path / "teacher")
    options = tiny(teachers=(spec,), teacher_weight=1.0, corpora=("synthetic", "another"))

    targets = distil(options, data, tmp_path, CPU).training.targets

    for place, layer in enumerate((network.fc, network.heads["another"])):
        rows = corpus == place
        pooled = predict(network, faces.faces[rows], 64).pooled
        mirrored = predict(network, faces.faces[rows].flip(-1), 64).pooled
        expected = (layer(pooled).softmax(1) + layer(mirrored).softmax(1)) / 2
        torch.testing.assert_close(targets[rows], expected.detach())


def test_a_teacher_is_asked_once_and_another_one_anew(
    tmp_path: Path, exposed: TrainingData, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def count(*arguments: object) -> object:
        asked.append(arguments[0])
        return predict(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("train.training.distil.predict", count)
    one, two = (teacher(tmp_path / name, seed) for seed, name in enumerate("ab"))

    first = distil(tiny(teachers=(one,)), exposed, tmp_path, CPU)
    passes = len(asked)
    again = distil(tiny(teachers=(one,)), exposed, tmp_path, CPU)
    assert len(asked) == passes > 0
    torch.testing.assert_close(again.training.targets, first.training.targets)
    other = distil(tiny(teachers=(two,)), exposed, tmp_path, CPU)
    assert len(asked) == 2 * passes
    assert not torch.allclose(other.training.targets, first.training.targets)
    teacher(tmp_path / "a", 0, temperature=3.0)  # the same weights, calibrated anew
    distil(tiny(teachers=(one,)), exposed, tmp_path, CPU)
    assert len(asked) == 3 * passes
    (tmp_path / ANSWERS).write_bytes(b"cut off")
    mended = distil(tiny(teachers=(two,)), exposed, tmp_path, CPU)
    torch.testing.assert_close(mended.training.targets, other.training.targets)


def test_with_the_whole_weight_a_student_learns_the_teacher_and_not_the_labels(
    tmp_path: Path, prepared: Path, tiny: Tiny
) -> None:
    spec = teacher(tmp_path / "teacher", 3)
    network = EmotionNet.from_pretrained(spec)
    network.fc.weight.data.zero_()
    network.fc.bias.data = torch.tensor([0.0, 0.6, 0.0, 0.0, -0.6, 0.0])
    network.save_pretrained(spec)
    config = tiny(teachers=(spec,), teacher_weight=1.0, label_smoothing=0.0, epochs=(12,), lr=2e-2)

    fit(config, prepared, tmp_path / "run")

    newest = load_newest(tmp_path / "run" / "checkpoints")  # not the best one by the labels
    assert newest
    student = EmotionNet.from_pretrained(str(tmp_path / "run")).float().eval()
    student.load_state_dict(
        {name: newest.tensors[f"average.{name}"] for name in student.state_dict()}
    )
    held = read_data(config, prepared).validation["synthetic"].faces
    answer = predict(student, held, 32).logits.softmax(1).mean(0)
    torch.testing.assert_close(answer, network.fc.bias.data.softmax(0), rtol=0, atol=0.03)
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved["trained_on"] == ["synthetic/train", "corpus-3/train"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"neutral": True}, "Teachers know the six expressions alone"),
        ({"teacher_weight": 1.5}, "--teacher-weight must be between 0 and 1"),
    ],
)
def test_what_cannot_be_learnt_of_teachers_is_refused(
    options: dict[str, object], sentence: str, tiny: Tiny
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        tiny(teachers=("embedded",), **options)


def test_a_method_with_targets_of_its_own_takes_no_teacher(
    tmp_path: Path, prepared: Path, tiny: Tiny
) -> None:
    spec = teacher(tmp_path / "teacher", 4)

    with pytest.raises(ConfigError, match="leave out --teachers"):
        fit(tiny(method="bort2", init=spec, teachers=(spec,)), prepared, tmp_path / "run")
    assert not (tmp_path / "run" / ANSWERS).exists()  # nobody was asked first


def test_a_teacher_for_crops_of_another_zoom_is_not_asked(
    tmp_path: Path, exposed: TrainingData, tiny: Tiny
) -> None:
    spec = teacher(tmp_path / "teacher", 6)
    other = replace(exposed, zoom=1.0)

    with pytest.raises(ConfigError, match=r"prepared with zoom 1\.0"):
        distil(tiny(teachers=(spec,)), other, tmp_path, CPU)
    assert not (tmp_path / ANSWERS).exists()


def test_weights_that_do_not_fit_are_refused_before_a_teacher_is_asked(
    tmp_path: Path, prepared: Path, tiny: Tiny
) -> None:
    spec = teacher(tmp_path / "teacher", 5)

    with pytest.raises(ConfigError, match="have widths 8 8 16 16, not 8 8 8 8"):
        fit(tiny(init=spec, widths=(8, 8, 8, 8), teachers=(spec,)), prepared, tmp_path / "run")
    assert not (tmp_path / "run" / ANSWERS).exists()
