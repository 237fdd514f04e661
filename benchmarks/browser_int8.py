"""The expression network in Chromium in 8 bits against float32: milliseconds, and what it costs.

The 8-bit graph is made as ``python -m train export`` makes it. Both graphs then take turns in one
page, so that a busy machine slows both alike. What the answers lose is measured on validation faces
with ONNX Runtime outside the browser.

    python -m benchmarks.browser_int8 --data DIR [--limit N] [--threads N] [--json F]
"""

from __future__ import annotations

import argparse
import gzip
import mimetypes
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks import _rows
from benchmarks._chromium import find_or_say
from benchmarks._machine import machine
from emotion.graph_file import NAME
from emotion.ui.device import RUNTIME
from emotion.ui.front import ISOLATED
from emotion.weights import load
from train.scoring.browser import float_graph, int8_graph, run_of
from train.scoring.export import measure, read_faces, views_of

ROUNDS = 20
TIMED = """async ([threads, rounds, names, known]) => {
  const ort = await import("/ort.wasm.min.mjs");
  Object.assign(ort.env.wasm, { numThreads: threads, wasmPaths: location.origin + "/" });
  const sessions = [];
  for (const name of names) sessions.push(await ort.InferenceSession.create(`/${name}`));
  const crops = (values) =>
    new ort.Tensor("uint8", Uint8Array.from(values), [values.length / 4096, 64, 64]);
  const both = crops(known);
  const found = [];
  for (const session of sessions) {
    const { features } = await session.run({ crops: both });
    found.push([...features.data]);
  }
  const took = names.map(() => []);
  for (let round = 0; round < rounds; round++)
    for (const [at, session] of sessions.entries()) {
      const began = performance.now();
      await session.run({ crops: both });
      took[at].push(performance.now() - began);
    }
  return [took, found];
}"""


def main() -> int:
    """Print a table; exit code 2 and one sentence if there is no browser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that prepare wrote")
    parser.add_argument("--limit", type=int, default=300, help="validation faces of each corpus")
    parser.add_argument("--threads", type=int, default=1, help="of the page")
    _rows.add_option(parser)
    arguments = parser.parse_args()
    browser = find_or_say()
    if browser is None:
        return 2
    loaded = load("embedded")
    corpora = [split.partition("/")[0] for split in loaded.network.config.trained_on]
    training, validation = read_faces(arguments.data, corpora, 256, arguments.limit)
    print(machine(), end="\n\n")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        source = float_graph(loaded.folder / NAME, folder)
        graphs = source, int8_graph(source, views_of(loaded.network, training))
        runs = [run_of(path) for path in graphs]
        measured = measure(loaded.network, runs[1], _Exact(runs[0]), validation)["all"]
        known = training[:2].numpy()
        took, found = in_chromium(browser, folder, arguments.threads, graphs, known)
        outside = [np.ravel(run(known)[0]) for run in runs]
        same = [np.abs(one - other).max() for one, other in zip(found, outside, strict=True)]
        sizes = [path.stat().st_size / 1e6 for path in graphs]
    ratio = float(np.median(np.divide(took[1], took[0])))
    print("| | ms for a face and its mirror image, median | accuracy | MB |")
    print("|---|---|---|---|")
    rows: list[_rows.Row] = []
    for at, kind in enumerate(("float32", "int8")):
        accuracy, median = measured[f"accuracy_{kind}"], float(np.median(took[at]))
        print(f"| {kind} | {median:.0f} | {accuracy:.4f} | {sizes[at]:.1f} |")
        rows.append({"numbers": kind, "ms": median, "accuracy": accuracy, "size_mb": sizes[at]})
    print(f"\n8 bits take {ratio:.2f} of the time, with {arguments.threads} thread(s).")
    print(f"{measured['n']} faces; rank correlation of the maps {measured['cam_correlation']:.4f}.")
    print("Chromium against ONNX Runtime outside it, largest difference of feature maps:")
    print(" and ".join(f"{difference:.1e}" for difference in same))
    _rows.write(arguments.json, rows, threads=arguments.threads, faces=measured["n"])
    return 0


class _Exact:
    """Stands where ``measure`` expects what compiles the weights: they are compiled already."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def compile(self, *_: object) -> Any:
        return self._run


def in_chromium(
    browser: str, folder: Path, threads: int, graphs: tuple[Path, ...], known: np.ndarray
) -> tuple[list[list[float]], list[np.ndarray]]:
    """Time both graphs by turns.

    Returns:
        Milliseconds of each run, and the feature maps of ``known``; for each graph.
    """
    for file in RUNTIME.glob("*.gz"):
        (folder / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    mimetypes.add_type("text/javascript", ".mjs")
    (folder / "index.html").write_text("<!doctype html>")
    with _served(folder) as url, sync_playwright() as driver:
        page = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"]).new_page()
        page.goto(url)
        names = [path.name for path in graphs]
        took, found = page.evaluate(TIMED, [threads, ROUNDS, names, known.ravel().tolist()])
    return took, [np.array(values, np.float32) for values in found]


class _Isolated(SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        for name, value in ISOLATED:
            self.send_header(name.decode(), value.decode())
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Isolated, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


if __name__ == "__main__":
    sys.exit(main())
