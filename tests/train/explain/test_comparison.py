from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from safetensors.torch import save

from emotion.config import NetworkConfig
from emotion.network import EmotionNet
from train.cli import main
from train.explain.comparison import SANE, winner


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    network = EmotionNet(NetworkConfig(backbone="cnn", widths=(4, 4, 8, 8)))
    (tmp_path / "config.json").write_text(json.dumps(asdict(network.config)), "utf-8")
    (tmp_path / "model.safetensors").write_bytes(save(network.state_dict()))
    return tmp_path


def test_every_method_is_measured_on_prepared_faces(prepared, weights, capsys):
    out = weights / "explain.json"
    command = ["explain", "--weights", str(weights), "--data", str(prepared), "--limit", "6"]
    assert main([*command, "--json", str(out)]) == 0
    result = json.loads(out.read_text("utf-8"))
    keys = {(row["method"], row["stage"], row["mirror"]) for row in result["maps"]}
    assert len(keys) == 24  # five methods at two stages, CAM at one, each twice; two blind ones
    for row in result["maps"]:
        assert 0 <= row["deletion"] <= 1
        assert 0 <= row["right_half"] <= 1
        if row["mirror"] or row["method"] == "Gaussian":
            assert row["mirror_agreement"] == pytest.approx(1, abs=1e-6)
    cover = result["cover"]["synthetic"]["engine"]
    assert (cover["n"], cover["same_sentence"]) == (6, 1.0)
    printed = capsys.readouterr().out
    assert "Grad-CAM++" in printed
    assert "synthetic: 6 sure answers" in printed


def row(method: str, **values: float) -> dict:
    return {"method": method, "stage": 1, "pointing": 0.3, "deletion": 0.5, "sanity": 0.0, **values}


def test_the_best_sane_pointer_wins_and_deletion_decides_ties():
    rows = [
        row("first"),
        row("tied", deletion=0.4),
        row("insane", pointing=0.9, sanity=SANE),
        row("blind", pointing=0.9, stage=None),
    ]
    assert winner(rows)["method"] == "tied"
    assert winner(rows[2:]) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--limit", "-1"], "--limit"),
        (["--data", "nowhere"], "nowhere holds no prepared faces"),
        (["--corpora", "fer2013"], "fer2013"),
        (["--json", "nowhere/x.json"], "does not exist"),
    ],
)
def test_unusable_arguments_are_said_in_a_sentence(prepared, weights, capsys, change, said):
    command = ["explain", "--weights", str(weights), "--data", str(prepared), *change]
    assert main(command) == 2
    assert said in capsys.readouterr().err
