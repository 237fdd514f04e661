from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from emotion.align import align_face, template
from emotion.errors import DataError
from train import prepare as preparation
from train.alignment import AlignConfig, align_rows
from train.corpora import load_corpus
from train.corpora.dedup import perceptual_hashes, thumbnail
from train.prepare import PrepareConfig, prepare
from train.report import to_text
from train.report_page import to_html
from train.store import read_split

CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


@pytest.fixture
def fer(tmp_path: Path, astronaut: npt.NDArray[np.uint8]) -> Path:
    """A FER-2013 tree of 48x48 crops: noise without a face, and one portrait per split as happy."""
    random = np.random.default_rng(0)
    for split, prefix in (("train", "Training"), ("test", "PublicTest")):
        for name in CLASSES:
            folder = tmp_path / "fer" / split / name
            folder.mkdir(parents=True)
            for number in range(3):
                noise = random.integers(0, 256, (48, 48), np.uint8)
                Image.fromarray(noise).save(folder / f"{prefix}_{number}{name}.png")
    face = astronaut[40:200, 140:300]
    small = cv2.resize(
        cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), (48, 48), interpolation=cv2.INTER_AREA
    )
    dimmed = np.clip(small * 0.8 + 10, 0, 255).astype(np.uint8)
    Image.fromarray(small).save(tmp_path / "fer" / "test" / "happy" / "PublicTest_face.png")
    Image.fromarray(dimmed).save(tmp_path / "fer" / "train" / "happy" / "Training_face.png")
    return tmp_path / "fer"


def run(fer: Path, out: Path, **options: object) -> preparation.Report:
    config = PrepareConfig((f"fer2013={fer}",), out, AlignConfig(**options), processes=1)  # type: ignore[arg-type]
    return prepare(config)


def test_faces_are_aligned_and_the_rest_keeps_its_plain_crop(fer: Path, tmp_path: Path) -> None:
    report = run(fer, tmp_path / "out")

    public = read_split(tmp_path / "out", "fer2013", "public")
    assert public.faces.shape == (19, 64, 64)
    assert public.found.sum() == 1
    assert public.labels[public.found].tolist() == [0]
    (corpus,) = report.corpora
    assert corpus.total("public") == 19
    assert corpus.found["public"]["happiness"] == pytest.approx(1 / 4)
    assert corpus.detection_rate("public") == pytest.approx(1 / 19, abs=1e-3)
    other = read_split(tmp_path / "out", "fer2013", "other")
    assert set(other.labels.tolist()) == {-1}


def test_a_training_copy_of_a_held_out_photograph_is_dropped(fer: Path, tmp_path: Path) -> None:
    report = run(fer, tmp_path / "out")

    train = read_split(tmp_path / "out", "fer2013", "train")
    assert report.leaks == 1
    assert report.corpora[0].duplicates["train"] == 1
    assert report.corpora[0].total("train") == 19
    assert len(train) == 18
    assert train.found.sum() == 0


def test_one_photograph_under_two_labels_is_listed(fer: Path, tmp_path: Path) -> None:
    source = fer / "test" / "happy" / "PublicTest_face.png"
    (fer / "test" / "sad" / "PublicTest_same.png").write_bytes(source.read_bytes())

    report = run(fer, tmp_path / "out")

    (conflict,) = report.conflicts
    assert any(entry.endswith(": happy") for entry in conflict)
    assert any(entry.endswith(": sad") for entry in conflict)


