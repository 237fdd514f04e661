"""A project small enough to be changed by every test."""

from __future__ import annotations

from pathlib import Path

import pytest

SPACE = """\
space:
  repository: me/page
  visibility: public
  hardware: cpu-basic
card:
  title: Page
  emoji: 🎭
  colorFrom: yellow
  colorTo: blue
  short_description: A page
  license: mit
  python_version: 3.12.12
  text: |
    What it does.
variables:
  SPEED: "2"
files: [app.py, emotion]
requirements:
  - gradio==6.31.0
  - torch==2.11.0
pre_requirements:
  - opencv-python==5.0.0.93
"""


def change(project: Path, old: str, new: str) -> None:
    """Replace text that stands once in the project's ``space.yaml``."""
    path = project / "space.yaml"
    text = path.read_text("utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), "utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "emotion" / "__pycache__").mkdir(parents=True)
    (root / "space.yaml").write_text(SPACE, "utf-8")
    (root / "requirements.txt").write_text("gradio>=6.25,<7  # the page\n\ntorch>=2.8,<3\n")
    (root / "app.py").write_text("# starts the page\n")
    (root / "zerogpu.py").write_text("# starts the page with a GPU function\n")
    (root / "emotion" / "labels.py").write_text("LABELS = ()\n")
    (root / "emotion" / "model.safetensors").write_bytes(b"\0" * 100)
    for junk in ("__pycache__/labels.pyc", "page.pyi", ".env", ".model.123.partial"):
        (root / "emotion" / junk).write_text("junk")
    return root
