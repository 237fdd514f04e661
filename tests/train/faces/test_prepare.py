from __future__ import annotations

import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from emotion.detect.checkpoint import MOBILENET_WEIGHTS
from emotion.errors import ConfigError, DataError, WeightsError
from train.cli import main
from train.config.faces import AlignConfig
from train.corpora import load_corpus, schema
from train.faces import prepare as preparation
from train.faces.align_rows import align_rows
from train.faces.prepare import PrepareConfig, prepare
from train.faces.report import Report, to_text
from train.faces.store import read_split

RAF = "1=surprise,2=fear,3=disgust,4=happiness,5=sadness,6=anger,7=neutral"
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


@pytest.fixture
def raf(tmp_path: Path, hopper: npt.NDArray[np.uint8]) -> Path:
    """A RAF-DB tree: noise for every class, a zip as it is distributed."""
    random = np.random.default_rng(1)
    path = tmp_path / "raf.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for split in ("train", "test"):
            lines = ["image,label"]
            for label in range(1, 8):
                name = f"{split}_{label:05d}_aligned.jpg"
                noise = random.integers(0, 256, (100, 100, 3), np.uint8)
                encoded = cv2.imencode(".jpg", noise)[1].tobytes()
                archive.writestr(f"DATASET/{split}/{label}/{name}", encoded)
                lines.append(f"{name},{label}")
            archive.writestr(f"{split}_labels.csv", "\n".join(lines) + "\n")
    return path


def run(fer: Path, out: Path, **options: object) -> Report:
    return prepare(PrepareConfig((f"fer2013={fer}",), out, AlignConfig(**options), processes=1))  # type: ignore[arg-type]


def run_drawn(count: int, out: Path, processes: int = 1) -> Report:
    return prepare(PrepareConfig((f"synthetic={count}",), out, AlignConfig(), processes))


def fork(action: Callable[[], object]) -> multiprocessing.context.ForkProcess:
    """Start an action in a process and a session of its own, as a shell starts a command."""

    def begin() -> None:
        os.setsid()
        sys.exit(action())

    process = multiprocessing.get_context("fork").Process(target=begin)
    process.start()
    return process


def command(corpus: str, out: Path, processes: int) -> list[str]:
    options = ["--corpus", corpus, "--out", str(out), "--processes", str(processes)]
    return ["prepare", *options]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run on 210 drawn faces makes if nothing happens to it."""
    out = tmp_path_factory.mktemp("straight")
    run_drawn(210, out)
    return out


@pytest.fixture
def aligned_rows(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Sample ids of the rows that are aligned while the test runs, in one process."""
    seen: list[str] = []

    def spy(rows: dict, config: AlignConfig) -> dict:
        seen.extend(rows["sample_id"])
        return align_rows(rows, config)

    monkeypatch.setattr(preparation, "align_rows", spy)
    return seen


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


def test_a_corpus_without_neutral_pictures_can_be_read_back(fer: Path, tmp_path: Path) -> None:
    for folder in fer.glob("*/neutral"):
        shutil.rmtree(folder)

    report = run(fer, tmp_path / "out")

    assert list(report.corpora[0].counts) == ["train", "public"]
    assert len(read_split(tmp_path / "out", "fer2013", "public")) == 19


def test_a_training_copy_of_a_held_out_photograph_is_dropped(fer: Path, tmp_path: Path) -> None:
    report = run(fer, tmp_path / "out")

    train = read_split(tmp_path / "out", "fer2013", "train")
    assert (report.groups, report.leaks, report.repeats) == (1, 1, 0)
    assert report.corpora[0].duplicates["train"] == 1
    assert report.corpora[0].total("train") == 19
    assert len(train) == 18
    assert train.found.sum() == 0


