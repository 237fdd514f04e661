"""What the page needs to look at faces in the browser itself: files, and the numbers they share.

Nothing here analyses anything: the browser fetches one of two runtimes with the expression network
in the numbers that suit it, the detector and one JSON, each under a name that holds its hash, and
sends no picture.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from emotion import graph_file
from emotion.detect.checkpoint import MOBILENET_WEIGHTS
from emotion.ui.device_numbers import numbers
from emotion.ui.routes import DEVICE
from emotion.ui.uploads import refusal
from emotion.ui.wire import JSON
from emotion.weights import TENSORS

if TYPE_CHECKING:
    from starlette.requests import Request

    from emotion.analyzer import Analyzer
    from emotion.ui.serving import Serves

RUNTIME = Path(__file__).parent.parent / "assets" / "runtime"
DETECTOR = MOBILENET_WEIGHTS.with_suffix(".onnx")

MODULES = (
    "worker.js",
    "files.js",
    "engine.js",
    "graphics.js",
    "trial.js",
    "pipeline.js",
    "pixels.js",
    "align.js",
    "detect.js",
    "faces.js",
    "classify.js",
    "cover.js",
    "views.js",
    "tracker.js",
)
"""Scripts of ``emotion/ui/device`` that run in the worker; the page's own is no module."""

_SCRIPT, _WASM = "text/javascript", "application/wasm"
_JSON, _BINARY = "application/json", "application/octet-stream"
_RUNTIMES = {
    "plain": {
        "api": "ort.wasm.min.mjs",
        "glue": "ort-wasm-simd-threaded.mjs",
        "wasm": "ort-wasm-simd-threaded.wasm",
    },
    # Computes on processors as the plain one does, and on graphics processors.
    "graphics": {
        "api": "ort.jspi.min.mjs",
        "glue": "ort-wasm-simd-threaded.jspi.mjs",
        "wasm": "ort-wasm-simd-threaded.jspi.wasm",
    },
}
_FOR_EVER = "public, max-age=31536000, immutable"
_CHUNK = 256 * 1024  # bytes; who reads one within ``connections.READ_WITHIN`` is not too slow