def test_an_unchanged_second_run_does_nothing_and_a_changed_zoom_everything(
    fer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(fer, tmp_path / "out")
    calls = []
    monkeypatch.setattr(
        preparation, "align_rows", lambda *a, **k: calls.append(1) or align_rows(*a, **k)
    )

    assert run(fer, tmp_path / "out") == first
    assert not calls
    assert run(fer, tmp_path / "out", zoom=1.1).fingerprint != first.fingerprint
    assert calls


def test_a_relabelled_picture_is_noticed(fer: Path, tmp_path: Path) -> None:
    first = run(fer, tmp_path / "out")
    picture = fer / "train" / "sad" / "Training_0sad.png"
    picture.rename(fer / "train" / "fear" / "Training_0sad.png")

    second = run(fer, tmp_path / "out")

    assert second.fingerprint != first.fingerprint
    assert second.corpora[0].counts["train"]["fear"] == 4


def test_worker_processes_change_nothing(tmp_path: Path) -> None:
    splits = []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        prepare(PrepareConfig(("synthetic=200",), out, AlignConfig(), processes))
        splits.append(read_split(out, "synthetic", "train"))

    assert (splits[0].faces == splits[1].faces).all()
    assert (splits[0].labels == splits[1].labels).all()


def test_a_killed_run_leaves_no_half_corpus_and_the_next_one_finishes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "train", "prepare", "--corpus", "synthetic=120"]
    command += ["--out", str(tmp_path / "out"), "--processes", "1"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not (tmp_path / "out" / ".work").exists() and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out" / "synthetic").exists()

    subprocess.run(command, check=True, capture_output=True)

    expected = load_corpus("synthetic", "120").totals["train"]
    assert len(read_split(tmp_path / "out", "synthetic", "train")) == expected
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {"synthetic", "report.json", "report.html"}


def test_an_unreadable_picture_is_quarantined_with_its_reason(
    fer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = fer / "train" / "sad" / "Training_1sad.png"
    broken.write_bytes(broken.read_bytes()[:60])

    with pytest.raises(DataError, match="1 of 44 pictures of fer2013 cannot be read"):
        run(fer, tmp_path / "strict")
    monkeypatch.setattr(preparation, "MAX_UNREADABLE", 0.5)
    report = run(fer, tmp_path / "out")

    (entry,) = report.corpora[0].unreadable
    assert "Training_1sad.png" in entry
    assert "damaged" in entry
    assert len(read_split(tmp_path / "out", "fer2013", "train")) == 17
    assert not (tmp_path / "strict" / "fer2013").exists()


def test_an_unwritable_place_is_one_sentence(fer: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(DataError, match="cannot be written"):
        run(fer, tmp_path / "file")


def test_the_report_can_be_read_as_text_page_and_json(fer: Path, tmp_path: Path) -> None:
    report = run(fer, tmp_path / "out")

    for rendered in (to_text(report), to_html(report)):
        assert "fer2013" in rendered
        assert "19" in rendered
    saved = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert saved["corpora"][0]["counts"]["public"]["happiness"] == 4
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "<svg" in page
    assert "<img" not in page  # statistics only, no faces
    assert "<script" not in page
    assert sum(report.corpora[0].eye_distances) == 2
    assert sum(report.corpora[0].grey_levels) == 44


def test_landmarks_of_the_corpus_are_used(astronaut: npt.NDArray[np.uint8]) -> None:
    rows = load_corpus("synthetic", "70").splits["train"][:4]

    columns = align_rows(rows, AlignConfig())

    assert columns["landmarks"] == [[float(v) for v in row] for row in rows["landmarks"]]
    assert all(columns["face_found"])
    crop = np.frombuffer(columns["px"][0], np.uint8).reshape(64, 64)
    assert columns["phash"][0] == int(perceptual_hashes(thumbnail(crop)[None])[0])


def test_the_face_in_the_corpus_box_is_chosen(
    astronaut: npt.NDArray[np.uint8], hopper: npt.NDArray[np.uint8]
) -> None:
    import io

    scene = np.full((600, 1024, 3), 128, np.uint8)
    scene[:, :512] = hopper  # the larger face
    scene[:512, 512:] = astronaut
    buffer = io.BytesIO()
    Image.fromarray(scene).save(buffer, "PNG")
    rows = {
        name: [None]
        for name in (
            "label",
            "source",
            "split",
            "sample_id",
            "original_label",
            "soft_label",
            "second_label",
            "landmarks",
        )
    }
    rows["image"] = [{"bytes": buffer.getvalue(), "path": "scene.png"}]
    rows["box"] = [[512 + 178.0, 56.0, 512 + 270.0, 176.0]]

    (landmarks,) = align_rows(rows, AlignConfig())["landmarks"]

    points = np.reshape(landmarks, (5, 2)) - [512, 0]
    assert np.abs(points - [[205, 101], [246, 103], [225, 125], [203, 144], [243, 146]]).max() < 6
    crop, _ = align_face(scene, np.reshape(landmarks, (5, 2)))
    assert crop.shape == (64, 64)
    assert template().shape == (5, 2)


def test_super_resolution_enlarges_small_pictures_only_and_keeps_the_landmarks_place(
    fer: Path, tmp_path: Path
) -> None:
    plain = run(fer, tmp_path / "plain")
    better = run(fer, tmp_path / "better", superres="zssr")

    assert plain.corpora[0].upscaled == 0
    assert better.corpora[0].upscaled == 44
    faces = [read_split(tmp_path / name, "fer2013", "public") for name in ("plain", "better")]
    (first,), (second,) = (store.faces[store.found].numpy() for store in faces)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.97
    assert (first != second).any()


@pytest.mark.corpora
def test_faces_are_found_in_every_real_corpus(shared_data: Path) -> None:
    archives = {"fer2013": "fer2013.zip", "raf-db": "raf-db.zip", "affectnet": "affectnet-yolo.zip"}
    for name, archive in archives.items():
        rows = load_corpus(name, shared_data / archive, splits=["train"]).splits["train"]
        sample = rows.select(range(0, len(rows), len(rows) // 60))

        columns = align_rows(sample[:], AlignConfig())

        assert {len(px) for px in columns["px"]} == {64 * 64}
        assert not any(columns["error"])
        assert np.mean(columns["face_found"]) >= 0.93, name