def test_a_photograph_cropped_differently_is_found_by_its_aligned_face(
    fer: Path, tmp_path: Path, astronaut: npt.NDArray[np.uint8]
) -> None:
    wider = cv2.cvtColor(astronaut[0:250, 100:350], cv2.COLOR_RGB2GRAY)
    Image.fromarray(wider).save(fer / "train" / "happy" / "Training_face.png")

    report = run(fer, tmp_path / "out")

    assert report.leaks == 1


def test_a_copy_whose_face_is_not_found_is_found_by_the_whole_picture(
    fer: Path, tmp_path: Path
) -> None:
    source = fer / "test" / "happy" / "PublicTest_0happy.png"  # noise
    image = np.asarray(Image.open(source)).astype(int)
    brighter = np.clip(image + 9, 0, 255).astype(np.uint8)
    Image.fromarray(brighter).save(fer / "train" / "sad" / "Training_copy.png")

    report = run(fer, tmp_path / "out")

    assert report.leaks == 2
    assert any(any("Training_copy" in entry for entry in c) for c in report.conflicts)


def test_a_photograph_in_two_corpora_is_counted_and_dropped_once(
    fer: Path, raf: Path, tmp_path: Path
) -> None:
    face = (fer / "test" / "happy" / "PublicTest_face.png").read_bytes()
    with zipfile.ZipFile(raf, "a") as archive:
        archive.writestr("DATASET/train/4/train_00099_aligned.jpg", face)

    report = prepare(
        PrepareConfig((f"fer2013={fer}", f"raf-db={raf},{RAF}"), tmp_path / "out", AlignConfig(), 1)
    )

    assert (report.groups, report.across, report.leaks) == (1, 1, 2)
    assert [corpus.duplicates["train"] for corpus in report.corpora] == [1, 1]
    assert report.conflicts == []  # both call it happiness, in their own words
    assert len(read_split(tmp_path / "out", "raf-db", "train")) == 6


def test_one_photograph_under_two_labels_is_listed(fer: Path, tmp_path: Path) -> None:
    source = fer / "test" / "happy" / "PublicTest_face.png"
    (fer / "test" / "sad" / "PublicTest_same.png").write_bytes(source.read_bytes())

    report = run(fer, tmp_path / "out")

    (conflict,) = report.conflicts
    assert any(entry.endswith(": happy") for entry in conflict)
    assert any(entry.endswith(": sad") for entry in conflict)


def test_repeats_in_training_become_one_picture_with_the_mean_of_their_labels(
    fer: Path, tmp_path: Path
) -> None:
    source = (fer / "train" / "sad" / "Training_0sad.png").read_bytes()
    for place in ("fear/Training_a.png", "fear/Training_b.png", "neutral/Training_c.png"):
        (fer / "train" / place).write_bytes(source)

    report = run(fer, tmp_path / "out")

    assert (report.repeats, report.averaged) == (3, 1)
    assert "the mean of its labels, which differ for 1." in to_text(report)
    train = read_split(tmp_path / "out", "fer2013", "train")
    assert train.counts().tolist() == [3, 3, 2, 3, 3, 4]
    mixed = train.targets.amax(1) < 1
    (row,) = train.targets[mixed].tolist()
    assert row == pytest.approx([0, 0, 1 / 3, 0, 0, 2 / 3])
    assert train.labels[mixed].tolist() == [5]
    assert train.calm[mixed].tolist() == [0.25]
    assert train.calm[~mixed].sum() == 0