@dataclass(frozen=True)
class File:
    """One file as it travels.

    Attributes:
        content: its bytes, compressed by gzip or not.
        kind: media type.
        size: bytes of the file itself.
        zipped: whether ``content`` is compressed.
    """

    content: bytes
    kind: str
    size: int
    zipped: bool = True

    @property
    def digest(self) -> str:
        """The hash that its address holds, 16 hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()[:16]


class DeviceFiles:
    """Answers for what the browser fetches; knows the weights that serve now and those before."""

    def __init__(self, serving: Serves) -> None:
        """Serve the files that belong to the network which answers."""
        self._serving = serving
        self._lock = threading.Lock()
        self._packed: Analyzer | None = None
        self._manifest: JSON = {}
        self._files: dict[tuple[str, str], File] = {}
        self._former: dict[tuple[str, str], File] = {}  # of the weights before

    def routes(self) -> list[Route]:
        """Return them, for the server."""
        return [
            Route(f"{DEVICE}/manifest.json", self._told),
            Route(f"{DEVICE}/{{digest}}/{{name}}", self._file),
        ]

    def manifest(self) -> JSON:
        """Say what there is to fetch.

        Returns:
            ``files``, name -> ``{"url": relative to this, "bytes": of the file itself}``;
            ``runtimes``, of which a browser fetches one, part -> name; ``graphs``, what each of
            them runs, the graph and then the file of its constants if they lie outside; and
            ``network``, which changes with the weights. Or ``{"reason": key of strings.json}``
            where the weights cannot run in a browser.
        """
        analyzer = self._serving.analyzer
        with self._lock:
            if self._packed is not analyzer:
                own = _network_files(analyzer)
                # Whoever opened the page a moment ago may still fetch what it was told of.
                self._former = self._files
                self._files = {(file.digest, name): file for name, file in own.items()}
                self._manifest = _manifest(own)
                self._packed = analyzer
            return self._manifest

    async def _told(self, _request: Request) -> Response:
        return JSONResponse(self.manifest(), headers={"cache-control": "no-store"})

    async def _file(self, request: Request) -> Response:
        self.manifest()
        digest, name = request.path_params["digest"], request.path_params["name"]
        code = _code()
        if digest == code[0] and name in code[1]:
            return _answer(code[1][name])
        key = (digest, name)
        file = _fixed_files().get(name) or self._files.get(key) or self._former.get(key)
        if file is None or file.digest != digest:
            return refusal(404, "The page has other files by now; reload it.")
        return _answer(file)


def _answer(file: File) -> Response:
    headers = {"cache-control": _FOR_EVER, "content-length": str(len(file.content))}
    if file.zipped:
        headers["content-encoding"] = "gzip"
    return StreamingResponse(_chunks(file.content), media_type=file.kind, headers=headers)


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    # A plain generator would go to a thread for every chunk.
    for start in range(0, len(content), _CHUNK):
        yield content[start : start + _CHUNK]


def _manifest(own: dict[str, File]) -> JSON:
    if graph_file.NAME not in own:
        return {"reason": "device_no_graph"}
    files = {**_fixed_files(), **own}
    code = _code()
    urls: JSON = {
        name: {"url": f"{file.digest}/{name}", "bytes": file.size} for name, file in files.items()
    }
    urls["worker.js"] = {"url": f"{code[0]}/worker.js", "bytes": code[1]["worker.js"].size}
    network = [own[name].digest for name in sorted(own)]
    exact = [graph_file.NAME, TENSORS]
    graphs = {
        "plain": [graph_file.INT8] if graph_file.INT8 in own else exact,
        # Graphics processors have no fast 8 bits, and both together would be too much to fetch.
        "graphics": exact,
    }
    return {"files": urls, "runtimes": _RUNTIMES, "graphs": graphs, "network": "-".join(network)}


def _network_files(analyzer: Analyzer) -> dict[str, File]:
    """Return what belongs to the weights; empty where they have no graph that fits them."""
    source = analyzer.source
    if source is None:
        return {}
    graph = graph_file.read(source.folder, source.digest, analyzer.network.config)
    tensors = (source.folder / TENSORS).read_bytes() if graph else b""
    if graph is None or hashlib.sha256(tensors).hexdigest() != source.digest:
        return {}
    files = {
        graph_file.NAME: _zipped(graph.content, _BINARY),
        TENSORS: File(tensors, _BINARY, len(tensors), zipped=False),  # it hardly shrinks
        "numbers.json": _zipped(json.dumps(numbers(analyzer, graph)).encode(), _JSON),
    }
    int8 = graph_file.read_int8(source.folder, source.digest, analyzer.network.config)
    if int8 is not None and not graph.mirrors:  # else the numbers would fit one of them only
        files[graph_file.INT8] = _zipped(int8, _BINARY)
    return files


@lru_cache(maxsize=1)
def _fixed_files() -> dict[str, File]:
    """Return what is the same for all weights: the runtimes and the detector."""
    files = {}
    for name in (name for parts in _RUNTIMES.values() for name in parts.values()):
        content = (RUNTIME / f"{name}.gz").read_bytes()
        kind = _WASM if name.endswith(".wasm") else _SCRIPT
        files[name] = File(content, kind, int.from_bytes(content[-4:], "little"))
    for path in (DETECTOR, MOBILENET_WEIGHTS):
        files[path.name] = _zipped(path.read_bytes(), _BINARY)
    return files


@lru_cache(maxsize=1)
def _code() -> tuple[str, dict[str, File]]:
    """Return the worker's modules under one hash, since they import each other by name."""
    folder = resources.files("emotion.ui").joinpath("device")
    files = {name: _zipped(folder.joinpath(name).read_bytes(), _SCRIPT) for name in MODULES}
    together = b"".join(files[name].content for name in MODULES)
    return hashlib.sha256(together).hexdigest()[:16], files


def _zipped(content: bytes, kind: str) -> File:
    return File(gzip.compress(content, 6, mtime=0), kind, len(content))
