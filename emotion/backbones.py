"""The bodies of the expression network: grey crops in, feature maps out, one registry.

Each is a chain of named modules, so that global average pooling and one linear layer can follow and
its class activation maps have a closed form. At 64x64 all of them end in an 8x8 map (ResNet-18 with
max-pooling in a 4x4 one).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from emotion.config import NetworkConfig


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al., CVPR 2016, fig. 2)."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, activation: Any, dropout: float
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.act = activation()
        self.dropout = nn.Dropout2d(dropout) if dropout else nn.Identity()
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.act(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(self.dropout(out)))
        return self.act(out + shortcut)  # type: ignore[no-any-return]


def _resnet18(config: NetworkConfig) -> dict[str, nn.Module]:
    """ResNet-18 (He et al., CVPR 2016) with a 3x3 stride-1 stem; torchvision's names."""
    activation = _activation(config)
    first = config.widths[0]
    kernel, stride = (3, 1) if config.stem == "3x3" else (7, 2)
    modules: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(3, first, kernel, stride, kernel // 2, bias=False),
        "bn1": nn.BatchNorm2d(first),
        "act": activation(),
        "maxpool": nn.MaxPool2d(3, 2, 1) if config.max_pool else nn.Identity(),
    }
    inputs = first
    for stage, width in enumerate(config.widths, 1):
        dropout = config.block_dropout if stage == len(config.widths) else 0.0
        modules[f"layer{stage}"] = nn.Sequential(
            BasicBlock(inputs, width, 1 if stage == 1 else 2, activation, dropout),
            BasicBlock(width, width, 1, activation, dropout),
        )
        inputs = width
    return modules


class SparseStage(nn.Module):
    """Max-pooling and two 3x3 convolutions: all of their map in evaluation, a quarter in training.

    Pooling at stride 1 and then dilated convolutions give the map of every shift of the pooling
    grid at once (Giusti et al., ICIP 2013; "shift-and-stitch" in Long et al., CVPR 2015, sec. 3.2).
    Its nodes lie on the corners of the fields, and each field is the mean of its four. In training
    only one of the four grids is computed, at stride 2 and without dilation: for a quarter of the
    work, features whose mean over the grids is that of evaluation.

    Attributes:
        grid: which one, each 0 or 1: whether it begins one pixel above and to the left of the map.
    """

    def __init__(self, inputs: int, outputs: int, activation: Any, dropout: float) -> None:
        super().__init__()
        self.grid = (0, 0)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.dropout = nn.Dropout2d(dropout)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.act = activation()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H, W), in training to half the sides."""
        if self.training:
            # A grid that begins outside has a node more, and half of its outer two count.
            above, left = self.grid
            nodes = self._convolve(F.max_pool2d(x, 2, padding=self.grid), dilation=1)
            return F.avg_pool2d(nodes, (1 + above, 1 + left), 1)
        nodes = self._convolve(F.max_pool2d(x, 2, 1, padding=1), dilation=2)
        return F.avg_pool2d(nodes, 2, 1)

    def _convolve(self, x: Tensor, dilation: int) -> Tensor:
        convolve = partial(F.conv2d, padding=dilation, dilation=dilation)
        x = self.act(self.bn1(convolve(x, self.conv1.weight)))
        x = self.act(self.bn2(convolve(self.dropout(x), self.conv2.weight)))
        return x


def _cnn(config: NetworkConfig) -> dict[str, nn.Module]:
    """Pairs of convolutions with max-pooling between the pairs: the plain baseline.

    The first one has 6x6 pixels and stride 2, so that the last unit sees a whole face of 64x64.
    """
    activation = _activation(config)
    modules: dict[str, nn.Module] = {}
    inputs = 3
    for stage, width in enumerate(config.widths[:-1], 1):
        kernel, stride = (6, 2) if stage == 1 else (3, 1)
        modules[f"block{stage}"] = nn.Sequential(
            *([nn.MaxPool2d(2)] if stage > 1 else []),
            *_convolution(inputs, width, kernel, stride, activation),
            *_convolution(width, width, 3, 1, activation),
        )
        inputs = width
    stage, width = len(config.widths), config.widths[-1]
    modules[f"block{stage}"] = SparseStage(inputs, width, activation, config.block_dropout)
    return modules


def _alexnet(config: NetworkConfig) -> dict[str, nn.Module]:
    """AlexNet's five convolutions (Krizhevsky, 2014) for 64x64.

    The first one has 7x7 pixels and stride 2 where the original has 11x11 and 4, the third pooling
    is left out, and so the map stays 8x8; batch normalisation takes the place of the response
    normalisation, and the pooled linear layer that of the three large ones.
    """
    activation = _activation(config)
    one, two, three, four, five = config.widths
    return {
        "block1": nn.Sequential(*_convolution(3, one, 7, 2, activation)),
        "pool1": nn.MaxPool2d(3, 2, 1),
        "block2": nn.Sequential(*_convolution(one, two, 5, 1, activation)),
        "pool2": nn.MaxPool2d(3, 2, 1),
        "block3": nn.Sequential(*_convolution(two, three, 3, 1, activation)),
        "block4": nn.Sequential(*_convolution(three, four, 3, 1, activation)),
        "dropout4": nn.Dropout2d(config.block_dropout),
        "block5": nn.Sequential(*_convolution(four, five, 3, 1, activation)),
    }


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int, activation: Any
) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False),
        nn.BatchNorm2d(outputs),
        activation(),
    )


def _activation(config: NetworkConfig) -> Any:
    return partial(nn.ReLU, inplace=True) if config.activation == "relu" else nn.SiLU


BACKBONES: dict[str, Callable[[NetworkConfig], dict[str, nn.Module]]] = {
    "resnet18": _resnet18,
    "cnn": _cnn,
    "alexnet": _alexnet,
}
"""Values of ``NetworkConfig.backbone``, and what makes the modules of the body, by name,
in the order in which they follow each other."""


def map_grid(config: NetworkConfig) -> tuple[float, float]:
    """Say which pixels of the crop the cells of the last map are centred on, down and across.

    A layer with a kernel of k, stride s and padding p moves the first centre by
    ``((k - 1) / 2 - p)`` steps and makes the step s times as long.

    Returns:
        The first centre in px, where 0 is the centre of the first pixel, and the step in px.
    """
    if config.backbone == "cnn":
        return 3.5, 8.0  # 6x6 with padding 2, and poolings of 2x2: all are centred between pixels
    if config.backbone == "alexnet":
        return 0.0, 8.0
    halved = (config.stem == "7x7") + config.max_pool  # besides the three stages that do
    return 0.0, 8.0 * 2**halved
