"""The page's server as programs and attackers meet it: HTTP, without a browser."""

from __future__ import annotations

import logging
from pathlib import Path

import gradio
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError, ValidationError
from PIL import Image

import emotion
from emotion.cover import PARTS, landmarks_on_crop, part_masks
from emotion.fills import smooth_fill
from emotion.labels import LABELS
from emotion.ui import gate
from emotion.ui.markup import page_name
from emotion.ui.wire import encoded


@pytest.fixture(scope="module")
def client(served) -> Client:
    return Client(served.url, verbose=False)


@pytest.fixture
def portrait(astronaut, tmp_path) -> Path:
    path = tmp_path / "portrait with spaces.png"
    Image.fromarray(astronaut).save(path)
    return path


def test_exactly_the_documented_endpoints_are_public(client):
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == {"/classify", "/explain", "/model_info", "/health"}


def test_no_unnamed_endpoint_is_public(client):
    assert client.view_api(return_format="dict", print_info=False)["unnamed_endpoints"] == {}


def test_classify_gives_six_probabilities_and_pixels(client, portrait):
    faces = client.predict(handle_file(portrait), api_name="/classify")
    assert len(faces) == 1
    face = faces[0]
    assert list(face["probabilities"]) == list(LABELS)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert face["label"] == max(face["probabilities"], key=face["probabilities"].get)
    assert face["sure"] is True
    order = sorted(LABELS, key=face["probabilities"].get, reverse=True)
    assert face["candidates"] == order[:2]
    assert np.shape(face["landmarks"]) == (5, 2)
    assert 150 < face["box"][0] < face["box"][2] < 300
    assert face["picture"] == {"width": 512, "height": 512}


def test_classify_takes_the_whole_picture_if_told_so(client, portrait):
    faces = client.predict(handle_file(portrait), False, api_name="/classify")
    assert [face["box"] for face in faces] == [None]


def test_explain_returns_the_picture_with_heat_and_the_map(client, portrait, astronaut):
    path, faces = client.predict(handle_file(portrait), api_name="/explain")
    drawn = np.asarray(Image.open(path).convert("RGB")).astype(int)
    changed = np.abs(drawn - astronaut).max(axis=2) > 60
    assert drawn.shape == astronaut.shape
    x0, y0, x1, y1 = (round(value) for value in faces[0]["box"])
    assert changed[y0:y1, x0:x1].mean() > 10 * changed[250:].mean()
    assert np.shape(faces[0]["cam"]) == (8, 8)
    assert np.min(faces[0]["cam"]) >= 0
    assert faces[0]["explained"] == faces[0]["label"]
    assert list(faces[0]["covered"]) == list(PARTS)
    for probabilities in faces[0]["covered"].values():
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-3)


def test_the_sentence_of_explain_is_true_when_recomputed(client, portrait, analyzer, astronaut):
    _, faces = client.predict(handle_file(portrait), api_name="/explain")
    (face,) = analyzer.analyze(astronaut)
    for part, mask in zip(PARTS, part_masks(landmarks_on_crop(face)), strict=True):
        recomputed = analyzer.classify(smooth_fill(face.crop, mask[None]))[0][0]
        said = [faces[0]["covered"][part][name] for name in LABELS]
        np.testing.assert_allclose(said, recomputed, atol=0.02)
    falls = {p: face.confidence - faces[0]["covered"][p][face.label] for p in PARTS}
    worst = max(falls, key=falls.__getitem__)
    if faces[0]["decisive"] is None:
        assert faces[0]["sentence"] == "No single part decides this."
        assert falls[worst] < 0.1
    else:
        assert faces[0]["decisive"] == worst
        assert f"the {worst}" in faces[0]["sentence"]


def test_explain_takes_the_class_to_explain(client, portrait):
    _, faces = client.predict(handle_file(portrait), "fear", api_name="/explain")
    assert faces[0]["explained"] == "fear"


def test_model_info_says_what_runs(client, analyzer):
    info = client.predict(api_name="/model_info")
    assert info["labels"] == list(LABELS)
    assert info["version"] == emotion.__version__
    assert info["zoom"] == analyzer.network.config.zoom
    assert info["abstain_below"] == analyzer.network.config.abstain_below
    assert set(info["colors"]) == set(LABELS)


def test_the_weights_card_is_on_the_page_and_its_button_answers(served):
    part = served.components["weights"]
    call = {"data": {}, "session_hash": "x", "fn_name": "renew_weights", "component_id": part}
    answer = httpx.post(f"{served.url}gradio_api/component_server", json=call, timeout=60).json()
    assert (answer["said"], answer["weights"], answer["notice"]) == (
        "weights_same",
        "embedded",
        None,
    )


def test_health_is_ok(client):
    assert client.predict(api_name="/health")["status"] == "ok"


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0" + b"\0" * 50])
def test_a_broken_file_gets_one_sentence_and_leaves_no_traceback(
    client, tmp_path, content, caplog, capfd
):
    path = tmp_path / "face.jpg"
    path.write_bytes(content)
    with pytest.raises(AppError, match="picture"):
        client.predict(handle_file(path), api_name="/classify")
    assert "Traceback" not in capfd.readouterr().err
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_missing_picture_gets_one_sentence(client, capfd):
    with pytest.raises(ValidationError, match="Send a picture"):
        client.predict(None, api_name="/classify")
    assert "Traceback" not in capfd.readouterr().err


