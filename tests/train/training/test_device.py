"""A step on a GPU: where its tensors lie, and that nobody waits for it.

No GPU takes part: tensors on torch's ``meta`` device have shapes and no values, so whoever asks for
one fails, and so does arithmetic between devices. What needs a real one is skipped without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from emotion.errors import DataError
from tests.train.domains.conftest import draw
from train.config.fit import FitConfig
from train.config.options import AugmentConfig
from train.faces.store import FaceStore
from train.scoring.inference import pooled_features
from train.training import consistency
from train.training import device as devices
from train.training import trainer as loop
from train.training.augment import augment
from train.training.data import TrainingData
from train.training.degrade import _tables, blur, jpeg
from train.training.device import compiles, generators
from train.training.network import build_network
from train.training.sampling import build_source
from train.training.step import Step
from train.training.tally import Tally
from train.training.trainer import Trainer

Tiny = Callable[..., FitConfig]

CPU, GPU, AWAY = torch.device("cpu"), torch.device("cuda", 0), torch.device("meta")
BATCH = 16

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")


class Traffic(TorchDispatchMode):
    """Counts what goes between the CPU and a device without values.

    Attributes:
        sent: bytes of each tensor that went there.
        read: operations that brought something back, in place of which zeros come.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[int] = []
        self.read: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        there = any(x.device == AWAY for x in given)
        target = kwargs.get("device")
        if there and target is not None and torch.device(target) == CPU:
            self.read.append(str(func))
            return torch.zeros(given[0].shape, dtype=kwargs.get("dtype") or given[0].dtype)
        answer = func(*args, **kwargs)
        if any(x.device == AWAY for x in tree_leaves(answer) if isinstance(x, torch.Tensor)):
            # Scalars on the CPU travel with the call itself.
            self.sent += [x.nbytes for x in given if x.device == CPU and x.ndim]
        return answer


class Away(torch.Generator):
    """A source of random numbers that says that it is on the device."""

    device = AWAY  # type: ignore[assignment]


@pytest.fixture
def traffic(monkeypatch: pytest.MonkeyPatch) -> Iterator[Traffic]:
    """Watch what goes between CPU and device."""
    monkeypatch.setattr(loop, "generators", lambda device, seed: (Away(), torch.Generator()))
    for module in (loop, consistency):
        monkeypatch.setattr(module, "autocast", lambda device, precision: nullcontext())
    _tables.cache_clear()
    with Traffic() as traffic:
        yield traffic
    _tables.cache_clear()


def two_corpora(count: int = 4 * BATCH) -> FaceStore:
    """Faces of which all is known that a step may ask."""
    faces = draw(count, 0, 1)
    return replace(
        faces,
        soft=faces.targets * 0.9 + 0.1 / 6,
        calm=torch.linspace(0, 1, count),
        corpus=torch.arange(count) % 2,
    )


def start(config: FitConfig, out: Path, *extras: Any, device: torch.device = CPU) -> Trainer:
    """Build a trainer and begin its first epoch."""
    store = two_corpora()
    source = build_source(store, {}, config.data, config.seed)
    network = build_network(config, TrainingData(store, {}, ()))
    trainer = Trainer(config, network, source, {}, out, list(extras), device)
    if device == AWAY:  # fused optimisers know real devices alone
        trainer.optimizer.param_groups = [
            {**group, "fused": False, "foreach": True} for group in trainer.optimizer.param_groups
        ]
    trainer.network.train()
    source.begin_epoch(0)
    return trainer


EVERYTHING: dict[str, object] = {
    "backbone": "cnn",
    "widths": (4, 4, 8, 8),
    "optimizer": "sgd",
    "class_weights": "dynamic",
    "focal_gamma": 1.0,
    "brier_term": True,
    "attention_consistency": 5.0,
    "degrade": 0.5,
    "erase": 0.5,
    "mixup": 0.2,
    "cutmix": 1.0,
}

CONVENTIONS: dict[str, object] = {
    "corpora": ("fer2013", "raf-db"),
    "heads": True,
    "calm_weight": 0.5,
    "class_weights": "sqrt",
    "logit_adjustment": 0.5,
    "degrade": 0.5,
    "mixup": 0.2,
}


@pytest.mark.parametrize(
    ("options", "copies"),
    [
        ({}, [8 * BATCH]),
        (CONVENTIONS, [8 * BATCH, 4 * BATCH]),
        (EVERYTHING, [8 * BATCH, 4 * BATCH]),
    ],
    ids=["plain", "conventions", "everything"],
)
def test_a_step_on_a_gpu_waits_for_nothing_and_sends_it_row_numbers_alone(
    options: dict[str, object], copies: list[int], traffic: Traffic, tmp_path: Path, tiny: Tiny
) -> None:
    seen: list[Step] = []

    def look(step: Step) -> torch.Tensor:
        seen.append(step)
        return step.logits.sum() * 0

    trainer = start(tiny(**options, compile="no"), tmp_path, look, device=AWAY)
    trainer.step(0, 0, 32)  # sends what stays there: weights of classes, tables of JPEG
    traffic.sent.clear()

    loss = trainer.step(0, 1, 32)

    assert traffic.sent == copies  # of faces that are mixed, the shares go too
    assert traffic.read == []
    assert loss.device == AWAY
    for part in (seen[-1].inputs, seen[-1].features, seen[-1].logits):
        assert part.device == AWAY
    with pytest.raises(RuntimeError, match="meta"):  # or else nothing above says anything
        loss.item()


