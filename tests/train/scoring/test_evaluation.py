from __future__ import annotations

import json
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from datasets import DatasetDict, load_from_disk

from emotion.errors import DataError
from emotion.evaluation import Evaluation
from emotion.labels import LABELS
from train.cli import main
from train.config.faces import EvaluateConfig
from train.config.fit import FitConfig, override
from train.faces.prepared import read_rows
from train.faces.store import hold_out, read_split
from train.fit import fit
from train.scoring.evaluation import evaluate

KEYS = {
    "n",
    "accuracy",
    "macro_f1",
    "macro_precision",
    "macro_recall",
    "per_class",
    "confusion",
    "ece",
    "corpus",
    "split",
    "weights",
    "faces_not_found",
    "confidence_intervals",
    "unreadable",
    "digest",
    "calibration_digest",
    "tta",
    "excluded",
    "reliability",
    "precision_recall",
    "convention",
    "answered",
    "mirror_agreement",
}


@pytest.fixture(scope="module")
def run(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "narrow"
    config = override(
        FitConfig(),
        corpora=("synthetic",),
        sizes=(32,),
        epochs=(1,),
        widths=(8, 8, 8, 8),
        batch_size=16,
        class_weights="none",
        threads=1,
        precision="float32",
    )
    fit(config, prepared, folder)
    return folder


def test_the_command_writes_every_number(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    arguments = ["--weights", str(run), "--corpus", "synthetic=150", "--split", "test"]

    assert main(["evaluate", *arguments, "--json", str(target)]) == 0

    values = json.loads(target.read_text("utf-8"))
    assert set(values) == KEYS
    result = Evaluation.from_json(values, "out.json")
    assert result.to_json() == values
    assert np.sum(result.confusion) == result.n > 0
    assert list(result.per_class) == list(LABELS)
    assert result.corpus == "synthetic"
    assert result.split == "test"
    config = json.loads((run / "config.json").read_text("utf-8"))
    numbers = [config["temperature"], *config["temperature_slope"], config["temperature_offset"]]
    calibration = repr([float(number) for number in (*numbers, *config["class_offsets"])])
    assert result.calibration_digest == sha256(calibration.encode()).hexdigest()


def test_pictures_without_a_face_and_broken_ones_still_count(run: Path, tmp_path: Path) -> None:
    # A FER-2013 tree whose pictures hold no face; one of them cannot be decoded at all.
    from PIL import Image

    for split, prefix in (("train", "Training"), ("test", "PublicTest")):
        for name in ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"):
            folder = tmp_path / "fer" / split / name
            folder.mkdir(parents=True)
            for number in range(3):
                path = folder / f"{prefix}_{number}{name}.png"
                Image.new("L", (48, 48), 20 * number).save(path)
    broken = tmp_path / "fer" / "test" / "sad" / "PublicTest_0sad.png"
    broken.write_bytes(b"\x89PNG broken")

    result = evaluate(EvaluateConfig(str(run), f"fer2013={tmp_path / 'fer'}", "public"))

    assert result.n == 18  # six classes, three pictures each; neutral is no class
    assert result.faces_not_found == 18
    assert len(result.unreadable) == 1


def test_a_split_that_was_trained_on_is_refused_unless_insisted(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "all"):
        with pytest.raises(DataError, match="trained on"):
            evaluate(EvaluateConfig(str(run), "synthetic=150", split))

    result = evaluate(EvaluateConfig(str(run), "synthetic=150", "train", allow_trained=True))

    assert result.n > 0
    assert "WARNING" in capsys.readouterr().out


def test_prepared_faces_give_the_numbers_of_the_pictures(run: Path, prepared: Path) -> None:
    pictures = evaluate(EvaluateConfig(str(run), "synthetic=150", "valid"))

    faces = evaluate(EvaluateConfig(str(run), "synthetic", "validation", data=prepared))

    assert faces == pictures


def test_answers_are_scored_against_a_second_annotation_too(
    run: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = load_from_disk(str(prepared / "synthetic"))
    rows = faces["valid"]
    second = [LABELS[label] if i % 3 else None for i, label in enumerate(rows["label"])]
    second[1], second[2] = "neutral", LABELS[(rows["label"][2] + 1) % 6]
    faces["valid"] = rows.remove_columns("second_label").add_column("second_label", second)
    faces.save_to_disk(str(tmp_path / "synthetic"))
    common = ["evaluate", "--weights", str(run), "--corpus", "synthetic", "--split", "validation"]

    assert main([*common, "--data", str(tmp_path), "--json", str(tmp_path / "out.json")]) == 0

    scores = json.loads((tmp_path / "out.json").read_text("utf-8"))["second_labels"]
    named = sum(name in LABELS for name in second)
    assert scores["n"] == named
    assert scores["agree"] == pytest.approx((named - 1) / named)
    assert f"another annotation of {named} images" in capsys.readouterr().out


def test_the_held_out_part_of_a_training_split_can_be_measured_and_nothing_else_of_it(
    run: Path, prepared: Path, tmp_path: Path
) -> None:
    # Stored as RAF-DB, which has no validation split, the drawn faces hold a tenth of theirs out.
    (tmp_path / "raf-db").symlink_to(prepared / "synthetic")
    config = json.loads((run / "config.json").read_text("utf-8"))
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "config.json").write_text(json.dumps({**config, "trained_on": ["raf-db/train"]}))
    (weights / "model.safetensors").symlink_to(run / "model.safetensors")

    result = evaluate(EvaluateConfig(str(weights), "raf-db", "validation", data=tmp_path))

    _, held_out = hold_out(read_split(tmp_path, "raf-db", "train"), 0.1, seed=0)
    assert result.n == len(held_out)
    support = [row["support"] for row in result.per_class.values()]
    assert support == held_out.counts().tolist()
    assert result.split == "validation"
    with pytest.raises(DataError, match="trained on raf-db/train"):
        evaluate(EvaluateConfig(str(weights), "raf-db", "train", data=tmp_path))


def test_listed_pictures_are_left_out_of_both_kinds_of_data(
    run: Path, prepared: Path, tmp_path: Path
) -> None:
    ids = read_rows(prepared, "synthetic", "valid")["sample_id"][:5]
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    for corpus, data in (("synthetic=150", None), ("synthetic", prepared)):
        config = EvaluateConfig(str(run), corpus, "valid", data=data)

        every, some = evaluate(config), evaluate(replace(config, exclude=tmp_path / "ids.txt"))

        assert (every.excluded, some.excluded) == (0, 5)
        assert some.n == every.n - 5


def test_a_list_of_all_pictures_leaves_nothing_to_measure(
    run: Path, prepared: Path, tmp_path: Path
) -> None:
    ids = read_rows(prepared, "synthetic", "valid")["sample_id"]
    (tmp_path / "ids.txt").write_text("\n".join(ids))

    for corpus, data in (("synthetic=150", None), ("synthetic", prepared)):
        config = EvaluateConfig(str(run), corpus, "valid", data=data, exclude=tmp_path / "ids.txt")
        with pytest.raises(DataError, match=f"every one of these {len(ids)} faces"):
            evaluate(config)


def test_averaging_over_mirror_images_forgives_a_mirrored_face(
    run: Path, prepared: Path, tmp_path: Path
) -> None:
    splits = load_from_disk(str(prepared / "synthetic"))
    mirrored = splits["valid"].map(
        lambda row: {"px": np.frombuffer(row["px"], np.uint8).reshape(64, 64)[:, ::-1].tobytes()}
    )
    DatasetDict({"valid": mirrored}).save_to_disk(str(tmp_path / "synthetic"))
    config = {**json.loads((run / "config.json").read_text()), "mirror": False}  # as older weights
    old = tmp_path / "old"
    shutil.copytree(run, old, ignore=shutil.ignore_patterns("checkpoints"))
    (old / "config.json").write_text(json.dumps(config))
    results = {
        (tta, folder): evaluate(
            EvaluateConfig(str(old), "synthetic", "valid", data=folder, tta=tta)
        )
        for tta in ("none", "flip")
        for folder in (prepared, tmp_path)
    }

    same, other = (
        [results[tta, f].precision_recall for f in (prepared, tmp_path)] for tta in ("flip", "none")
    )
    assert same[0] == same[1]
    assert other[0] != other[1]


def test_degraded_pictures_are_measured_and_colour_does_not_matter(
    run: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.json"
    arguments = ["evaluate", "--weights", str(run), "--split", "validation", "--degrade", "12"]
    arguments += ["--data", str(prepared), "--json", str(target)]

    assert main([*arguments, "--corpus", "synthetic=150"]) == 0

    rows = json.loads(target.read_text("utf-8"))["robustness"]
    assert [row["n"] for row in rows] == [12] * len(rows)
    assert rows[-1]["condition"] == "without colour"
    assert rows[-1]["agreement"] == 1
    assert "JPEG, quality 10" in capsys.readouterr().out

    assert main([*arguments, "--corpus", "synthetic"]) == 2
    assert "--corpus synthetic=PATH" in capsys.readouterr().err


@pytest.mark.corpora
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_embedded_weights_reach_their_floor_on_fer2013_public(shared_data: Path) -> None:
    corpus = f"fer2013={shared_data / 'fer2013.zip'}"

    result = evaluate(EvaluateConfig("embedded", corpus, "public"))

    assert result.n == 2982
    assert result.accuracy >= 0.68
    assert result.macro_f1 >= 0.62
    embedded = json.loads(Path("emotion/assets/results.json").read_text("utf-8"))
    (published,) = [r for r in embedded if (r["corpus"], r["split"]) == ("fer2013", "public")]
    assert result.accuracy == pytest.approx(published["accuracy"], abs=0.002)