def test_an_unknown_class_gets_one_sentence(client, portrait, capfd):
    with pytest.raises(ValidationError, match="happiness"):
        client.predict(handle_file(portrait), "joy", api_name="/explain")
    assert "Traceback" not in capfd.readouterr().err


def component_call(served, name="photo", function="analyze_photo", **body) -> httpx.Response:
    url = f"{served.url}gradio_api/component_server/"
    call = {"component_id": served.components[name], "fn_name": function, "session_hash": "test"}
    return httpx.post(url, timeout=60, **(body or {"json": {**call, "data": None}}))


def test_the_fields_of_an_answer_are_documented(client):
    documented = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    description = documented["/classify"]["description"]
    for field in ("label", "sure", "candidates", "probabilities", "box", "abstain_below"):
        assert field in description
    names = [argument["parameter_name"] for argument in documented["/classify"]["parameters"]]
    assert names == ["image", "detect"]


def test_the_gate_knows_visitors_by_address_and_name(served, monkeypatch):
    seen = []
    enter = gate.Gate.enter_at_once

    def watched(self: gate.Gate, client: gate.Client, *patience: float) -> object:
        seen.append(client)
        return enter(self, client, *patience)

    monkeypatch.setattr(gate.Gate, "enter_at_once", watched)
    # uvicorn believes in this header because the request comes from this machine.
    answer = frame_call(served, headers={"x-forwarded-for": "203.0.113.1"})
    assert answer.json()["faces"] == []
    assert seen == [gate.Client("203.0.113.1", "ann")]


def frame_call(served, jpeg: bytes | None = None, **options) -> httpx.Response:
    content = encoded(np.zeros((64, 64, 3), np.uint8), "image/jpeg") if jpeg is None else jpeg
    said = {"visitor": "ann", "time": 1.5}
    url = f"{served.url}frame"
    return httpx.post(url, params=said, content=content, timeout=60, **options)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xd8\xff\xe0" + b"\0" * 50, b"x" * 300_000])
def test_what_is_no_frame_is_answered_with_a_sentence(served, content, caplog):
    answer = frame_call(served, content)
    assert answer.status_code == 200
    assert answer.json()["error"] == "bad_frame"
    assert answer.json()["detail"].endswith(".")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_answer_to_a_frame_says_which_page_it_belongs_to(served):
    assert frame_call(served).headers["x-page"] == page_name()


def test_garbage_for_a_server_function_is_answered_with_a_sentence(served):
    answer = component_call(served)
    assert answer.status_code == 200
    assert answer.json()["error"] == "photo_unreadable"


def test_every_part_of_the_page_is_drawn_by_gradio(served):
    # The page asks for scripts that are not there where it does not know a part's type.
    types = {part["type"] for part in httpx.get(f"{served.url}config").json()["components"]}
    assert types <= {name.lower() for name in (*dir(gradio), *dir(gradio.layouts))}


@pytest.mark.parametrize(
    "call",
    [
        {"data": 1, "component_id": 10**6, "fn_name": "analyze_photo", "session_hash": "test"},
        {"data": 1, "component_id": 4, "fn_name": "__init__", "session_hash": "test"},
        {"data": 1, "component_id": 4, "fn_name": "postprocess", "session_hash": "test"},
        {"data": 1},
        [1],
        "text",
    ],
)
def test_a_malformed_call_is_refused_without_a_traceback(served, call, capfd):
    assert component_call(served, json=call).status_code in (400, 404, 422)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"\xff\xfe"])
def test_a_body_that_is_no_json_is_refused(served, content):
    answer = component_call(served, content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)


def test_a_large_body_is_refused_and_the_next_one_is_answered(served):
    answer = component_call(served, content=b"x" * 13_000_000)
    assert answer.status_code == 413
    assert component_call(served).status_code == 200


def test_a_large_chunked_body_is_refused_and_the_next_one_is_answered(served):
    answer = component_call(served, content=(b"x" * 1_000_000 for _ in range(13)))
    assert answer.status_code == 413
    assert component_call(served).status_code == 200


def test_a_large_file_is_refused(served):
    files = {"files": ("large.png", b"x" * 9_000_000)}
    assert httpx.post(f"{served.url}gradio_api/upload", files=files).status_code == 413


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "app.py", "..%2f..%2fetc%2fpasswd", "http://127.0.0.1:1/x"]
)
def test_files_of_the_server_are_not_served(served, target):
    answer = httpx.get(f"{served.url}gradio_api/file={target}")
    assert answer.status_code in (400, 403, 404)


def test_monitoring_and_run_history_are_closed(served):
    assert httpx.get(f"{served.url}monitoring").status_code in (403, 404)
    assert httpx.get(f"{served.url}gradio_api/runs").status_code == 404


def test_another_origin_is_not_let_in(served):
    answer = httpx.get(f"{served.url}config", headers={"origin": "https://evil.example"})
    assert answer.headers.get("access-control-allow-origin") != "https://evil.example"


def test_the_page_names_no_folder_of_the_server(served):
    assert str(Path.home()) not in httpx.get(served.url).text