def test_all_that_is_known_of_faces_goes_with_them(traffic: Traffic) -> None:
    store = two_corpora()

    there = store.to(AWAY)

    assert {x.device for x in vars(there).values() if isinstance(x, torch.Tensor)} == {AWAY}
    assert len(traffic.sent) == 6
    assert there.classes == store.classes
    assert store.to(CPU).faces is store.faces


def test_validation_brings_the_answers_back_once(
    traffic: Traffic, tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = start(tiny(compile="no"), tmp_path, device=AWAY)
    monkeypatch.setattr("train.scoring.inference._BATCH", BATCH)

    pooled = pooled_features(trainer.average.network, two_corpora().faces, 32)

    assert len(traffic.read) == 1
    assert pooled.dtype == torch.float32


def test_on_the_cpu_one_source_draws_all_numbers_in_the_order_of_before() -> None:
    random, decide = generators(CPU, 3)
    assert decide is random
    faces = draw(3, 0, 1, noise=0.0).faces

    crops = augment(faces, 32, AugmentConfig(degrade=1.0, erase=1.0), random)

    # As the version drew them that drew everything on the CPU: runs of before go on alike.
    torch.testing.assert_close(crops.mean((1, 2)), torch.tensor(MEANS_OF_BEFORE), rtol=0, atol=0.05)
    assert torch.randint(1000, (), generator=random) == NEXT_OF_BEFORE


MEANS_OF_BEFORE = [152.4671, 153.1603, 142.0490]
NEXT_OF_BEFORE = 510


def test_the_cpu_named_is_the_cpu_left_out(tmp_path: Path, tiny: Tiny) -> None:
    store, config = two_corpora(), tiny(**EVERYTHING)
    weights = []
    for given in ({}, {"device": torch.device("cpu")}):
        source = build_source(store, {}, config.data, config.seed)
        network = build_network(config, TrainingData(store, {}, ()))
        trainer = Trainer(config, network, source, {}, tmp_path, **given)
        source.begin_epoch(0)
        for index in range(2):
            trainer.step(0, index, 32)
        weights.append(trainer.network.state_dict())

    assert trainer._faces.faces is store.faces
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_losses_are_added_in_order_and_what_is_no_number_names_its_batch() -> None:
    tally, one = Tally(0.5), torch.tensor(1.0)
    values = [0.1, 0.7, 1e-9]
    for index, value in enumerate(values):
        tally.add(2, index, torch.tensor(value), one)

    total = 0.5
    for value in values:
        total += torch.tensor(value).item()
    assert tally.read() == total
    assert tally.read() == total

    tally.add(2, 3, one, one)
    tally.add(2, 4, one, one * float("inf"))
    tally.add(2, 5, one * float("nan"), one)
    with pytest.raises(DataError, match="The gradient became inf in batch 4 of epoch 3"):
        tally.read()


@pytest.mark.parametrize(
    ("wanted", "device", "triton", "compiled"),
    [
        ("auto", GPU, True, True),
        ("auto", GPU, False, False),
        ("auto", CPU, True, False),
        ("yes", CPU, True, True),
        ("no", GPU, True, False),
    ],
)
def test_the_network_is_compiled_on_a_gpu_unless_asked_otherwise(
    wanted: Literal["auto", "yes", "no"],
    device: torch.device,
    triton: bool,
    compiled: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(devices, "has_triton", lambda: triton)
    monkeypatch.setattr(devices.shutil, "which", lambda name: f"/usr/bin/{name}")

    assert compiles(wanted, device) == compiled
    assert bool(caplog.messages) == (wanted == "auto" and device is GPU and not triton)


STILL: dict[str, object] = {
    "flip": 0.0, "rotation": 0.0, "shift": 0.0, "scale": 1.0, "contrast": 1.0, "brightness": 0.0,
    "erase": 0.0, "block_dropout": 0.0, "head_dropout": 0.0,
}  # fmt: skip
"""Without random numbers, which are a GPU's own."""


@needs_gpu
def test_a_step_on_a_gpu_is_that_of_the_cpu_up_to_rounding(tmp_path: Path, tiny: Tiny) -> None:
    config = tiny(**CONVENTIONS | STILL | {"degrade": 0.0, "optimizer": "sgd", "compile": "no"})
    torch.backends.cudnn.allow_tf32 = False
    trainers = [start(config, tmp_path, device=device) for device in (CPU, GPU)]

    losses = [trainer.step(0, 0, 32).item() for trainer in trainers]

    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    here, there = (trainer.network.state_dict() for trainer in trainers)
    for name, value in here.items():
        torch.testing.assert_close(there[name].cpu(), value, rtol=1e-3, atol=1e-4)


@needs_gpu
def test_degradation_on_a_gpu_is_that_of_the_cpu_up_to_rounding() -> None:
    grey = draw(8, 0, 1).faces.float()
    sigma, quality = torch.linspace(0.3, 2.5, 8), torch.linspace(15, 90, 8)

    blurred, packed = blur(grey.cuda(), sigma.cuda()), jpeg(grey.cuda(), quality.cuda())

    torch.testing.assert_close(blurred.cpu(), blur(grey, sigma), rtol=0, atol=0.01)
    # A coefficient between two steps may be rounded the other way.
    assert (packed.cpu() - jpeg(grey, quality)).abs().mean() < 0.1
