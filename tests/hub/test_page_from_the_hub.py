"""``python app.py --weights hf://...`` against a Hub that works, goes down, and was never there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from gradio_client import Client as PageClient
from gradio_client import handle_file
from PIL import Image

from emotion.analyzer import Analyzer
from emotion.config import NetworkConfig
from emotion.detect import RetinaFaceDetector
from emotion.network import EmotionNet
from emotion.shell.cli import main as emotion_cli
from tests.hub.conftest import NOWHERE, WRITER
from tests.support.visit import free_port

REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(400)  # a page takes a minute to start on a machine that is busy


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture that is taken as one face."""
    noise = np.random.default_rng(5).integers(0, 256, (8, 8), np.uint8)
    path = tmp_path / "face.png"
    Image.fromarray(noise).resize((64, 64), Image.Resampling.BICUBIC).convert("RGB").save(path)
    return path


@dataclass
class Page:
    """A running ``app.py``.

    Attributes:
        url: its address.
        warnings: what it wrote to stderr before it was ready.
    """

    url: str
    warnings: str

    def __post_init__(self) -> None:
        self._client = PageClient(self.url, verbose=False)
        config = httpx.get(f"{self.url}config").json()
        components = {part["props"].get("elem_id"): part for part in config["components"]}
        self._card = components["weights"]["id"]

    def classify(self, picture: Path) -> list[float]:
        """Return the six probabilities of a picture that is taken as one face."""
        (face,) = self._client.predict(handle_file(picture), False, api_name="/classify")
        return list(face["probabilities"].values())

    def info(self) -> dict[str, Any]:
        return self._client.predict(api_name="/model_info")

    def renew(self) -> dict[str, Any]:
        """Press the button of the About tab."""
        call = {"data": {}, "fn_name": "renew_weights", "component_id": self._card}
        address = f"{self.url}gradio_api/component_server"
        answer = httpx.post(address, json={**call, "session_hash": "x"}, timeout=120)
        result: dict[str, Any] = answer.raise_for_status().json()
        return result

    def card(self) -> str:
        """Return the card as a new visitor gets it."""
        config = httpx.get(f"{self.url}config").json()
        (load,) = [
            call
            for call in config["dependencies"]
            if any(event == "load" for _, event in call["targets"])
        ]
        call = {"fn_index": load["id"], "data": [], "session_hash": "y"}
        queue = f"{self.url}gradio_api/queue"
        httpx.post(f"{queue}/join", json=call, timeout=60).raise_for_status()
        parameters = {"session_hash": "y"}
        with httpx.stream("GET", f"{queue}/data", params=parameters, timeout=60) as stream:
            said = (json.loads(line[6:]) for line in stream.iter_lines() if line)
            done = next(message for message in said if message["msg"] == "process_completed")
        return done["output"]["data"][load["outputs"].index(self._card)]


@pytest.fixture
def start_page(hub_environment: Mapping[str, str], tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Start ``app.py`` with weights and a changed environment, and wait until it answers."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **changes: str | Path) -> Page:
        environment = {**os.environ, **hub_environment, **{k: str(v) for k, v in changes.items()}}
        errors = (tmp_path / f"stderr-{len(running)}").open("w+")
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(free_port()), *arguments],
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        errors.seek(0)
        match = re.search(r"http://\S+", line)
        assert match, errors.read()
        return Page(match[0], errors.read())

    yield start
    for process in running:
        process.terminate()
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()


def network(seed: int) -> EmotionNet:
    torch.manual_seed(seed)
    return EmotionNet(NetworkConfig(widths=(8, 8, 8, 8), temperature=0.05))


@pytest.fixture
def publish(hub, client, repository, tmp_path) -> Callable[[EmotionNet], str]:
    """Upload a network and return its commit."""

    def upload(net: EmotionNet) -> str:
        net.save_pretrained(tmp_path / "network")
        client.api("create_repo", token=WRITER, repo_id=repository, exist_ok=True)
        about = {"repo_id": repository, "folder_path": tmp_path / "network"}
        return client.api("upload_folder", token=WRITER, **about)

    return upload


def expected(net: EmotionNet, picture: Path) -> Any:
    image = np.asarray(Image.open(picture))
    (face,) = Analyzer(net, RetinaFaceDetector()).analyze(image, detect=False)
    return pytest.approx(face.probabilities.tolist(), abs=1e-4)


def test_a_page_serves_what_was_pushed_and_follows_a_newer_push(
    hub, repository, publish, start_page, picture
):
    spec = f"hf://{repository}"
    first = publish(network(1))

    page = start_page("--weights", spec)

    assert page.warnings == ""
    assert page.classify(picture) == expected(network(1), picture)
    info = page.info()
    assert (info["weights"], info["revision"], info["notice"]) == (spec, first, None)
    assert f"{spec} ({first[:12]})" in page.card()

    second = publish(network(2))
    answer = page.renew()

    assert (answer["said"], answer["notice"]) == ("weights_renewed", None)
    assert answer["weights"] == f"{spec} ({second[:12]})"
    assert page.classify(picture) == expected(network(2), picture) != expected(network(1), picture)
    assert page.info()["revision"] == second
    assert second[:12] in page.card()


def test_a_page_starts_from_the_cache_when_the_hub_is_stopped_and_says_so(
    hub, client, repository, publish, start_page, picture
):
    spec = f"hf://{repository}"
    commit = publish(network(3))
    assert client.load(spec).error is None

    page = start_page("--weights", spec, HF_ENDPOINT=NOWHERE)

    assert page.classify(picture) == expected(network(3), picture)
    notice = f"Commit {commit[:12]} of {spec} runs from the cache: the Hub cannot be reached"
    for place in (page.warnings, page.info()["notice"], page.card()):
        assert notice in place


def test_a_page_without_hub_and_cache_runs_the_embedded_weights_and_says_why(
    repository, start_page, picture, tmp_path
):
    spec = f"hf://{repository}@{'0123456789' * 4}"

    page = start_page("--weights", spec, HF_ENDPOINT=NOWHERE, HF_HOME=tmp_path / "empty")

    info = page.info()
    assert (info["weights"], info["revision"]) == ("embedded", None)
    for place in (page.warnings, info["notice"], page.card()):
        assert f"The weights {spec} could not be fetched from the Hub: the Hub cannot be" in place
        assert "The embedded weights run instead." in place
        assert str(tmp_path) not in place
    assert len(page.classify(picture)) == 6
    answer = page.renew()
    assert answer["said"] == "weights_kept"
    assert "cannot be reached" in answer["detail"]
    assert page.info()["weights"] == "embedded"


@pytest.mark.parametrize("implicit", [False, True])
def test_the_command_line_says_one_sentence_and_exits_with_2(
    stranded, picture, repository, implicit
):
    spec = f"hf://{repository}"
    arguments = ["classify", str(picture)] + ([] if implicit else ["--weights", spec])

    attempt = stranded.attempt(
        emotion_cli, arguments, environment={"EMOTION_WEIGHTS": spec} if implicit else {}
    )

    assert attempt.value == 2
    assert attempt.noise.count("\n") == 1
    assert f"The weights {spec} could not be fetched from the Hub" in attempt.noise


def test_the_command_line_says_that_a_branch_runs_from_the_cache(
    hub, client, stranded, repository, publish, picture
):
    spec = f"hf://{repository}"
    publish(network(4))
    client.load(spec)

    arguments = ["classify", str(picture), "--no-detect", "--weights", spec]
    attempt = stranded.attempt(emotion_cli, arguments)

    assert attempt.value == 0
    assert f"of {spec} runs from the cache: the Hub cannot be reached" in attempt.noise
