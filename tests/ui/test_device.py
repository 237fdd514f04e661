"""What the browser fetches to answer by itself."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
from importlib import resources
from types import SimpleNamespace

import httpx
import numpy as np
import pytest

from emotion import graph_file
from emotion.analyzer import Analyzer
from emotion.labels import LABELS
from emotion.ui.device import MODULES, RUNTIME, DeviceFiles, _fixed_files
from emotion.weights import EMBEDDED, load

LARGEST = {"plain": 11_000_000, "graphics": 16_000_000}
"""Bytes that everything one browser fetches may take on its way, with each runtime."""


def files_of(analyzer) -> DeviceFiles:
    return DeviceFiles(SimpleNamespace(analyzer=analyzer))


@pytest.fixture(scope="module")
def embedded():
    return Analyzer.from_weights("embedded")


def test_everything_is_fetched_once_and_kept_for_ever(served):
    address = f"{served.url}device/"
    manifest = httpx.get(f"{address}manifest.json")
    assert manifest.headers["cache-control"] == "no-store"
    travelled = {}
    for name, entry in manifest.json()["files"].items():
        with httpx.stream("GET", address + entry["url"]) as answer:
            raw = b"".join(answer.iter_raw())
        assert answer.status_code == 200, name
        assert "immutable" in answer.headers["cache-control"]
        zipped = answer.headers.get("content-encoding") == "gzip"
        assert len(gzip.decompress(raw) if zipped else raw) == entry["bytes"]
        if name != "worker.js":
            assert entry["url"] == f"{hashlib.sha256(raw).hexdigest()[:16]}/{name}"
        travelled[name] = len(raw)
    for kind, most in LARGEST.items():
        assert sum(travelled[name] for name in fetched(manifest.json(), kind)) < most


def fetched(manifest: dict, kind: str) -> set[str]:
    """Names of all that a browser fetches with this runtime."""
    runtimes, graphs = manifest["runtimes"], manifest["graphs"]
    assert set(runtimes) == set(graphs) == set(LARGEST)
    either = {name for parts in runtimes.values() for name in parts.values()}
    either |= {name for parts in graphs.values() for name in parts}
    return set(manifest["files"]) - either | {*runtimes[kind].values(), *graphs[kind]}


EXACT = [graph_file.NAME, "model.safetensors"]


def test_the_processor_runs_8_bits_and_the_graphics_processor_does_not(embedded):
    graphs = files_of(embedded).manifest()["graphs"]
    assert graphs == {"plain": [graph_file.INT8], "graphics": EXACT}


@pytest.mark.parametrize("damage", ["gone", "other weights", "cut off"])
def test_without_8_bits_of_these_weights_float32_runs_and_is_not_too_much(tmp_path, damage):
    for path in EMBEDDED.iterdir():
        shutil.copy(path, tmp_path)
    int8 = tmp_path / graph_file.INT8
    content, digest = int8.read_bytes(), load("embedded").digest.encode()
    assert content.count(digest) == 1
    if damage == "gone":
        int8.unlink()
    elif damage == "cut off":
        int8.write_bytes(content[:-8])
    else:
        int8.write_bytes(content.replace(digest, b"0" * 64))

    files = files_of(Analyzer.from_weights(str(tmp_path)))

    manifest = files.manifest()
    assert manifest["graphs"] == {"plain": EXACT, "graphics": EXACT}
    assert graph_file.INT8 not in manifest["files"]
    on_the_way = {name: len(file.content) for (_, name), file in files._files.items()}
    on_the_way |= {name: len(file.content) for name, file in _fixed_files().items()}
    for kind in LARGEST:
        names = fetched(manifest, kind) - {"worker.js"}
        assert sum(on_the_way[name] for name in names) < LARGEST["graphics"]


def test_8_bits_that_do_not_fit_the_numbers_are_not_served(tmp_path):
    for path in EMBEDDED.iterdir():
        shutil.copy(path, tmp_path)
    loaded = load(str(tmp_path))
    older = graph_file.mark(loaded.digest, loaded.network.config, mirrors=True)
    (tmp_path / graph_file.NAME).write_bytes(older.encode())
    manifest = files_of(Analyzer.from_weights(str(tmp_path))).manifest()
    assert manifest["graphs"]["plain"] == EXACT


def test_the_workers_modules_stand_under_one_name(served):
    address = f"{served.url}device/"
    url = httpx.get(f"{address}manifest.json").json()["files"]["worker.js"]["url"]
    for name in MODULES:
        answer = httpx.get(f"{address}{url.partition('/')[0]}/{name}")
        assert answer.headers["content-type"].startswith("text/javascript")
        imported = re.findall(r'from "\./([\w.]+)"', answer.text)
        assert set(imported) <= set(MODULES)


def test_names_of_other_files_are_not_answered(served):
    for path in ("0123456789abcdef/worker.js", "0123456789abcdef/model.safetensors"):
        answer = httpx.get(f"{served.url}device/{path}")
        assert answer.status_code == 404
        assert "reload" in answer.json()["error"]


def test_all_scripts_of_the_folder_are_served():
    folder = resources.files("emotion.ui").joinpath("device")
    assert {path.name for path in folder.iterdir() if path.name.endswith(".js")} == set(MODULES)


def test_the_runtime_is_the_one_that_was_committed():
    for line in (RUNTIME / "checksums.txt").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((RUNTIME / name).read_bytes()).hexdigest() == digest
    assert "MIT" in (RUNTIME / "LICENSE").read_text()


def test_weights_without_a_graph_cannot_run_in_a_browser(tmp_path):
    for name in ("config.json", "model.safetensors"):
        shutil.copy(EMBEDDED / name, tmp_path)
    analyzer = Analyzer.from_weights(str(tmp_path))
    assert files_of(analyzer).manifest() == {"reason": "device_no_graph"}
    shutil.copy(EMBEDDED / graph_file.NAME, tmp_path)
    assert "files" in files_of(analyzer).manifest()


def test_renewed_weights_get_other_names_and_the_old_ones_stay(embedded):
    serving = SimpleNamespace(analyzer=embedded)
    files = DeviceFiles(serving)
    before = files.manifest()["files"]["numbers.json"]["url"]
    serving.analyzer = Analyzer.from_weights("embedded", convention="affectnet")
    after = files.manifest()["files"]["numbers.json"]["url"]
    assert before != after
    assert before in {f"{digest}/{name}" for digest, name in files._former}
    assert after in {f"{digest}/{name}" for digest, name in files._files}


def test_the_numbers_are_those_of_the_network(embedded):
    files = files_of(embedded)
    url = files.manifest()["files"]["numbers.json"]["url"]
    digest, name = url.split("/")
    numbers = json.loads(gzip.decompress(files._files[digest, name].content))
    network = load("embedded").network
    assert numbers["labels"] == list(LABELS)
    assert np.array_equal(
        np.array(numbers["network"]["weight"], np.float32), network.head.weight.detach().numpy()
    )
    assert numbers["abstainBelow"] == network.config.abstain_below
