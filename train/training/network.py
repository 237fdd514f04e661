"""The network that a run starts from: random, or given weights."""

from __future__ import annotations

from dataclasses import asdict, replace

import torch
from torch import Tensor

from emotion.config import NetworkConfig
from emotion.errors import ConfigError
from emotion.network import EmotionNet
from emotion.weights import load_weights
from train.config.fit import FitConfig, override
from train.config.options import ArchitectureConfig
from train.training.data import TrainingData
from train.training.own_norms import begin_as, give_norms, plain_weights

_ARCHITECTURE = ("labels", "backbone", "activation", "stem", "max_pool", "widths", "zoom")
_FOLLOWED = (*_ARCHITECTURE, "standardise")


def build_network(config: FitConfig, data: TrainingData) -> EmotionNet:
    """Build the network in training mode, with its weights of before the first step.

    Raises:
        WeightsError: if the weights to start from cannot be used.
        ConfigError: if they have another architecture than configured.
    """
    chosen = config.architecture
    torch.manual_seed(config.seed)
    wanted = NetworkConfig(
        labels=data.training.classes,
        backbone=chosen.backbone,
        activation=chosen.activation,
        max_pool=chosen.max_pool,
        widths=chosen.widths,
        block_dropout=chosen.block_dropout,
        head_dropout=chosen.head_dropout,
        zoom=data.zoom,
        standardise=chosen.standardise or "crop",
        trained_on=data.splits,
        mirror=chosen.mirror,
        calm=config.objective.calm_weight > 0,
        conventions=config.data.corpora if chosen.heads and len(config.data.corpora) > 1 else (),
    )
    if chosen.init:
        start = load_weights(chosen.init)
        network = _fine_tuned(start, chosen.init, wanted)
        if chosen.frozen_stages > len(network.config.widths):
            raise ConfigError(
                f"--frozen-stages must be at most {len(network.config.widths)}, the stages of "
                f"{chosen.backbone}, not {chosen.frozen_stages}."
            )
        network.freeze(chosen.frozen_stages)
        network = _with_own_norms(network, config)
        begin_as(network, start, config.data.corpora)
        return network.train()
    grey = data.training.faces.double() / 255
    mean, std = round(float(grey.mean()), 4), round(float(grey.std()), 4)
    return _with_own_norms(EmotionNet(replace(wanted, mean=mean, std=std)), config).train()


def _with_own_norms(network: EmotionNet, config: FitConfig) -> EmotionNet:
    own, corpora = config.architecture.own_norms, config.data.corpora
    if own == "none":
        return network
    if len(corpora) == 1 or config.architecture.frozen_stages:
        raise ConfigError(
            f"--own-norms {own} tells several corpora apart in every stage; name more than one "
            "with --corpora, and leave out --frozen-stages."
        )
    return give_norms(network, own, len(corpora))


def follow_weights(config: FitConfig) -> FitConfig:
    """Give the options of the architecture that were left alone the values of the weights.

    Raises:
        WeightsError: if the weights to start from cannot be used.
    """
    if not config.architecture.init:
        return config
    start, untouched = load_weights(config.architecture.init).config, ArchitectureConfig()
    return override(
        config,
        **{
            name: getattr(start, name)
            for name, value in asdict(untouched).items()
            if name in _FOLLOWED and getattr(config.architecture, name) == value
        },
    )


def _fine_tuned(start: EmotionNet, spec: str, wanted: NetworkConfig) -> EmotionNet:
    for name in _ARCHITECTURE:
        has, asked = getattr(start.config, name), getattr(wanted, name)
        wider = name == "widths" and all(a >= h for a, h in zip(asked, has, strict=False))
        if has != asked and not wider:
            remedy = "prepare the faces" if name == "zoom" else "train"
            raise ConfigError(
                f"The weights {spec} have {name} {_text(has)}, not {_text(asked)}; {remedy} with "
                "that value, or start from other weights."
            )
    seen = dict.fromkeys((*start.config.trained_on, *wanted.trained_on))
    mean, std = start.config.mean, start.config.std
    network = EmotionNet(replace(wanted, mean=mean, std=std, trained_on=tuple(seen)))
    network.load_state_dict(_grown(_with_heads(start, network), network.state_dict()))
    return network


def _with_heads(start: EmotionNet, network: EmotionNet) -> dict[str, Tensor]:
    """Return the weights to start from for every output of the network.

    A convention that they do not know begins as the layer that answers, the output for calm faces
    as the network has it.
    """
    given, answering = plain_weights(start), start.head.state_dict()
    weights = network.state_dict()
    for name in weights:
        if name.startswith("heads."):
            weights[name] = given.get(name, answering[name.rpartition(".")[2]])
        elif not name.startswith("calm.") or name in given:
            weights[name] = given[name]
    return weights


def _grown(weights: dict[str, Tensor], wider: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put weights into those of a wider network, which answers the same then.

    The channels that are added begin as they are in ``wider``, and none of the old ones reads them
    (the aim of Net2Net, Chen et al., ICLR 2016, with random weights in place of copies).
    """
    grown = {}
    for name, value in wider.items():
        before = weights[name]
        value = value.clone()
        if before.shape != value.shape and value.ndim > 1:
            value[: len(before)] = 0
        value[tuple(slice(length) for length in before.shape)] = before
        grown[name] = value
    return grown


def _text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
