from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from emotion.config import NetworkConfig
from emotion.errors import WeightsError
from emotion.labels import LABELS
from emotion.network import EmotionNet
from emotion.weights import EMBEDDED, default_spec, load, load_or_fall_back, load_weights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    EmotionNet(NetworkConfig(widths=(8, 8, 8, 8))).half().save_pretrained(tmp_path)
    return tmp_path


def change_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_folder_of_half_precision_weights_gives_a_float32_network(folder: Path) -> None:
    network = load_weights(str(folder))

    assert not network.training
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    saved = load_file(folder / "model.safetensors")
    assert all(torch.equal(v.half(), saved[k]) for k, v in network.state_dict().items() if v.ndim)


def test_the_embedded_weights_load_and_are_small() -> None:
    network = load_weights()

    assert network.config.labels == LABELS
    assert "fer2013/train" in network.config.trained_on
    assert not any("public" in name or "test" in name for name in network.config.trained_on)
    assert (EMBEDDED / "model.safetensors").stat().st_size < 25_000_000


def test_the_digest_of_the_tensors_is_reported(folder: Path) -> None:
    loaded = load(str(folder))

    tensors = (folder / "model.safetensors").read_bytes()
    assert loaded.digest == hashlib.sha256(tensors).hexdigest()
    assert (loaded.spec, loaded.revision, loaded.notice) == (str(folder), None, None)


def test_a_loaded_network_does_not_depend_on_its_files(folder: Path) -> None:
    network = load_weights(str(folder))
    before = network.fc.weight.clone()

    (folder / "model.safetensors").write_bytes(b"")

    assert torch.equal(network.fc.weight, before)