def test_the_same_pictures_in_train_and_valid_leave_nothing_to_learn(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    for name in ("happy", "sad"):
        for number in range(3):
            noise = Image.fromarray(random.integers(0, 256, (48, 48), np.uint8))
            for split in ("train", "valid"):
                (tmp_path / "own" / split / name).mkdir(parents=True, exist_ok=True)
                noise.save(tmp_path / "own" / split / name / f"{number}.png")
    config = PrepareConfig((f"mine=folder:{tmp_path / 'own'}",), tmp_path / "out", AlignConfig(), 1)

    with pytest.raises(DataError, match=r"Every training picture of mine \(6\) also stands"):
        prepare(config)

    Image.fromarray(random.integers(0, 256, (48, 48), np.uint8)).save(
        tmp_path / "own" / "train" / "sad" / "new.png"
    )
    assert prepare(config).leaks == 6
    assert len(read_split(tmp_path / "out", "mine", "train")) == 1
    assert len(read_split(tmp_path / "out", "mine", "validation")) == 6


def vote(fer: Path) -> None:
    """Make a dozen pictures of each class, and a table of votes beside the corpus."""
    random = np.random.default_rng(2)
    for name in CLASSES:
        for number in range(3, 12):
            noise = random.integers(0, 256, (48, 48), np.uint8)
            Image.fromarray(noise).save(fer / "train" / name / f"Training_{number}{name}.png")
    answers = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
    columns = (*sorted(answers), "contempt", "unknown", "NF")
    lines = [",".join(("image", *columns))]
    for path in sorted(fer.glob("*/*/*.png")):
        own = answers[CLASSES.index(path.parent.name)]
        votes = {own: 6, "fear": 2} | ({"fear": 8} if own == "fear" else {})
        lines.append(",".join([path.stem, *(str(votes.get(name, 0)) for name in columns)]))
    (fer.parent / "ferplus-votes.csv").write_text("\n".join(lines))


def test_votes_beside_the_corpus_become_soft_labels(fer: Path, tmp_path: Path) -> None:
    vote(fer)

    report = run(fer, tmp_path / "out")

    votes = report.corpora[0].votes
    assert votes is not None
    assert votes.rows == 6 * 12
    assert votes.accuracy == {"train": 1, "public": 1}
    assert "72 training rows have a soft label; the votes alone tell 100.0% of train" in (
        to_text(report)
    )
    assert run(fer, tmp_path / "out") == report
    hard, soft = (
        read_split(tmp_path / "out", "fer2013", "train", soft_labels=on) for on in (False, True)
    )
    assert hard.soft is None
    assert (soft.targets.argmax(1) == soft.labels).all()
    assert 0.5 < soft.targets.amax(1).min() < 1


def test_votes_stay_with_the_corpus_that_they_were_given_for(fer: Path, tmp_path: Path) -> None:
    vote(fer)
    for name in ("happy", "sad"):
        folder = tmp_path / "another" / "train" / name
        folder.mkdir(parents=True)
        shutil.copy(fer / "train" / name / f"Training_5{name}.png", folder)
    corpora = (f"another=folder:{tmp_path / 'another'}", f"fer2013={fer}")

    report = prepare(PrepareConfig(corpora, tmp_path / "out", AlignConfig(), 1))

    another, own = report.corpora
    assert report.across == 2
    assert another.votes is None  # its rows stayed, without the votes of the copies
    assert own.votes is not None
    assert own.votes.rows == 6 * 12 - 2


def test_the_thumbnails_of_the_search_are_not_saved(fer: Path, tmp_path: Path) -> None:
    run(fer, tmp_path / "out")

    state = json.loads((tmp_path / "out/fer2013/train/dataset_info.json").read_text("utf-8"))
    assert "thumb" not in state["features"]


def test_an_unchanged_second_run_aligns_nothing(
    fer: Path, tmp_path: Path, aligned_rows: list[str]
) -> None:
    first = run(fer, tmp_path / "out")
    aligned_rows.clear()

    assert run(fer, tmp_path / "out") == first
    assert not aligned_rows


def test_a_second_run_says_what_is_left_out_now(
    fer: Path, tmp_path: Path, aligned_rows: list[str]
) -> None:
    first = run(fer, tmp_path / "out")
    aligned_rows.clear()
    (fer / "val" / "happy").mkdir(parents=True)
    (fer / "val" / "happy" / "new.png").write_bytes(b"x")

    second = run(fer, tmp_path / "out")

    assert first.corpora[0].findings == {}
    assert second.corpora[0].findings == {"unused folder": ["val/happy: 1 pictures; left out"]}
    assert "val/happy: 1 pictures; left out" in to_text(second)
    assert "val/happy" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert run(fer, tmp_path / "out") == second
    assert not aligned_rows


def test_other_options_and_other_weights_are_new_work(
    fer: Path, tmp_path: Path, aligned_rows: list[str]
) -> None:
    weights = tmp_path / "other.safetensors"
    tensors = load_file(MOBILENET_WEIGHTS)
    save_file({name: tensor * 1.0001 for name, tensor in tensors.items()}, weights)
    first = run(fer, tmp_path / "out")

    zoomed = run(fer, tmp_path / "out", zoom=1.1)
    redetected = run(fer, tmp_path / "out", detector_weights=weights)

    assert len({report.fingerprint for report in (first, zoomed, redetected)}) == 3
    assert len(aligned_rows) == 3 * 44


def test_a_moved_picture_is_noticed(fer: Path, tmp_path: Path) -> None:
    first = run(fer, tmp_path / "out")
    picture = fer / "train" / "sad" / "Training_0sad.png"
    picture.rename(fer / "train" / "fear" / "Training_0sad.png")

    second = run(fer, tmp_path / "out")

    assert second.fingerprint != first.fingerprint
    assert second.corpora[0].counts["train"]["fear"] == 4


def test_pictures_that_are_read_late_are_noticed_when_they_change(
    fer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = run(fer, tmp_path / "embedded")
    monkeypatch.setattr(schema, "EMBED_LIMIT", 0)  # as for corpora of many gigabytes
    first = run(fer, tmp_path / "out")
    again = run(fer, tmp_path / "out")
    picture = fer / "train" / "sad" / "Training_0sad.png"
    shutil.copy(fer / "train" / "fear" / "Training_0fear.png", picture)

    second = run(fer, tmp_path / "out")

    assert first.corpora == embedded.corpora
    assert again == first
    assert second.fingerprint != first.fingerprint
    assert second.repeats == first.repeats + 1


def test_a_missing_corpus_folder_is_made_again(fer: Path, tmp_path: Path) -> None:
    first = run(fer, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "fer2013")

    assert run(fer, tmp_path / "out") == first
    assert len(read_split(tmp_path / "out", "fer2013", "public")) == 19


def test_worker_processes_change_nothing_even_after_threads_were_used(tmp_path: Path) -> None:
    fer = _many_pictures(tmp_path / "many", 200)
    torch.set_num_threads(2)
    cv2.setNumThreads(2)
    try:
        torch.nn.functional.conv2d(torch.randn(8, 8, 256, 256), torch.randn(16, 8, 3, 3))
        cv2.GaussianBlur(np.zeros((3000, 3000, 3), np.uint8), (21, 21), 3)
        for processes in (1, 2):
            out = tmp_path / str(processes)
            prepare(PrepareConfig((f"fer2013={fer}",), out, AlignConfig(), processes))
        assert torch.get_num_threads() == cv2.getNumThreads() == 2
    finally:
        torch.set_num_threads(1)
        cv2.setNumThreads(1)

    one, two = (read_split(tmp_path / n, "fer2013", "train") for n in ("1", "2"))
    assert len(one) > 100
    assert one.found.float().mean() > 0.9
    assert (one.faces == two.faces).all()
    assert (one.labels == two.labels).all()


def _many_pictures(folder: Path, count: int) -> Path:
    """A FER-2013 tree of drawn faces, without landmarks, so that the detector has to work."""
    rows = load_corpus("synthetic", str(count + 70)).splits["train"]
    for number, row in enumerate(rows.select(range(min(count, len(rows))))):
        path = folder / "train" / CLASSES[number % 7] / f"Training_{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(row["image"]["bytes"])
    return folder


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_run_shows_no_corpus_and_the_next_one_reuses_what_was_finished(
    processes: int, tmp_path: Path, straight: Path, aligned_rows: list[str]
) -> None:
    out = tmp_path / "out"

    def prepare_until_killed() -> None:
        parent = os.getpid()

        def kill(rows: dict, config: AlignConfig) -> dict:
            if rows["split"][0] == "test":
                os.kill(parent, signal.SIGKILL)
            return align_rows(rows, config)

        preparation.align_rows = kill
        run_drawn(210, out, processes)

    killed = fork(prepare_until_killed)
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert [path.name for path in out.iterdir()] == [".work"]
    run_drawn(210, out)

    finished = load_corpus("synthetic", "210", splits=["train", "valid"]).splits
    again = set(aligned_rows)
    assert again
    assert again.isdisjoint([*finished["train"]["sample_id"], *finished["valid"]["sample_id"]])
    assert {path.name for path in out.iterdir()} == {"synthetic", "report.json", "report.html"}
    assert_same_faces(out, straight)


def assert_same_faces(out: Path, straight: Path) -> None:
    for split in ("train", "valid", "test", "other"):
        faces, expected = (read_split(f, "synthetic", split).faces for f in (out, straight))
        assert (faces == expected).all()


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_cache_file_that_a_power_failure_cut_off_is_made_again(
    share: float, tmp_path: Path, straight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(preparation, "without_duplicates", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_drawn(210, out)
    (cached,) = out.glob(".work/*/train*.arrow")
    os.truncate(cached, int(share * cached.stat().st_size))

    run_drawn(210, out)

    assert_same_faces(out, straight)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_ends_with_one_sentence(
    processes: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fer = _many_pictures(tmp_path / "many", 200)
    out = tmp_path / "out"
    process = fork(lambda: main(command(f"fer2013={fer}", out, processes)))
    while not list(out.glob(".work/*/tmp*")):
        assert process.is_alive()
        time.sleep(0.01)

    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    process.join()

    error = capfd.readouterr().err
    assert process.exitcode == 130
    assert "Finished work is kept" in error
    assert "Traceback" not in error
    assert not (out / "fer2013").exists()


def test_a_worker_that_is_ended_from_outside_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(rows: dict, config: AlignConfig) -> dict:
        os.kill(os.getpid(), signal.SIGKILL)
        return align_rows(rows, config)

    monkeypatch.setattr(preparation, "align_rows", end)

    with pytest.raises(DataError, match="lack of memory"):
        run_drawn(210, tmp_path / "out", processes=2)


def test_workers_do_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pids.mkdir()

    def prepare_until_killed() -> None:
        parent = os.getpid()

        def kill(rows: dict, config: AlignConfig) -> dict:
            (pids / str(os.getpid())).touch()
            if len(list(pids.iterdir())) == 2:
                os.kill(parent, signal.SIGKILL)
            return align_rows(rows, config)

        preparation.align_rows = kill
        run_drawn(210, tmp_path / "out", processes=2)

    killed = fork(prepare_until_killed)
    killed.join()

    deadline = time.monotonic() + 60
    while any(_lives(int(path.name)) for path in pids.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(list(pids.iterdir())) == 2


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # ended, but nobody has asked for its exit code


@pytest.mark.parametrize("processes", [1, 2])
def test_weights_that_are_none_are_named_by_every_process(
    fer: Path, tmp_path: Path, processes: int
) -> None:
    weights = tmp_path / "detector.safetensors"
    weights.write_bytes(b"no tensors")
    align = AlignConfig(detector_weights=weights)

    with pytest.raises(WeightsError, match=r"detector\.safetensors"):
        prepare(PrepareConfig((f"fer2013={fer}",), tmp_path / "out", align, processes))
    with pytest.raises(DataError, match="cannot be read"):
        run(fer, tmp_path / "out", detector_weights=tmp_path / "nowhere")


def test_an_unreadable_picture_is_set_aside_with_its_reason(fer: Path, tmp_path: Path) -> None:
    for number in range(60):
        name = f"Training_more{number}.png"
        shutil.copy(fer / "train" / "sad" / "Training_0sad.png", fer / "train" / "fear" / name)
    broken = fer / "train" / "sad" / "Training_1sad.png"
    broken.write_bytes(broken.read_bytes()[:60])

    report = run(fer, tmp_path / "out")

    (entry,) = report.corpora[0].unreadable
    assert "Training_1sad.png" in entry
    assert "damaged" in entry
    assert report.corpora[0].counts["train"]["sadness"] == 3
    sad = read_split(tmp_path / "out", "fer2013", "train").counts()[2]
    assert sad <= 2


def test_more_than_one_percent_of_them_stop_the_run_even_in_a_small_corpus(
    fer: Path, tmp_path: Path
) -> None:
    broken = fer / "train" / "sad" / "Training_1sad.png"
    broken.write_bytes(b"")

    with pytest.raises(DataError, match=r"1 of 44 pictures of fer2013 .* more than 1%") as caught:
        run(fer, tmp_path / "out")

    assert "Training_1sad.png" in str(caught.value)
    assert not (tmp_path / "out" / "fer2013").exists()


def test_a_corpus_without_the_six_expressions_is_refused(fer: Path, tmp_path: Path) -> None:
    root = tmp_path / "affectnet"
    for folder, name in (("images", "calm.png"), ("labels", "calm.txt")):
        (root / "train" / folder).mkdir(parents=True)
        (root / "train" / folder / name).write_text("0 0.5 0.5 1 1")
    shutil.copy(next(fer.glob("train/neutral/*")), root / "train" / "images" / "calm.png")
    (root / "data.yaml").write_text("nc: 1\nnames: [Neutral]\n")

    with pytest.raises(DataError, match="none of the six expressions, only 1 picture"):
        prepare(PrepareConfig((f"affectnet={root}",), tmp_path / "out", AlignConfig()))

    assert not (tmp_path / "out").exists()


def test_a_corpus_named_twice_is_refused(fer: Path, tmp_path: Path) -> None:
    texts = (f"fer2013={fer}", "synthetic", f"fer2013={fer}")

    with pytest.raises(ConfigError, match="named twice"):
        prepare(PrepareConfig(texts, tmp_path / "out", AlignConfig()))


def test_corpora_of_an_earlier_preparation_may_not_be_left_out(fer: Path, tmp_path: Path) -> None:
    run(fer, tmp_path / "out")

    with pytest.raises(ConfigError, match="also holds fer2013"):
        run_drawn(70, tmp_path / "out")

    assert len(read_split(tmp_path / "out", "fer2013", "public")) == 19


def test_no_process_at_all_is_refused(fer: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="processes"):
        run_drawn(70, tmp_path / "out", processes=0)


def test_an_unwritable_place_is_one_sentence(fer: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(DataError, match="cannot be written"):
        run(fer, tmp_path / "file")


# With two workers the cached files are small enough, but not the corpus that is saved.
@pytest.mark.parametrize(("limit", "processes"), [(100_000, 1), (100_000, 2), (500_000, 2)])
def test_a_full_disk_is_one_sentence_and_nothing_half_written_is_seen(
    limit: int, processes: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"

    def prepare_on_a_small_disk() -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        return main(command("synthetic=210", out, processes))

    process = fork(prepare_on_a_small_disk)
    process.join()

    error = capfd.readouterr().err
    assert process.exitcode == 2
    assert "cannot be written (File too large); free some space" in error
    assert "Traceback" not in error
    assert [path.name for path in out.iterdir()] == [".work"]


def test_the_command_prints_the_report_and_writes_it(
    fer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"

    code = main(["prepare", "--corpus", f"fer2013={fer}", "--out", str(out), "--processes", "1"])

    assert code == 0
    assert "train: 19 images" in capsys.readouterr().out
    saved = json.loads((out / "report.json").read_text("utf-8"))
    assert saved["corpora"][0]["counts"]["public"]["happiness"] == 4
    assert "<svg" in (out / "report.html").read_text("utf-8")
