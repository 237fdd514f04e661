"""``docs/tour.ipynb`` runs from its first cell to its last, and shows what it says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

REPOSITORY = Path(__file__).resolve().parents[1]
TOUR = REPOSITORY / "docs" / "tour.ipynb"


def outputs(notebook: nbformat.NotebookNode, words: str) -> str:
    (cell,) = [cell for cell in notebook.cells if words in cell.source]
    return "".join(
        output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        for output in cell.outputs
    )


def test_the_tour_is_stored_without_outputs_and_parses() -> None:
    notebook = nbformat.read(TOUR, 4)

    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            compile(cell.source, "tour", "exec")


@pytest.mark.slow  # fine-tunes for two minutes
@pytest.mark.timeout(1800)
def test_the_tour_runs_and_the_fine_tuned_network_knows_its_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = nbformat.read(TOUR, 4)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    client = NotebookClient(
        notebook, timeout=1200, resources={"metadata": {"path": str(TOUR.parent)}}
    )
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")

    client.execute()

    assert "<happiness" in outputs(notebook, "faces = analyzer.analyze")
    said = outputs(notebook, "print(test.finding())")
    assert "decides this." in said or "falls from" in said
    assert "cheeks" in said
    said = outputs(notebook, "accuracy on drawn faces")
    (before, after) = re.findall(r"drawn faces: (\d\.\d+) -> (\d\.\d+)", said)[0]
    assert float(after) > float(before) + 0.1
