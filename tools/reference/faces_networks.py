"""
Small networks with the layers of InsightFace's detector and embedder, whose sizes its own code does not let one choose:
SCRFD after `detection/scrfd` (configs/scrfd/scrfd_10g_bnkps.py, mmdet/models/backbones/resnet.py, necks/pafpn.py,
dense_heads/scrfd_head.py) and IResNet after `recognition/arcface_torch/backbones/iresnet.py` of deepinsight/insightface
at 7fadd42. Parameters are named as there.
"""

import torch
from torch import nn
from torch.nn import functional

strides = (8, 16, 32)
# Names in the published file.
detector_outputs = ["448", "471", "494", "451", "474", "497", "454", "477", "500"]


def conv(inputs, outputs, kernel, stride=1, bias=False):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = conv(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            pool = [nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)] if stride != 1 else []
            self.downsample = nn.Sequential(*pool, conv(inputs, outputs, 1), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Backbone(nn.Module):
    """ResNetV1e: three small convolutions first, and means of four pixels where sides are halved."""

    def __init__(self, stem, stages):
        super().__init__()
        half = stem // 2
        layers = []
        for inputs, outputs, stride in ((3, half, 2), (half, half, 1), (half, stem, 1)):
            layers += [conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.stem = nn.Sequential(*layers)
        inputs = stem
        for index, (outputs, count) in enumerate(stages):
            blocks = []
            for block in range(count):
                blocks.append(BasicBlock(inputs, outputs, 2 if index > 0 and block == 0 else 1))
                inputs = outputs
            self.add_module(f"layer{index + 1}", nn.Sequential(*blocks))

    def forward(self, x):
        x = functional.max_pool2d(self.stem(x), 2, 2)
        levels = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            levels.append(x)
        return levels


class ConvModule(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride=1, norm=False):
        super().__init__()
        self.conv = conv(inputs, outputs, kernel, stride, bias=not norm)
        self.bn = nn.BatchNorm2d(outputs) if norm else None

    def forward(self, x):
        x = self.conv(x)
        return x if self.bn is None else torch.relu(self.bn(x))


class Neck(nn.Module):
    """PAFPN without norms."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.lateral_convs = nn.ModuleList(ConvModule(channels, outputs, 1) for channels in inputs)
        self.fpn_convs = nn.ModuleList(ConvModule(outputs, outputs, 3) for _ in inputs)
        self.downsample_convs = nn.ModuleList(ConvModule(outputs, outputs, 3, 2) for _ in inputs[1:])
        self.pafpn_convs = nn.ModuleList(ConvModule(outputs, outputs, 3) for _ in inputs[1:])

    def forward(self, levels):
        laterals = [lateral(level) for lateral, level in zip(self.lateral_convs, levels)]
        for index in range(len(laterals) - 1, 0, -1):
            size = laterals[index - 1].shape[2:]
            laterals[index - 1] += functional.interpolate(laterals[index], size=size, mode="nearest")
        outputs = [layer(lateral) for layer, lateral in zip(self.fpn_convs, laterals)]
        for index, layer in enumerate(self.downsample_convs):
            outputs[index + 1] = outputs[index + 1] + layer(outputs[index])
        return [outputs[0], *(layer(output) for layer, output in zip(self.pafpn_convs, outputs[1:]))]


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))


class Head(nn.Module):
    def __init__(self, inputs, channels, count):
        super().__init__()

        def each(make):
            return nn.ModuleDict({str((stride, stride)): make() for stride in strides})

        widths = [inputs, *[channels] * count]
        self.cls_stride_convs = each(
            lambda: nn.ModuleList(ConvModule(*pair, 3, norm=True) for pair in zip(widths, widths[1:]))
        )
        self.stride_cls = each(lambda: conv(channels, 2, 3, bias=True))
        self.stride_reg = each(lambda: conv(channels, 8, 3, bias=True))
        self.stride_kps = each(lambda: conv(channels, 20, 3, bias=True))
        self.scales = nn.ModuleList(Scale() for _ in strides)

    def forward(self, grids):
        scores, boxes, points = [], [], []
        for stride, scale, x in zip(strides, self.scales, grids):
            key = str((stride, stride))
            for layer in self.cls_stride_convs[key]:
                x = layer(x)
            scores.append(self.stride_cls[key](x).permute(0, 2, 3, 1).reshape(-1, 1).sigmoid())
            boxes.append((self.stride_reg[key](x) * scale.scale).permute(0, 2, 3, 1).reshape(-1, 4))
            points.append(self.stride_kps[key](x).permute(0, 2, 3, 1).reshape(-1, 10))
        return scores, boxes, points


class Scrfd(nn.Module):
    def __init__(self, stem, stages, neck, head, layers):
        super().__init__()
        self.backbone = Backbone(stem, stages)
        self.neck = Neck([channels for channels, _ in stages[1:]], neck)
        self.bbox_head = Head(neck, head, layers)

    def forward(self, x):
        scores, boxes, points = self.bbox_head(self.neck(self.backbone(x)[1:]))
        return (*scores, *boxes, *points)


class IBasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, outputs, 3)
        self.bn2, self.prelu = nn.BatchNorm2d(outputs), nn.PReLU(outputs)
        self.conv2, self.bn3 = conv(outputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x))))))
        return y + (x if self.downsample is None else self.downsample(x))


class IResNet(nn.Module):
    def __init__(self, stem, stages, embedding=512):
        super().__init__()
        self.conv1, self.bn1, self.prelu = conv(3, stem, 3), nn.BatchNorm2d(stem), nn.PReLU(stem)
        inputs = stem
        for index, (outputs, count) in enumerate(stages):
            blocks = []
            for block in range(count):
                blocks.append(IBasicBlock(inputs, outputs, 2 if block == 0 else 1))
                inputs = outputs
            self.add_module(f"layer{index + 1}", nn.Sequential(*blocks))
        self.bn2, self.dropout = nn.BatchNorm2d(inputs), nn.Dropout(0.0)
        self.fc, self.features = nn.Linear(inputs * 7 * 7, embedding), nn.BatchNorm1d(embedding)

    def forward(self, x):
        x = self.prelu(self.bn1(self.conv1(x)))
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
        return self.features(self.fc(self.dropout(torch.flatten(self.bn2(x), 1))))
