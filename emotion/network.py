"""The expression network: a convolutional body, global average pooling, one linear layer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from huggingface_hub import PyTorchModelHubMixin
from safetensors.torch import load_model
from torch import Tensor, nn

from emotion.backbones import BACKBONES, SparseStage
from emotion.calibration import Calibration
from emotion.config import COMMON, NetworkConfig
from emotion.errors import ConfigError, WeightsError

MIN_DEVIATION = 2.0
"""Grey levels, 0..255; in a crop that varies less, noise is not enlarged any further."""


class Outputs(NamedTuple):
    """What a network says about N faces, not calibrated yet, see ``emotion.calibration``.

    Attributes:
        logits: float32 (N, 6), of the layer that answers.
        pooled: float32 (N, K), the features that are answered from, averaged over the map; K is 512
            for the embedded CNN.
        calm: float32 (N,), of the second output; None where the network has none.
    """

    logits: Tensor
    pooled: Tensor
    calm: Tensor | None = None

    def probabilities(self, calibration: Calibration) -> npt.NDArray[np.float32]:
        """Return calibrated probabilities, float32 (N, 6)."""
        return calibration.probabilities(self.logits.numpy(), self.pooled.numpy())

    def select(self, rows: slice | Tensor) -> Outputs:
        """Return what is said about some of the faces."""
        calm = None if self.calm is None else self.calm[rows]
        return Outputs(self.logits[rows], self.pooled[rows], calm)


def _name(holder: Any, name: str, value: Any) -> None:
    """Put what belongs to a convention under its name into a dictionary of modules or tensors."""
    try:
        holder[name] = value
    except KeyError:  # empty, with a dot, or the name of something that every module has
        raise ConfigError(
            f"{name!r} cannot name a convention; give that corpus another name."
        ) from None


class ConventionNorm(nn.BatchNorm2d):
    """Adds the vector of the convention that answers to what is normalised.

    That is a convolution that also reads the convention as one-hot planes, without their zero
    padding. ``common`` has no vector.

    Attributes:
        offsets: convention -> float32 (C,).
        convention: which one answers.
    """

    def __init__(self, channels: int, conventions: tuple[str, ...]) -> None:
        super().__init__(channels)
        self.offsets = nn.ParameterDict()
        for name in conventions:
            _name(self.offsets, name, nn.Parameter(torch.zeros(channels)))
        self.convention = COMMON

    def offset(self, convention: str) -> Tensor:
        """Return the vector of a convention, float32 (C,)."""
        if convention == COMMON:
            return torch.zeros_like(self.bias)
        chosen: Tensor = self.offsets[convention]
        return chosen

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        if self.convention != COMMON:
            x = x + self.offset(self.convention)[:, None, None]
        return super().forward(x)


def norms_of(network: nn.Module) -> list[tuple[nn.Module, str, nn.BatchNorm2d]]:
    """Return every norm with the module that holds it and its name there, in order."""
    return [
        (parent, name, module)
        for parent in network.modules()
        for name, module in parent.named_children()
        if isinstance(module, nn.BatchNorm2d)
    ]


def first_norm_of_last_stage(network: nn.Module) -> tuple[nn.Module, str, nn.BatchNorm2d]:
    """Return where a network is told the convention, see ``norms_of``."""
    stages = [norms_of(stage) for stage in network.children()]
    return [norms for norms in stages if norms][-1][0]


class EmotionNet(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="sep-emotion-classifier",
    tags=["facial-expression-recognition"],
    license="mit",
):
    """Backbone, pooling and linear layer; ResNet-18's parameter names are torchvision's.

    Global average pooling feeds one linear layer, so the class activation map of any class is a
    weighted sum of the last feature maps (``emotion.cam``).

    Raises:
        ConfigError: if a convention has a name that no module can have.
    """

    def __init__(self, config: NetworkConfig | dict[str, Any] | None = None) -> None:
        super().__init__()
        if not isinstance(config, NetworkConfig):
            config = NetworkConfig(**(config or {}))  # from_pretrained hands over parsed JSON
        self.config = config
        body = BACKBONES[config.backbone](config)
        for name, module in body.items():
            self.add_module(name, module)
        self._body = tuple(body)
        self._frozen: tuple[str, ...] = ()
        self.dropout = nn.Dropout(config.head_dropout)
        self.fc = nn.Linear(config.widths[-1], len(config.labels))
        self.heads = nn.ModuleDict()
        if config.conventions_by == "layer":
            for name in config.conventions:
                _name(self.heads, name, nn.Linear(config.widths[-1], len(config.labels)))
        elif config.conventions:
            parent, place, norm = first_norm_of_last_stage(self)
            setattr(parent, place, ConventionNorm(norm.num_features, config.conventions))
            self._tell(config.convention)
        self.calm = nn.Linear(config.widths[-1], 1) if config.calm else None
        for module in self.modules():
            # On the meta device nothing is drawn, but torch would import its compiler: 190 MB.
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def freeze(self, stages: int) -> None:
        """Keep weights and norm statistics of the body's first stages, in training mode too.

        Args:
            stages: how many; what stands before the first one goes with it.
        """
        if stages:
            # Modules end in the number of their stage; those without one stand before the first.
            last = {name: int(name[-1]) if name[-1].isdigit() else 0 for name in self._body}
            self._frozen = tuple(name for name in self._body if last[name] <= stages)
        for name in self._frozen:
            getattr(self, name).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> EmotionNet:
        """Switch to training or evaluation mode, all but the frozen stages."""
        super().train(mode)
        for name in self._frozen:
            getattr(self, name).eval()
        return self

    def draw_grid(self, generator: torch.Generator) -> None:
        """Choose which part of its last map the CNN computes in training; others compute all.

        Args:
            generator: makes each of the four equally likely, see ``backbones.SparseStage``.
        """
        above, left = torch.randint(2, (2,), generator=generator).tolist()
        for stage in self._sparse_stages():
            stage.grid = (above, left)

    def share_grid(self, other: EmotionNet) -> None:
        """Compute the part of the last map that another network computes now, in training.

        Args:
            other: in training mode, of the same backbone; norms and dropout stay as they are here.
        """
        for mine, theirs in zip(self._sparse_stages(), other._sparse_stages(), strict=True):
            mine.grid, mine.training = theirs.grid, theirs.training

    def _sparse_stages(self) -> list[SparseStage]:
        return [module for module in self.modules() if isinstance(module, SparseStage)]

    @classmethod
    def _load_as_safetensor(cls, model: Any, model_file: str, *_args: Any, **_kwargs: Any) -> Any:
        # The mixin's default is lenient: it accepts a file in which a layer is missing.
        load_model(model, model_file, strict=True)
        return model.eval()

    @classmethod
    def _load_as_pickle(cls, model: Any, model_file: str, *_args: Any, **_kwargs: Any) -> Any:
        raise WeightsError(f"{model_file} is a pickle; only model.safetensors is loaded.")

    @property
    def head(self) -> nn.Linear:
        """The linear layer that answers, see ``NetworkConfig.convention``."""
        return self._layer(self.config.convention)

    def _layer(self, convention: str) -> nn.Linear:
        if convention not in self.heads:
            return self.fc
        chosen = self.heads[convention]
        assert isinstance(chosen, nn.Linear)
        return chosen

    def answer_as(self, convention: str) -> EmotionNet:
        """Let another convention answer, calibrated for it; returns the network itself.

        Raises:
            ConfigError: if there is no such convention.
        """
        self.config = self.config.answering(convention)
        self._tell(convention)
        return self

    def _tell(self, convention: str) -> None:
        for module in self.modules():
            if isinstance(module, ConventionNorm):
                module.convention = convention

    def features(self, x: Tensor) -> Tensor:
        """Map normalised crops (B, 3, 64, 64) to the last feature maps (B, widths[-1], 8, 8)."""
        for name in self._body:
            x = getattr(self, name)(x)
        return x

    def evidence(self, x: Tensor) -> Tensor:
        """Map normalised crops to the feature maps that are answered from, sized as ``features``.

        With ``config.mirror`` they are the mean of the crops' and of their mirror images', mirrored
        back: what follows is linear, so logits and maps are the means as well.
        """
        if not self.config.mirror:
            return self.features(x)
        both = self.features(torch.cat([x, x.flip(-1)]))
        count = x.shape[0]  # not chunk(2): exporters would fix the batch
        return (both[:count] + both[count:].flip(-1)) / 2

    def classify(self, features: Tensor) -> Tensor:
        """Map feature maps (B, widths[-1], h, w) to the logits (B, 6) of the layer that answers."""
        return self.head(self.dropout(features.mean((2, 3))))  # type: ignore[no-any-return]

    def read_out(self, pooled: Tensor, convention: str | None = None) -> Outputs:
        """Answer from pooled features, which every output reads linearly.

        Args:
            pooled: as ``Outputs`` has them, on the CPU.
            convention: whose layer answers, of those that have one; None leaves it to the config.
        """
        layer = self._layer(convention or self.config.convention)
        moved = pooled.to(layer.weight.device)
        with torch.inference_mode():
            calm = None if self.calm is None else self.calm(moved)[:, 0].cpu()
            return Outputs(layer(moved).cpu(), pooled, calm)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised crops (B, 3, 64, 64) to logits (B, 6), whatever ``config.mirror`` says."""
        return self.classify(self.features(x))


def normalise(crops: npt.NDArray[np.uint8] | Tensor, config: NetworkConfig) -> Tensor:
    """Turn grey crops into the network's input.

    Args:
        crops: uint8 (B, 64, 64), or float (B, 64, 64) in 0..255 after augmentation.
        config: says by which mean and deviation, see ``NetworkConfig.standardise``.

    Returns:
        float32 (B, 3, 64, 64): the grey plane three times, standardised. Any square size is
        accepted, since training runs at smaller sizes too.
    """
    grey = torch.as_tensor(crops).float() / 255
    if config.standardise == "crop":
        centred = grey - grey.mean((1, 2), keepdim=True)
        deviation = centred.square().mean((1, 2), keepdim=True).sqrt()
        grey = centred / deviation.clamp_min(MIN_DEVIATION / 255)
    else:
        grey = (grey - config.mean) / config.std
    return grey[:, None].expand(-1, 3, -1, -1)
