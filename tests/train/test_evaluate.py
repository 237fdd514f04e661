from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from emotion.errors import DataError
from emotion.labels import LABELS
from train.cli import main
from train.config import FitConfig, override
from train.evaluate import EvaluateConfig, evaluate
from train.loop import fit

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
    )
    fit(config, prepared, folder)
    return folder


def test_the_command_writes_every_number(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    arguments = ["--weights", str(run), "--corpus", "synthetic=150", "--split", "test"]

    assert main(["evaluate", *arguments, "--json", str(target)]) == 0

    result = json.loads(target.read_text("utf-8"))
    assert set(result) == KEYS
    assert np.sum(result["confusion"]) == result["n"] > 0
    assert list(result["per_class"]) == list(LABELS)
    assert result["corpus"] == "synthetic"
    assert result["split"] == "test"


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

    assert result["n"] == 18  # six classes, three pictures each; neutral is no class
    assert result["faces_not_found"] == 18
    assert len(result["unreadable"]) == 1


def test_a_split_that_was_trained_on_is_refused_unless_insisted(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "all"):
        with pytest.raises(DataError, match="trained on"):
            evaluate(EvaluateConfig(str(run), "synthetic=150", split))

    result = evaluate(EvaluateConfig(str(run), "synthetic=150", "train", allow_trained=True))

    assert result["n"] > 0
    assert "WARNING" in capsys.readouterr().out


@pytest.mark.corpora
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_embedded_weights_reach_their_floor_on_fer2013_public(shared_data: Path) -> None:
    corpus = f"fer2013={shared_data / 'fer2013.zip'}"

    result = evaluate(EvaluateConfig("embedded", corpus, "public"))

    assert result["n"] == 2982
    assert result["accuracy"] >= 0.66
    assert result["macro_f1"] >= 0.58
    embedded = json.loads(Path("emotion/assets/results.json").read_text("utf-8"))
    (published,) = [r for r in embedded if (r["corpus"], r["split"]) == ("fer2013", "public")]
    assert result["accuracy"] == pytest.approx(published["accuracy"], abs=0.002)
