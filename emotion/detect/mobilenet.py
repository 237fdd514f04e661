"""RetinaFace on a MobileNet-0.25 body, from the building blocks of retinaface-pytorch."""

from __future__ import annotations

from collections import OrderedDict

import torch
from retinaface.net import FPN, SSH, conv_bn, conv_dw
from retinaface.network import RetinaFace
from torch import Tensor, nn


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


class MobileNetRetinaFace(RetinaFace):  # type: ignore[misc]
    """RetinaFace on our body; forward pass, heads, pyramid and SSH modules are the package's.

    The parent's constructor only knows ResNet-50, so the parts are put together here.
    """

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.body = MobileNetBody()
        self.fpn = FPN([64, 128, 256], 64)
        self.ssh1, self.ssh2, self.ssh3 = SSH(64, 64), SSH(64, 64), SSH(64, 64)
        self.ClassHead = self._make_class_head(fpn_num=3, in_channels=64)
        self.BboxHead = self._make_bbox_head(fpn_num=3, in_channels=64)
        self.LandmarkHead = self._make_landmark_head(fpn_num=3, in_channels=64)


def resnet50_retinaface() -> torch.nn.Module:
    """Build the package's own ResNet-50 RetinaFace, without weights."""
    network: torch.nn.Module = RetinaFace(
        name="Resnet50",
        pretrained=False,
        in_channels=256,
        return_layers={"layer2": 1, "layer3": 2, "layer4": 3},
        out_channels=256,
    )
    return network
