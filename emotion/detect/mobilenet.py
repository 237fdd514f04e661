"""RetinaFace on a MobileNet-0.25 body, from the building blocks of retinaface-pytorch."""

from __future__ import annotations

from collections import OrderedDict

import torch
from retinaface.net import FPN, SSH, conv_bn, conv_dw
from torch import Tensor, nn

_ANCHORS = 2
"""Prior boxes per cell of a feature map."""


class MobileNetBody(nn.Module):
    """MobileNet v1 with a quarter of the channels (Howard et al., 2017), in three stages.

    Strides 8, 16 and 32 with 64, 128 and 256 channels; leaky ReLU with slope 0.1. Parameter names
    are those of the published weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(
            conv_bn(3, 8, 2, leaky=0.1),
            conv_dw(8, 16, 1),
            conv_dw(16, 32, 2),
            conv_dw(32, 32, 1),
            conv_dw(32, 64, 2),
            conv_dw(64, 64, 1),
        )
        self.stage2 = nn.Sequential(conv_dw(64, 128, 2), *(conv_dw(128, 128, 1) for _ in range(5)))
        self.stage3 = nn.Sequential(conv_dw(128, 256, 2), conv_dw(256, 256, 1))

    def forward(self, image: Tensor) -> OrderedDict[str, Tensor]:
        """Map (B, 3, H, W) to the three feature maps that the pyramid takes."""
        first = self.stage1(image)
        second = self.stage2(first)
        return OrderedDict([("1", first), ("2", second), ("3", self.stage3(second))])


class _Head(nn.Module):
    """What one map says about each prior box: (B, 64, h, w) to (B, boxes, outputs)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.conv1x1 = nn.Conv2d(64, _ANCHORS * outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        by_place: Tensor = self.conv1x1(features).permute(0, 2, 3, 1).contiguous()
        return by_place.view(by_place.shape[0], -1, self.outputs)


class MobileNetRetinaFace(nn.Module):
    """RetinaFace on our body; pyramid and SSH modules are the package's.

    The package's own class only knows ResNet-50, and its module imports torchvision: 160 MB that
    the page has no other use for. Parameter names are those of the published weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.takes_rgb = False
        self.body = MobileNetBody()
        self.fpn = FPN([64, 128, 256], 64)
        self.ssh1, self.ssh2, self.ssh3 = SSH(64, 64), SSH(64, 64), SSH(64, 64)
        self.ClassHead = nn.ModuleList(_Head(2) for _ in range(3))
        self.BboxHead = nn.ModuleList(_Head(4) for _ in range(3))
        self.LandmarkHead = nn.ModuleList(_Head(10) for _ in range(3))

    def take_rgb(self) -> None:
        """Take RGB from now on, where the published weights take BGR: no picture is turned then."""
        first = self.body.get_submodule("stage1.0.0")
        assert isinstance(first, nn.Conv2d)
        first.weight = nn.Parameter(first.weight.flip(1), requires_grad=False)
        self.takes_rgb = True

    def forward(self, image: Tensor, left_out: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Map (B, 3, H, W) to deltas of boxes (B, N, 4), logits (B, N, 2), deltas of landmarks.

        Args:
            image: as ``DetectorGraph`` makes it.
            left_out: how many of the three maps, the finest first, nothing is said about; what is
                said about the others does not depend on them.
        """
        features = self.fpn(self.body(image))[left_out:]
        modules = (self.ssh1, self.ssh2, self.ssh3)[left_out:]
        maps = [module(one) for module, one in zip(modules, features, strict=True)]
        boxes, logits, points = (
            torch.cat([head(one) for head, one in zip(heads[left_out:], maps, strict=True)], 1)
            for heads in (self.BboxHead, self.ClassHead, self.LandmarkHead)
        )
        return boxes, logits, points


def resnet50_retinaface() -> torch.nn.Module:
    """Build the package's own ResNet-50 RetinaFace, without weights."""
    from retinaface.network import RetinaFace  # it imports torchvision

    network: torch.nn.Module = RetinaFace(
        name="Resnet50",
        pretrained=False,
        in_channels=256,
        return_layers={"layer2": 1, "layer3": 2, "layer4": 3},
        out_channels=256,
    )
    return network
