"""In which precision a training computes, and that what is measured does not depend on it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from emotion.errors import ConfigError
from tests.train.conftest import convolutions
from tests.train.domains.conftest import TINY, draw, gather
from train.cli import main
from train.config.fit import FitConfig, from_json, override, read_config, to_json
from train.domains.bort2.labeller import Labeller
from train.fit import fit
from train.scoring.inference import pooled_features, predict
from train.training import distributed, precision
from train.training.data import TrainingData
from train.training.network import build_network
from train.training.precision import autocast, sentence, settle
from train.training.sampling import build_source
from train.training.trainer import Trainer

Tiny = Callable[..., FitConfig]

CPU = torch.device("cpu")

FAST: dict[str, object] = {"sizes": (16,), "widths": (8, 8, 8, 8)}


def without_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.training.precision.in_hardware", lambda device: False)


def precisions(run: Path) -> list[str]:
    """What fit.json says, then what each epoch's line of the log says."""
    lines = (run / "log.jsonl").read_text("utf-8").splitlines()
    return [
        read_config(run / "fit.json").machine.precision,
        *(json.loads(line)["precision"] for line in lines),
    ]


def stop_after(run: Path, checkpoint: str) -> None:
    """Take a finished run back to one of its checkpoints."""
    for path in (run / "checkpoints").iterdir():
        if path.name > checkpoint:
            shutil.rmtree(path)


@pytest.mark.parametrize("has", [True, False])
def test_auto_takes_bfloat16_where_the_hardware_has_it_and_says_so(
    has: bool,
    prepared: Path,
    tmp_path: Path,
    tiny: Tiny,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("train.training.precision.in_hardware", lambda device: has)

    fit(tiny(**FAST, epochs=(1,), precision="auto"), prepared, tmp_path)

    taken = "bfloat16" if has else "float32"
    assert precisions(tmp_path) == [taken, taken]
    said = [line for line in capsys.readouterr().out.splitlines() if "Trains in" in line]
    assert len(said) == 1
    assert f"Trains in {taken}, " in said[0]


def test_the_processor_is_asked_for_amx_and_avx512_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the probe itself
    for amx, avx512 in ((True, False), (False, True), (False, False)):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda avx512=avx512: avx512)

        assert precision.in_hardware(CPU) == (amx or avx512)


def test_of_several_processes_each_must_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def gather_answers(answers: list[object], own: object) -> None:
        answers[:] = [own, False]

    monkeypatch.setattr(distributed, "count", lambda: 2)
    monkeypatch.setattr("torch.distributed.all_gather_object", gather_answers)

    assert precision.resolve("auto", CPU) == "float32"