COMMIT = "0123456789" * 4


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the deployment is described; nothing is there yet, and no variable is set."""
    monkeypatch.delenv("EMOTION_WEIGHTS", raising=False)
    return tmp_path / "space.yaml"


@pytest.mark.parametrize(
    ("variable", "model", "spec"),
    [
        (None, None, "embedded"),
        ("", "", "embedded"),
        (" hf://me/model ", None, "hf://me/model"),
        (None, f"hf://me/other@{COMMIT}", f"hf://me/other@{COMMIT}"),
        ("runs/mine", f"hf://me/other@{COMMIT}", "runs/mine"),
        ("embedded", f"hf://me/other@{COMMIT}", "embedded"),
        (None, "embedded", "embedded"),
    ],
)
def test_the_variable_comes_before_the_deployment_and_that_before_the_embedded(
    space: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
    model: str | None,
    spec: str,
) -> None:
    if model is not None:
        space.write_text(f"space:\n  repository: me/page\nmodel: {model}\n")
    if variable is not None:
        monkeypatch.setenv("EMOTION_WEIGHTS", variable)

    assert default_spec(space) == spec


def test_a_program_that_uses_the_package_reads_no_deployment(
    space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space.write_text(f"model: hf://me/other@{COMMIT}\n")
    monkeypatch.chdir(space.parent)

    assert default_spec() == "embedded"


@pytest.mark.parametrize(
    "text",
    ["model: [", "model: 7", "model: hf://me/other@main", "model: runs/mine", b"\xff\xfe\x00"],
)
def test_a_deployment_that_names_no_model_is_a_sentence(space: Path, text: str | bytes) -> None:
    space.write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(WeightsError, match=r"space\.yaml.*--weights or EMOTION_WEIGHTS\.$"):
        default_spec(space)


@pytest.mark.parametrize("source", ["variable", "deployment"])
def test_a_page_runs_the_embedded_weights_where_the_default_cannot_be_had(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    if source == "variable":
        monkeypatch.setenv("EMOTION_WEIGHTS", str(tmp_path / "gone"))
    else:
        space.write_text("model: 7")

    loaded = load_or_fall_back(None, space)

    assert loaded.spec == "embedded"
    assert loaded.notice is not None
    assert loaded.notice.endswith("The embedded weights run instead.")
    assert ("gone" if source == "variable" else "space.yaml") in loaded.notice
    assert str(tmp_path) not in loaded.notice  # visitors read it


def test_a_page_whose_owner_mistyped_does_not_start(tmp_path: Path) -> None:
    for spec in (str(tmp_path / "gone"), "hf://nobody", "hf://a/b@c@d"):
        with pytest.raises(WeightsError):
            load_or_fall_back(spec)


def test_a_page_whose_weights_can_be_had_has_nothing_to_say(folder: Path) -> None:
    loaded = load_or_fall_back(str(folder))

    assert (loaded.spec, loaded.notice, loaded.folder) == (str(folder), None, folder)


def calibrate(folder: Path, **values: object) -> None:
    """Give the common layer a calibration, as weights with several layers have one of each."""
    plain = {
        "temperature": 1.0,
        "temperature_slope": [],
        "temperature_offset": 0.0,
        "class_offsets": [],
        "abstain_below": 0.0,
    }
    change_config(folder, calibrations={"common": plain | values})


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def drop_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("fc.bias")
    save_file(tensors, folder / "model.safetensors")


def poison(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["fc.bias"][2] = float("nan")
    save_file(tensors, folder / "model.safetensors")


def make_complex(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["fc.bias"] = tensors["fc.bias"].to(torch.complex64)
    save_file(tensors, folder / "model.safetensors")


def swell(folder: Path) -> None:
    with (folder / "model.safetensors").open("ab") as file:
        file.truncate(300_000_000)  # a hole: it takes no space on disk


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncate, "damaged"),
        (lambda f: (f / "model.safetensors").write_bytes(b"PK\x03\x04 a pickle"), "damaged"),
        (lambda f: (f / "model.safetensors").unlink(), "no model.safetensors"),
        (lambda f: (f / "config.json").unlink(), "no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "not a config"),
        (lambda f: (f / "config.json").write_text("[1]"), "not a config"),
        (lambda f: change_config(f, colour="red"), "not a config"),
        (lambda f: change_config(f, labels=list(reversed(LABELS))), "labels"),
        (lambda f: change_config(f, template="other"), "template"),
        (lambda f: change_config(f, widths=[8, 8, 8, 16]), "do not fit"),
        (lambda f: change_config(f, zoom=9.0), "zoom"),
        (lambda f: change_config(f, widths=[10**6] * 4), "do not fit"),
        (lambda f: change_config(f, conventions=["items"]), "'items' cannot name"),
        (lambda f: change_config(f, conventions=["a.b"]), "'a.b' cannot name"),
        (lambda f: change_config(f, conventions=[""]), "'' cannot name"),
        (
            lambda f: change_config(f, conventions=["items"], conventions_by="offset"),
            "'items' cannot name",
        ),
        (lambda f: calibrate(f, class_offsets=["a"] * 6), "class_offsets is of another type"),
        (lambda f: calibrate(f, temperature_offset="a"), "temperature_offset is not a finite"),
        (lambda f: change_config(f, widths=[10**30] * 4), "widths is of another type or size"),
        (lambda f: change_config(f, widths="8888"), "widths is of another type"),
        (lambda f: change_config(f, widths=[True] * 4), "widths is of another type"),
        (lambda f: change_config(f, class_offsets=[0.0] * 10**5), "class_offsets is of another"),
        (lambda f: change_config(f, class_offsets=[float("nan")] * 6), "class_offsets is of"),
        (lambda f: change_config(f, max_pool="yes"), "max_pool is of another type"),
        (lambda f: change_config(f, activation=["relu"]), "activation is of another type"),
        (lambda f: change_config(f, trained_on=["x" * 10**5]), "trained_on is of another"),
        (lambda f: change_config(f, temperature=1e300), "temperature is not a finite number"),
        (lambda f: change_config(f, std=1e-300), "not numbers"),
        (lambda f: change_config(f, mean="bright"), "mean is not a finite number"),
        (lambda f: change_config(f, std=float("inf")), "std is not a finite number"),
        (lambda f: change_config(f, trained_on=[1]), "trained_on is of another type"),
        (lambda f: (f / "config.json").write_text("[" * 100_000), "not a config"),
        (lambda f: (f / "config.json").write_text(" " * 2_000_000), "more than 1048576 bytes"),
        (drop_tensor, "do not fit"),
        (make_complex, "do not fit"),
        (poison, "not numbers"),
        (swell, "more than 268435456 bytes"),
    ],
    ids=[
        "truncated",
        "foreign file",
        "tensors missing",
        "config missing",
        "broken json",
        "json of another shape",
        "unknown field",
        "other label order",
        "other template",
        "other shapes",
        "impossible zoom",
        "terabytes of weights",
        "a layer named as a method",
        "a layer with a dot",
        "a layer without a name",
        "a vector named as a method",
        "words in the calibration of another layer",
        "a word in the calibration of another layer",
        "absurd widths",
        "widths are text",
        "widths are flags",
        "a huge list",
        "nan in a list",
        "a flag is text",
        "a word is a list",
        "a huge word",
        "a huge number",
        "no numbers come out",
        "mean is text",
        "std is infinite",
        "numbers for names",
        "deep json",
        "config too large",
        "missing tensor",
        "complex tensor",
        "nan",
        "tensors too large",
    ],
)
def test_unusable_weights_are_refused_in_one_sentence(folder: Path, damage, reason: str) -> None:  # type: ignore[no-untyped-def]
    damage(folder)

    with pytest.raises(WeightsError, match=reason) as caught:
        load_weights(str(folder))

    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "spec",
    [
        "nowhere",
        "hf://",
        "hf://name",
        "hf://user/name@",
        "hf://user/name@a b",
        "hf://user/name@a..b",
    ],
)
def test_a_spec_that_names_nothing_is_refused(spec: str) -> None:
    with pytest.raises(WeightsError):
        load_weights(spec)


def test_the_hub_being_out_of_reach_is_one_sentence() -> None:
    with pytest.raises(WeightsError, match="could not be fetched") as caught:
        load_weights("hf://nobody/nothing@0123456789012345678901234567890123456789")

    assert "\n" not in str(caught.value)
