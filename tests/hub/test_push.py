"""``python -m train push`` against a Hub that works, and one that does not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard

from emotion import graph_file
from emotion.calibration import Calibration
from emotion.config import NetworkConfig
from emotion.evaluation import RESULTS
from emotion.labels import LABELS
from emotion.network import EmotionNet
from tests.hub.client import Attempt, Client, logits
from tests.hub.conftest import READER, STRANGER, WRITER
from tests.hub.server import Hub
from train.hub.push import push

CONFIG, TENSORS = "config.json", "model.safetensors"


def evaluation(**changes: Any) -> dict[str, Any]:
    """Numbers as ``evaluate --json`` writes them; no two are alike."""
    scores = {
        name: {"precision": 0.5 + i / 100, "recall": 0.71 + i / 100, "f1": 0.6, "support": 40 + i}
        for i, name in enumerate(LABELS)
    }
    return {
        "n": 1234,
        "accuracy": 0.81234,
        "macro_f1": 0.76543,
        "macro_precision": 0.74321,
        "macro_recall": 0.73456,
        "per_class": scores,
        "confusion": [[1] * 6] * 6,
        "ece": 0.0312,
        "confidence_intervals": {"accuracy": [0.79, 0.83], "macro_f1": [0.74, 0.79]},
        "corpus": "raf-db",
        "split": "test",
        "weights": "/home/somebody/runs/mine",
        "faces_not_found": 41,
        **changes,
    }


@pytest.fixture
def run_folder(tmp_path: Path, repository: str) -> Path:
    """A run as fit leaves it, with a small network that no other test has."""
    torch.manual_seed(1000 + int(repository.rpartition("-")[2]))
    config = NetworkConfig(widths=(8, 8, 8, 8), trained_on=("raf-db/train",), temperature=1.25)
    folder = tmp_path / "my run"
    EmotionNet(config).save_pretrained(folder)
    (folder / "raf-db-test.json").write_text(json.dumps(evaluation()))
    there = "/home/somebody/runs"
    fit = {
        "data": {"corpora": ["raf-db"], "teachers": [f"{there}/wide", "hf://me/wide", "embedded"]},
        "architecture": {"init": f"{there}/first"},
        "bort2": {"clips": f"{there}/clips"},
        "seed": 77,
    }
    (folder / "fit.json").write_text(json.dumps(fit))
    scores = {"accuracy": 0.5, "macro_f1": 0.4, "ece": 0.1}
    lines = [
        {"epoch": epoch, "size": 64, "loss": 1.5, **scores, "validation": {"raf-db": scores}}
        for epoch in (1, 2)
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def pushing(hub: Hub, client: Client, repository: str, run_folder: Path):
    """Push the run, with a token that may."""

    def attempt(source: Path | str = run_folder, token: str = WRITER, **named: Any) -> Attempt:
        return client.attempt(push, str(source), repository, token=token, **named)

    return attempt


def content(hub: Hub, repository: str, revision: str = "main") -> dict[str, bytes]:
    files = hub.repositories["models", repository].resolve(revision).files
    return {name: hub.store.path(file.sha256).read_bytes() for name, file in files.items()}


def check_sentence(attempt: Attempt, *says: str) -> None:
    assert attempt.error is not None
    assert all(text in attempt.error for text in says), attempt.error
    assert attempt.error.endswith(".")
    for noise in ("\n", "http:", "127.0.0.1", "Traceback", "hf_w", "hf_r", "hf_s"):
        assert noise not in attempt.error
    assert attempt.noise == ""


def test_what_was_pushed_comes_back_with_identical_logits(
    hub, client, pushing, repository, run_folder
):
    pushed = pushing()

    assert pushed.error is None
    assert pushed.noise == ""
    outcome = client.load(pushed.value.spec)
    assert outcome.logits == logits(EmotionNet.from_pretrained(run_folder))
    assert outcome.digest == hashlib.sha256((run_folder / TENSORS).read_bytes()).hexdigest()
    assert client.load(f"hf://{repository}@v1").revision == pushed.value.commit


def test_everything_is_one_commit_with_a_tag(hub, pushing, repository, run_folder):
    pushed = pushing().value

    there = hub.repositories["models", repository]
    assert len(there.commits) == 2  # the other one is the Hub's own first
    assert there.tags == {"v1": pushed.commit} == {pushed.tag: there.branches["main"]}
    files = content(hub, repository)
    assert set(files) - {".gitattributes"} == {
        "README.md",
        CONFIG,
        TENSORS,
        graph_file.NAME,
        "evaluation/raf-db-test.json",
        "figures/confusion.svg",
        "figures/learning-curves.svg",
        "training/fit.json",
        "training/log.jsonl",
    }
    assert files[CONFIG] == (run_folder / CONFIG).read_bytes()
    assert files[TENSORS] == (run_folder / TENSORS).read_bytes()
    assert files["training/log.jsonl"] == (run_folder / "log.jsonl").read_bytes()
    fit = json.loads(files["training/fit.json"])
    assert fit["seed"] == 77
    assert fit["data"]["teachers"] == ["wide", "hf://me/wide", "embedded"]
    assert (fit["architecture"]["init"], fit["bort2"]["clips"]) == ("first", "clips")
    assert not any(b"/home/somebody" in data for data in files.values())
    expected = {**evaluation(), "weights": f"hf://{repository}"}  # no folder of this machine
    assert json.loads(files["evaluation/raf-db-test.json"]) == expected


def test_the_card_takes_its_numbers_from_the_results(hub, pushing, repository):
    pushing()

    card = ModelCard(content(hub, repository)["README.md"].decode())
    values = {
        (result.dataset_type, result.dataset_split, result.metric_name): result.metric_value
        for result in card.data.eval_results
    }
    assert values == {
        ("raf-db", "test", "Accuracy"): 0.8123,
        ("raf-db", "test", "Macro F1"): 0.7654,
        ("raf-db", "test", "Macro precision"): 0.7432,
        ("raf-db", "test", "Macro recall"): 0.7346,
    }
    text = " ".join(card.text.split())
    row = "| RAF-DB test | 1,234 | 0.812 (0.790–0.830) | 0.765 (0.740–0.790) | 0.71 | 0.72 |"
    assert row in text
    for sentence in (
        "41 images without a detected face",
        "RAF-DB | train | non-commercial research",
        "AI Act, art. 5(1)(f)",
        "| `seed` | `77` |",
        f'Analyzer.from_weights("hf://{repository}")',
    ):
        assert sentence in text
    assert card.data.license == "other"


@pytest.mark.parametrize(
    ("corpus", "split", "title"),
    [
        ("fer2013", "public", "FER-2013 public"),
        ("raf-db", "validation", "RAF-DB validation"),  # a held-out tenth
        ("mine", "valid", "mine valid"),
    ],
)
def test_results_on_the_split_that_chose_the_epoch_say_so(
    hub, pushing, repository, run_folder, corpus: str, split: str, title: str
):
    config = json.loads((run_folder / CONFIG).read_text())
    (run_folder / CONFIG).write_text(json.dumps({**config, "trained_on": [f"{corpus}/train"]}))
    (run_folder / "a.json").write_text(json.dumps(evaluation(corpus=corpus, split=split)))
    pushing()

    text = content(hub, repository)["README.md"].decode()
    assert (
        f"{title}: 41 images without a detected face. Epoch and calibration were chosen on" in text
    )
    assert text.count("were chosen on") == 1


def test_collected_results_take_the_place_of_single_ones_and_bring_the_calibration(
    hub, pushing, repository, run_folder
):
    about = {"answered": 0.9, "neutral": 100, "neutral_answered": 0.25}
    (run_folder / "results.json").write_text(json.dumps([evaluation(calibration=about)]))
    (run_folder / "calibration.json").write_text('{"temperature": 1.25}')
    pushing()

    files = content(hub, repository)
    assert json.loads(files["evaluation/raf-db-test.json"])["calibration"] == about
    assert json.loads(files["evaluation/calibration.json"]) == {"temperature": 1.25}
    text = files["README.md"].decode()
    assert text.count("| RAF-DB test |") == 1
    assert "*Not sure* is the answer to 10% of these faces and to 75% of the neutral ones." in text


def test_the_card_tells_calm_faces_from_those_that_are_not_sure(
    hub, pushing, repository, run_folder
):
    torch.manual_seed(1000 + int(repository.rpartition("-")[2]))
    config = NetworkConfig(widths=(8, 8, 8, 8), trained_on=("raf-db/train",), calm=True)
    EmotionNet(config).save_pretrained(run_folder)
    about = {"answered": 0.8, "called_calm": 0.14, "neutral": 100, "neutral_answered": 0.2}
    about["neutral_called_calm"] = 0.7
    (run_folder / "results.json").write_text(json.dumps([evaluation(calibration=about)]))
    pushing()

    text = " ".join(content(hub, repository)["README.md"].decode().split())
    assert (
        "*Not sure* or *no clear expression* is the answer to 20% (the latter to 14%) of these "
        "faces and to 80% (the latter to 70%) of the neutral ones." in text
    )
    assert "A second output tells calm faces" in text


@pytest.fixture
def export(run_folder: Path) -> dict[str, bytes]:
    """An 8-bit export as it lies beside the weights; its content is not looked at here."""
    model = {"int8.xml": b"<net/>", "int8.bin": bytes(range(256)) * 40}
    record = {
        "weights": hashlib.sha256((run_folder / TENSORS).read_bytes()).hexdigest(),
        "files": [hashlib.sha256(data).hexdigest() for data in model.values()],
    }
    files = {"int8.json": (json.dumps(record, indent=2) + "\n").encode(), **model}
    config = EmotionNet.from_pretrained(run_folder).config
    files[graph_file.INT8] = b"graph" + graph_file.mark(record["weights"], config).encode()
    for name, data in files.items():
        (run_folder / name).write_bytes(data)
    return files


def folder_of(spec: str) -> dict[str, bytes]:
    from emotion.weights import load

    return {path.name: path.read_bytes() for path in load(spec).folder.iterdir()}


def test_an_8_bit_export_travels_with_the_weights_and_goes_with_them(
    client, pushing, run_folder, export
):
    pushed = pushing()

    assert pushed.error is None
    there = client.call(folder_of, pushed.value.spec)
    assert {name: there[name] for name in export} == export

    (run_folder / "int8.json").unlink()
    (run_folder / graph_file.INT8).unlink()
    assert set(client.call(folder_of, pushing().value.spec)) == {CONFIG, TENSORS, graph_file.NAME}


@pytest.mark.parametrize("damage", ["int8.bin", "int8.onnx", "weights"])
def test_an_8_bit_export_of_other_weights_is_refused(hub, pushing, run_folder, export, damage):
    if damage == "weights":
        record = json.loads(export["int8.json"]) | {"weights": "0" * 64}
        (run_folder / "int8.json").write_text(json.dumps(record))
    else:
        (run_folder / damage).write_bytes(b"")

    check_sentence(pushing(), "made from other weights or is damaged", "python -m train export")
    assert hub.requests == []


def test_a_second_push_changes_nothing(hub, pushing, repository):
    first = pushing().value
    hub.reset()

    again = pushing()

    assert again.error is None
    assert again.value == first
    assert len(hub.repositories["models", repository].commits) == 2
    assert hub.repositories["models", repository].tags == {"v1": first.commit}
    assert [a.path for a in hub.requests if "/commit/" in a.path or a.method == "PUT"] == []


def test_a_new_push_leaves_nothing_of_the_old_results_and_nothing_foreign_is_lost(
    hub, client, pushing, repository, run_folder
):
    first = pushing().value
    note = {"path_in_repo": "NOTES.md", "path_or_fileobj": b"mine"}
    client.api("upload_file", token=WRITER, repo_id=repository, **note)
    torch.manual_seed(5)
    newer = EmotionNet(NetworkConfig(widths=(8, 8, 8, 8)))
    newer.save_pretrained(run_folder)
    (run_folder / "raf-db-test.json").unlink()
    other = evaluation(split="a b", tta="flip", excluded=620)
    (run_folder / "other.json").write_text(json.dumps(other))

    second = pushing().value

    files = content(hub, repository)
    assert {name for name in files if name.startswith("evaluation/")} == {
        "evaluation/raf-db-a-b-flip-without-620.json"
    }
    assert files["NOTES.md"] == b"mine"
    assert hub.repositories["models", repository].tags == {"v1": first.commit, "v2": second.commit}
    assert client.load(f"hf://{repository}").logits == logits(newer)
    assert TENSORS in content(hub, repository, "v1")


PICTURES = {
    "face.png": b"\x89PNG\r\n\x1a\n" + b"0" * 32,
    "worst/happiness.jpg": b"\xff\xd8\xff\xe0" + b"0" * 32,
    "sheet.webp": b"RIFF0000WEBP",
    "figures/faces.svg": b"<svg><image xlink:href='data:image/png;base64,AAAA'/></svg>",
    "figures/pattern.svg": b"<svg><rect fill='url(data:image/png;base64,AAAA)'/></svg>",
    "figures/elsewhere.svg": b"<svg><use href='http://example.org/face.svg'/></svg>",
    "figures/page.svg": b"<svg><ForeignObject><img src='x'/></ForeignObject></svg>",
    "figures/confusion.png": b"\x89PNG\r\n\x1a\n" + b"0" * 32,
    "prepared/raf-db/train/data.arrow": b"ARROW1",
    "checkpoints/epoch-0001/state.safetensors": b"0" * 32,
    "evaluation/crops.npz": b"PK",
    "report.html": b"<img src='data:image/jpeg;base64,AAAA'>",
    "notes.json": b'{"face": "/9j/4AAQSkZJRgABAQ"}',
    ".env": b"HF_TOKEN=hf_writer",
}


def test_no_picture_and_nothing_unknown_is_ever_pushed(hub, pushing, repository, run_folder):
    for name, data in PICTURES.items():
        path = run_folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    pushed = pushing()

    assert pushed.error is None
    files = content(hub, repository)
    assert {Path(name).name for name in PICTURES} & {Path(name).name for name in files} == set()
    assert {Path(name).suffix for name in files} == {
        *("", ".json", ".jsonl", ".md", ".onnx", ".safetensors", ".svg"),
    }
    assert not [name for name, data in files.items() if data in PICTURES.values()]


def test_figures_are_drawn_from_the_numbers_and_shown(hub, pushing, repository):
    pushed = pushing()

    assert (pushed.error, pushed.noise) == (None, "")
    files = content(hub, repository)
    assert files["figures/confusion.svg"].startswith(b"<?xml")
    assert "![confusion](figures/confusion.svg)" in files["README.md"].decode()


@pytest.mark.parametrize("private", [True, False])
def test_a_private_push_is_seen_by_its_owner_only(hub, client, pushing, repository, private):
    pushed = pushing(private=private)

    assert pushed.error is None
    assert hub.repositories["models", repository].private is private
    assert client.api("repo_exists", token=STRANGER, repo_id=repository) is not private
    refused = pushing(token=STRANGER)
    check_sentence(refused, "Nothing could be pushed", "may not write")


def test_a_private_push_to_a_public_repository_is_refused(hub, client, pushing, repository):
    client.api("create_repo", token=WRITER, repo_id=repository)

    check_sentence(pushing(private=True), "there already and public")

    assert set(content(hub, repository)) == {".gitattributes"}


def test_the_embedded_weights_are_pushed_with_their_results(hub, client, pushing, repository):
    pushed = pushing("embedded")

    assert pushed.error is None
    card = ModelCard(content(hub, repository)["README.md"].decode())
    splits = {(result.dataset_type, result.dataset_split) for result in card.data.eval_results}
    stored = json.loads(RESULTS.read_text("utf-8"))
    assert splits == {(result["corpus"], result["split"]) for result in stored}
    assert all(note in card.text for result in stored for note in result.get("notes", ()))
    assert client.load(pushed.value.spec).error is None


def test_results_of_other_weights_are_refused_before_anything_is_sent(hub, pushing, run_folder):
    (run_folder / "raf-db-test.json").write_text(json.dumps(evaluation(digest="0" * 64)))

    check_sentence(pushing(), "raf-db-test.json was measured with other weights")
    assert hub.requests == []


def test_results_of_another_calibration_are_refused_before_anything_is_sent(
    hub, pushing, run_folder
):
    values = evaluation(calibration_digest=Calibration(1.3).digest)
    (run_folder / "raf-db-test.json").write_text(json.dumps(values))

    check_sentence(pushing(), "raf-db-test.json was measured with another calibration")
    assert hub.requests == []
    values["calibration_digest"] = Calibration(1.25).digest
    (run_folder / "raf-db-test.json").write_text(json.dumps(values))
    assert pushing().error is None


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("raf-db-test.json", '{"confusion": [], "per_class": {}}', "it lacks"),
        ("raf-db-test.json", "{", "cannot be read (it is not JSON)"),
        ("fit.json", '{"colour": 1}', "not the config of a run"),
        ("log.jsonl", "{}\nnot json\n", "is no log"),
        (CONFIG, '{"labels": ["joy"]}', "cannot be used"),
        (TENSORS, "short", "is damaged"),
    ],
)
def test_a_damaged_run_is_a_sentence_and_sends_nothing(hub, pushing, run_folder, name, text, says):
    (run_folder / name).write_text(text)

    check_sentence(pushing(), says)
    assert hub.requests == []


@pytest.mark.parametrize("name", ["nobody", "me/a b", "me/../x", "me/a--b", "hf://me/x", "a/b/c"])
def test_an_impossible_name_is_a_sentence_and_asks_nobody(hub, client, run_folder, name):
    check_sentence(client.attempt(push, str(run_folder), name, token=WRITER), "write USER/NAME")
    assert hub.requests == []


def test_without_a_token_nothing_is_asked(hub, pushing):
    check_sentence(pushing(token=""), "There is no token", "HF_TOKEN", "hf auth login")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("token", "says"), [(READER, "may not write there"), ("hf_wrong", "token is not valid")]
)
def test_a_token_that_may_not_write_is_a_sentence(hub, pushing, repository, token, says):
    check_sentence(pushing(token=token), says)
    assert ("models", repository) not in hub.repositories


def test_without_a_hub_a_push_is_a_sentence(stranded, offline, run_folder):
    for client, says in ((stranded, "cannot be reached"), (offline, "HF_HUB_OFFLINE is set")):
        check_sentence(client.attempt(push, str(run_folder), "me/model", token=WRITER), says)


HICCUPS = {
    "500 twice for the repository": ("POST /api/repos/create", {"status": 500, "times": 2}),
    "503 once for its state": ("GET /api/models", {"status": 503}),
    "429, come back soon": (
        "POST .*/commit/",
        {"status": 429, "headers": {"Retry-After": "1"}},
    ),
    "500 after the upload": ("POST .*/commit/", {"status": 500}),
    "500 for the upload": ("PUT /lfs/", {"status": 500}),
    "the branch has moved": ("POST .*/commit/", {"status": 412}),
    "reset in the answer to the commit": ("POST .*/commit/", {"after": 3, "end": "reset"}),
    "500 for the tag": ("POST .*/tag/", {"status": 500}),
    "reset while pulling back": ("GET /cdn/", {"after": 5000, "end": "reset"}),
    "a part that seems whole while pulling back": ("GET /cdn/", {"after": 5000, "end": "truncate"}),
}


@pytest.mark.parametrize("hiccup", HICCUPS)
def test_a_hiccup_is_waited_out_and_leaves_one_commit(hub, pushing, repository, run_folder, hiccup):
    pattern, fault = HICCUPS[hiccup]
    hub.fail(pattern, **fault)

    pushed = pushing()

    assert (pushed.error, pushed.noise) == (None, "")
    assert pushed.value.tag == "v1"
    assert len(hub.repositories["models", repository].commits) == 2
    assert content(hub, repository)[TENSORS] == (run_folder / TENSORS).read_bytes()


FAILURES = {
    "401": ("POST /api/repos/create", {"status": 401}, "token is not valid"),
    "403": ("POST .*/commit/", {"status": 403}, "may not write there"),
    "403 for full storage": (
        "POST .*/commit/",
        {"status": 403, "headers": {"X-Error-Message": "Private repository storage limit reached"}},
        "the storage of the account is full",
    ),
    "402": ("POST .*/commit/", {"status": 402}, "the account's plan does not cover this"),
    "413": ("POST .*/commit/", {"status": 413}, "more than the Hub takes at once"),
    "404": (
        "POST .*/commit/",
        {"status": 404, "code": "RepoNotFound"},
        "there is no such repository",
    ),
    "412 for ever": ("POST .*/commit/", {"status": 412}, "somebody else changes it"),
    "429, come back much later": (
        "POST .*/commit/",
        {"status": 429, "headers": {"Retry-After": "300"}},
        "try again in 300 seconds",
    ),
    "500 for ever": ("POST .*/commit/", {"status": 500}, "answers with status 500"),
    "not a Hub": ("GET /api/models", {"status": 200}, "is not a Hub"),
    "silence": ("POST /api/repos/create", {"seconds": 11.0}, "did not answer in time"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_hub_is_a_sentence_and_changes_nothing(hub, pushing, repository, failure):
    pattern, fault, says = FAILURES[failure]
    hub.fail(pattern, **fault, times=None)

    check_sentence(pushing(), says)

    if ("models", repository) in hub.repositories:
        assert set(content(hub, repository)) == {".gitattributes"}
        assert hub.repositories["models", repository].tags == {}


def test_a_hub_that_goes_down_in_the_middle_is_a_sentence_and_repeating_finishes(
    hub, pushing, repository
):
    hub.fail("GET .*/resolve/|HEAD .*/resolve/|GET .*/revision/", status=500, times=None)

    check_sentence(pushing(), "arrived, but could not be pulled back and is not tagged")
    assert hub.repositories["models", repository].tags == {}

    hub.reset()
    assert pushing().value.tag == "v1"
    assert len(hub.repositories["models", repository].commits) == 2


def test_a_hub_that_gives_back_something_else_is_found_out(
    hub, client, pushing, repository, run_folder, tmp_path
):
    other = tmp_path / "other"
    torch.manual_seed(31)
    EmotionNet(NetworkConfig(widths=(8, 8, 8, 8), trained_on=("raf-db/train",))).save_pretrained(
        other
    )
    digest = hashlib.sha256((run_folder / TENSORS).read_bytes()).hexdigest()
    hub.store.path(digest).write_bytes((other / TENSORS).read_bytes())  # announced, never uploaded

    check_sentence(pushing(), "could not be pulled back")
    assert hub.repositories["models", repository].tags == {}


def test_a_push_on_top_of_somebody_elses_keeps_theirs(hub, client, pushing, repository, run_folder):
    pushing()
    note = {"path_in_repo": "NOTES.md", "path_or_fileobj": b"theirs"}
    client.api("upload_file", token=WRITER, repo_id=repository, **note)
    log = run_folder / "log.jsonl"
    log.write_text(log.read_text().splitlines()[0] + "\n")
    hub.fail("POST .*/commit/", status=412)

    assert pushing().value.tag == "v2"
    assert content(hub, repository)["NOTES.md"] == b"theirs"