def test_a_run_keeps_its_precision_on_a_machine_without_it_with_one_warning(
    prepared: Path,
    tmp_path: Path,
    tiny: Tiny,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = tiny(**FAST, epochs=(2,), precision="auto")
    fit(config, prepared, tmp_path)
    assert not caplog.messages
    weights = (tmp_path / "model.safetensors").read_bytes()
    stop_after(tmp_path, "epoch-0001")
    without_bfloat16(monkeypatch)

    fit(config, prepared, tmp_path, resume=True)

    assert precisions(tmp_path) == ["bfloat16"] * 3
    assert len(caplog.messages) == 1
    assert "emulated" in caplog.messages[0]
    assert (tmp_path / "model.safetensors").read_bytes() == weights


def test_float32_is_kept_where_bfloat16_would_be_faster(
    prepared: Path, tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(**FAST, epochs=(2,), precision="auto")
    with monkeypatch.context() as patch:
        without_bfloat16(patch)
        fit(config, prepared, tmp_path)
    stop_after(tmp_path, "epoch-0001")

    fit(config, prepared, tmp_path, resume=True)

    assert precisions(tmp_path) == ["float32"] * 3


def test_only_the_option_changes_a_run_and_the_log_says_from_which_epoch(
    prepared: Path, tmp_path: Path, tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(**FAST, epochs=(2,), precision="bfloat16")
    fit(config, prepared, tmp_path)
    stop_after(tmp_path, "epoch-0001")

    fit(override(config, precision="float32"), prepared, tmp_path, resume=True)

    assert precisions(tmp_path) == ["float32", "bfloat16", "float32"]
    assert "in bfloat16 until now, and in float32 from epoch 2 on" in capsys.readouterr().out

    fit(override(config, precision="auto"), prepared, tmp_path, resume=True)

    assert precisions(tmp_path) == ["float32", "bfloat16", "float32"]
    assert "until now" not in capsys.readouterr().out


def test_an_epoch_that_changes_half_way_says_both(
    prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    values = {**FAST, "checkpoint_minutes": 1e-9}
    config = tiny(**values, epochs=(2,), precision="bfloat16")
    fit(config, prepared, tmp_path)
    last = max(path.name for path in (tmp_path / "checkpoints").iterdir())
    stop_after(tmp_path, min(path.name for path in (tmp_path / "checkpoints").iterdir()))
    assert last == "epoch-0002"

    fit(override(config, precision="float32"), prepared, tmp_path, resume=True)

    assert precisions(tmp_path) == ["float32", "bfloat16", "bfloat16 then float32"]


@pytest.mark.parametrize("chosen", ["float32", "bfloat16"])
def test_a_run_goes_on_to_the_bitwise_same_result_in_either_precision(
    chosen: str, prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    config = tiny(
        **FAST, epochs=(2,), precision=chosen, attention_consistency=5.0, block_dropout=0.2
    )
    fit(config, prepared, tmp_path)
    state = tmp_path / "checkpoints" / "epoch-0002" / "state.safetensors"
    straight = state.read_bytes(), (tmp_path / "model.safetensors").read_bytes()
    stop_after(tmp_path, "epoch-0001")

    fit(config, prepared, tmp_path, resume=True)

    assert (state.read_bytes(), (tmp_path / "model.safetensors").read_bytes()) == straight


def start(config: FitConfig, out: Path) -> Trainer:
    data = gather({"fer2013": draw(96, 0, 1)}, draw(60, 0, 2))
    source = build_source(data.training, data.parts, config.data, config.seed)
    return Trainer(config, build_network(config, data), source, data.validation, out)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"focal_gamma": 2.0, "brier_term": True, "class_weights": "dynamic"},
        {"attention_consistency": 5.0},
        {"mixup": 0.3, "cutmix": 1.0, "degrade": 0.5, "label_smoothing": 0.1},
        {"backbone": "cnn", "activation": "silu", "standardise": "crop"},
    ],
    ids=["cross-entropy", "focal and Brier", "consistency", "mixed", "CNN"],
)
def test_a_steps_loss_and_gradient_in_bfloat16_are_those_in_float32_to_two_digits(
    options: dict[str, object], tmp_path: Path
) -> None:
    losses, gradients = [], []
    for chosen in ("float32", "bfloat16"):
        config = override(FitConfig(), **{**TINY, "precision": chosen, "clip_norm": 1e9, **options})
        trainer = start(config, tmp_path)
        trainer.network.train()
        trainer.source.begin_epoch(0)
        losses.append(trainer.step(0, 0, 32).item())
        gradients.append(torch.cat([p.grad.flatten() for p in trainer.network.parameters()]))

    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[1] != losses[0]  # it was bfloat16
    assert torch.cosine_similarity(*gradients, dim=0) > 0.98


@pytest.mark.parametrize("chosen", ["float32", "bfloat16"])
def test_a_network_learns_in_either_precision(chosen: str, tmp_path: Path) -> None:
    config = override(FitConfig(), **{**TINY, "epochs": (4,), "precision": chosen})
    data = gather({"fer2013": draw(240, 0, 1)}, draw(120, 0, 2))
    source = build_source(data.training, data.parts, config.data, config.seed)
    trainer = Trainer(config, build_network(config, data), source, data.validation, tmp_path)
    while not trainer.finished:
        trainer.epoch()

    assert trainer.best["accuracy"] > 0.7  # chance is 1/6


def test_only_what_learns_is_bfloat16(prepared: Path, tmp_path: Path, tiny: Tiny) -> None:
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    with convolutions() as seen:
        fit(tiny(**FAST, epochs=(1,)), prepared, teacher)
    assert seen == {True: {torch.float32}, False: {torch.float32}}
    options = {"attention_consistency": 5.0, "teachers": (str(teacher),), "precision": "bfloat16"}

    with convolutions() as seen:
        fit(tiny(**FAST, epochs=(1,), **options), prepared, student)

    # Validation, calibration and the teacher's answers.
    assert seen == {True: {torch.bfloat16}, False: {torch.float32}}


def test_answers_features_and_labels_are_the_same_within_a_training_and_without(
    tmp_path: Path,
) -> None:
    config = override(FitConfig(), **TINY)
    faces = draw(48, 0, 1)
    network = build_network(config, TrainingData(faces, {}, ())).eval()

    answers = predict(network, faces.faces, 32)
    features = pooled_features(network, faces.faces, 32)

    torch.testing.assert_close(features, answers.pooled, rtol=0, atol=0)
    inputs = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    labels = Labeller(network, 0.1).probabilities(inputs)
    assert torch.equal(labels, network(inputs).softmax(1).detach())
    with torch.no_grad(), autocast(CPU, "bfloat16"):
        assert not torch.equal(network(inputs).float().softmax(1), labels)


def test_bfloat16_on_a_gpu_without_it_is_one_sentence(
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without_bfloat16(monkeypatch)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    out = tmp_path / "run"
    command = ["fit", "--data", str(prepared), "--out", str(out), "--corpora", "synthetic"]

    assert main([*command, "--precision", "bfloat16"]) == 2

    message = capsys.readouterr().err.strip()
    assert "This GPU does not compute in bfloat16" in message
    assert "\n" not in message
    assert not out.exists()


def test_a_run_that_moves_to_such_a_gpu_keeps_its_precision(
    tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without_bfloat16(monkeypatch)
    gpu = torch.device("cuda")
    (tmp_path / "fit.json").write_text(json.dumps(to_json(tiny(precision="bfloat16"))), "utf-8")

    kept = settle(tiny(precision="auto"), tmp_path, gpu)

    assert kept.machine.precision == "bfloat16"
    assert len(caplog.messages) == 1
    with pytest.raises(ConfigError, match="not compute in bfloat16"):
        settle(tiny(precision="bfloat16"), tmp_path, gpu)


def test_a_gpu_is_kept_from_its_short_cut(
    tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)

    settle(tiny(), tmp_path, torch.device("cuda"))

    assert not torch.backends.cudnn.allow_tf32


def test_runs_from_before_are_read_and_go_on_as_new_ones_do(
    prepared: Path, tmp_path: Path, tiny: Tiny
) -> None:
    config = tiny(**FAST, epochs=(2,), precision="auto")
    fit(config, prepared, tmp_path)
    stop_after(tmp_path, "epoch-0001")
    values = to_json(config)
    del values["machine"]["precision"]
    assert from_json(values).machine.precision == "auto"
    (tmp_path / "fit.json").write_text(json.dumps(values), "utf-8")
    state = tmp_path / "checkpoints" / "epoch-0001" / "state.json"
    saved = json.loads(state.read_text("utf-8"))
    del saved["values"]["precisions"]
    del saved["values"]["history"][0]["precision"]
    state.write_text(json.dumps(saved), "utf-8")

    fit(config, prepared, tmp_path, resume=True)

    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert "precision" not in lines[0]
    assert lines[1]["precision"] == "bfloat16"


def test_a_table_says_in_one_sentence_how_its_rows_were_trained() -> None:
    assert sentence({"a": ["float32", "float32"], "b": ["float32"], "c": []}) == (
        "Trained in float32."
    )
    assert sentence({"a": ["float32"], "b": ["bfloat16", "float32"], "c": ["float32"]}) == (
        "Trained in float32: a, c; in bfloat16 and float32: b."
    )
    assert sentence({"a": []}) == ""


def test_variants_that_differ_in_precision_are_two_trainings(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = "--corpora synthetic --sizes 16 --epochs 1 --widths 8 8 8 8 --batch-size 16"
    command = ["compare", "--data", str(prepared), "--out", str(tmp_path), "--seeds", "1"]
    command += [f"--common={budget} --class-weights none --threads 1"]
    for name in ("float32", "bfloat16"):
        command += ["--variant", f"{name[-2:]} bits: --precision {name}"]

    assert main(command) == 0

    assert len(list(tmp_path.glob("*/finished.json"))) == 2
    assert "Trained in float32: 32 bits; in bfloat16: 16 bits." in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_step_is_the_plain_one_up_to_rounding(tmp_path: Path) -> None:
    small: dict[str, object] = {"backbone": "cnn", "widths": (4, 4, 8, 8)}
    losses, weights = [], []
    for compiled in ("no", "yes"):
        config = override(FitConfig(), **{**TINY, **small, "compile": compiled})
        trainer = start(config, tmp_path)
        trainer.network.train()
        trainer.source.begin_epoch(0)
        losses.append([trainer.step(0, index, 32).item() for index in range(3)])
        weights.append(trainer.network.fc.weight.detach())

    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-2, atol=1e-3)
