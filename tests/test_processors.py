"""How far answers may differ from one processor to another.

What other processors would answer is asked in processes that may not use the newer instructions of
this one: OpenVINO obeys oneDNN's variable, since it carries a oneDNN of its own.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from emotion.classifier import EXAMPLE, VARYING, ClassifierGraph
from emotion.config import NetworkConfig
from emotion.engine.openvino_engine import OpenVINOEngine
from emotion.network import EmotionNet
from emotion.quiet_openvino import import_openvino
from emotion.weights import EMBEDDED, INT8
from tests.conftest import REPOSITORY
from tests.support.answers import MEASURED, ask

Answers = dict[str, Any]

AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}

PROCESSORS = {
    "AVX2": AVX2,
    "AVX alone": {
        "ONEDNN_MAX_CPU_ISA": "AVX",
        "ATEN_CPU_CAPABILITY": "default",
        "OPENCV_CPU_DISABLE": "AVX2,FMA3,AVX512-SKX",
        "OPENCV_IPP": "disabled",
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512_SKX X86_V3 X86_V4",
        "MKL_CBWR": "COMPATIBLE",
    },
    "AVX2 and two threads": AVX2 | {"OMP_NUM_THREADS": "2"},
}

PARAMETERS = [
    # Two threads wait for each other where another test has the second core: minutes, not seconds.
    pytest.param(name, marks=pytest.mark.slow if "threads" in name else ())
    for name in PROCESSORS
]

pytestmark = pytest.mark.timeout(600)  # two processes that import everything


@pytest.fixture(scope="module")
def here() -> Answers:
    return ask()


@pytest.fixture(scope="module", params=PARAMETERS)
def there(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("these instructions are those of x86 processors")
    file = tmp_path_factory.mktemp("answers") / "answers.npz"
    environment = {**os.environ, **PROCESSORS[request.param]}
    subprocess.run(
        [sys.executable, "-m", "tests.support.answers", str(file)],
        cwd=REPOSITORY,
        env=environment,
        check=True,
    )
    with np.load(file) as answers:
        return {**answers, "processor": request.param}


def assert_close(here: Answers, there: Answers, tolerance: float, *names: str) -> None:
    for name in names:
        np.testing.assert_allclose(there[name], here[name], rtol=0, atol=tolerance, err_msg=name)


def test_the_other_processor_is_another_one(here: Answers, there: Answers) -> None:
    old = there["processor"] == "AVX alone"
    assert there["instructions"] == ("DEFAULT" if old else "AVX2")
    assert there["served engine"] == ("OpenVINO" if old else "OpenVINO int8")
    assert there["int8 engine"] == here["int8 engine"] == "OpenVINO int8"
    if old:  # other instructions round otherwise, so these are not the same ones
        assert (there["float32 logits"] != here["float32 logits"]).any()
        assert (there["torch logits"] != here["torch logits"]).any()


def test_a_face_is_found_in_the_same_place(here: Answers, there: Answers) -> None:
    assert_close(here, there, 0.01, "box", "landmarks")
    assert_close(here, there, 1e-4, "score")


def test_crops_differ_by_one_grey_level_in_one_of_a_thousand_pixels(
    here: Answers, there: Answers
) -> None:
    for name, share in (("crops", 0.001), ("portrait", 0.001), ("resized", 0.05)):
        difference = np.abs(there[name].astype(int) - here[name])
        assert difference.max() <= 1, name
        assert (difference > 0).mean() <= share, name


def test_logits_maps_and_features_of_the_weights_are_the_same(
    here: Answers, there: Answers
) -> None:
    engines = [f"{engine} {what}" for engine in ("torch", "float32") for what in ("logits", "maps")]
    trainer = [f"trainer's {what} {size}" for what in ("logits", "features") for size in (48, 64)]
    assert_close(here, there, 1e-4, *engines, *trainer)


def test_the_8_bit_model_counts_in_integers_and_answers_the_same_but_for_ties(
    here: Answers, there: Answers
) -> None:
    # What standardises a crop is float32. Where its last bit decides a tie, a grey level moves by
    # one 8-bit step: in 4 of the 24 crops on plain AVX, by .0034 of a logit at most.
    for what in ("int8 logits", "int8 maps"):
        difference = np.abs(there[what] - here[what]).reshape(len(here[what]), -1).max(1)
        assert np.median(difference) < 1e-5
    assert_close(here, there, 1e-2, "int8 logits", "int8 maps")


def test_what_is_served_is_one_of_two_models(here: Answers, there: Answers) -> None:
    model = "int8" if there["processor"] != "AVX alone" else "float32"
    for what in ("logits", "maps"):
        np.testing.assert_array_equal(there[f"served {what}"], there[f"{model} {what}"])


def test_what_evaluation_prints_is_the_same_to_three_decimals(
    here: Answers, there: Answers
) -> None:
    assert_close(here, there, 1e-3, *MEASURED)


def test_eight_steps_of_training_lose_the_same(here: Answers, there: Answers) -> None:
    assert_close(here, there, 1e-3, "float32")
    assert_close(here, there, 0.1, "bfloat16")
    np.testing.assert_allclose(here["bfloat16"], here["float32"], atol=0.1)


def test_the_8_bit_weights_leave_no_sum_that_overflows_without_vnni() -> None:
    """Without VNNI two products of 0..255 and a weight are added in 16 bits, with it in 32."""
    if not (EMBEDDED / INT8[0]).exists():
        pytest.skip("no 8-bit model is shipped; make it: python -m train export --weights embedded")
    openvino = import_openvino()
    model = openvino.Core().read_model(EMBEDDED / INT8[1])
    weights = [
        node.get_data().astype(int)
        for node in model.get_ops()
        if node.get_type_name() == "Constant" and node.get_element_type() == openvino.Type.i8
    ]
    assert len(weights) >= 8
    assert all(2 * 255 * np.abs(values).max() < 2**15 for values in weights)


def test_openvino_computes_in_float32_where_the_processor_has_bfloat16_too() -> None:
    engine, network = OpenVINOEngine(), EmotionNet(NetworkConfig(widths=(8, 8, 8, 8)))

    run = engine.compile(ClassifierGraph(network), EXAMPLE, VARYING)

    compiled = run._compiled
    assert compiled.get_property("INFERENCE_PRECISION_HINT") == import_openvino().Type.f32
