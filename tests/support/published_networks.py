"""SpectralEarth's networks as its code describes them: 3-D convolutions, then networks with timm's names of weights.

Written from the description, with torch's own layers (`nn.MultiheadAttention`'s function, `nn.Conv3d`), so that they
are independent of the encoders that they are compared with.
"""

import torch
from torch import nn
from torch.nn.functional import interpolate, multi_head_attention_forward


class Adapter(nn.Sequential):
    """[batch, band, y, x] to [batch, 128, y, x]."""

    def __init__(self):
        layers = []
        for inputs, outputs, kernel, stride in ((1, 32, 7, 5), (32, 64, 7, 5), (64, 128, 5, 3)):
            convolution = nn.Conv3d(inputs, outputs, (kernel, 1, 1), (stride, 1, 1), (1, 0, 0))
            layers += [convolution, nn.BatchNorm3d(outputs), nn.ReLU()]
        super().__init__(*layers, nn.AdaptiveAvgPool3d((1, None, None)))

    def forward(self, x):
        return super().forward(x[:, None])[:, :, 0]


class PatchEmbed(nn.Module):
    def __init__(self, dim, patch):
        super().__init__()
        self.proj = nn.Conv2d(128, dim, patch, patch)

    def forward(self, x):
        return self.proj(x)


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        x = x.transpose(0, 1)
        mixed, _ = multi_head_attention_forward(
            x, x, x, x.shape[-1], self.heads, self.qkv.weight, self.qkv.bias, None, None, False, 0.0,
            self.proj.weight, self.proj.bias, training=False, need_weights=False,
        )  # fmt: skip
        return mixed.transpose(0, 1)


class Mlp(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim, eps=1e-6), Attention(dim, heads)
        self.norm2, self.mlp = nn.LayerNorm(dim, eps=1e-6), Mlp(dim)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """As timm's with ``dynamic_img_size``: positions of other image sizes are interpolated."""

    def __init__(self, image, patch, dim, depth, heads, classes):
        super().__init__()
        self.grid = image // patch
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.grid**2, dim))
        self.patch_embed = PatchEmbed(dim, patch)
        self.blocks = nn.Sequential(*(Block(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, classes) if classes else nn.Identity()

    def tokens(self, x):
        x = self.patch_embed(x)
        positions = self.pos_embed
        if x.shape[2:] != (self.grid, self.grid):
            square = positions[:, 1:].mT.unflatten(2, (self.grid, self.grid))
            resized = interpolate(square, x.shape[2:], mode="bicubic", antialias=True)
            positions = torch.cat([positions[:, :1], resized.flatten(2).mT], 1)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x.flatten(2).mT], 1)
        return self.norm(self.blocks(x + positions))

    def forward(self, x):
        return self.head(self.tokens(x)[:, 0])


class SpecVisionTransformer(nn.Module):
    def __init__(self, image=128, patch=4, dim=384, depth=12, heads=6, classes=0):
        super().__init__()
        self.spectral_adapter = Adapter()
        self.vit_core = VisionTransformer(image, patch, dim, depth, heads, classes)

    def forward(self, x):
        return self.vit_core(self.spectral_adapter(x))


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, outputs, stride, dilation):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = None
        if inputs != outputs or stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        out = self.bn1(self.conv1(x)).relu()
        out = self.bn3(self.conv3(self.bn2(self.conv2(out)).relu()))
        return (out + (x if self.downsample is None else self.downsample(x))).relu()


class ResNet50(nn.Module):
    def __init__(self, classes, dilated):
        super().__init__()
        inputs = 128
        for number, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
            stride, dilation = (1, 2**number) if dilated else (2, 1)
            first = Bottleneck(inputs, 4 * width if not number else width, 4 * width, stride, dilation)
            others = (Bottleneck(4 * width, width, 4 * width, 1, dilation) for _ in range(blocks - 1))
            self.add_module(f"layer{number + 1}", nn.Sequential(first, *others))
            inputs = 4 * width
        self.fc = nn.Linear(inputs, classes) if classes else nn.Identity()

    def maps(self, x):
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def forward(self, x):
        return self.fc(self.maps(x).mean((2, 3)))


class SpecResNet50(nn.Module):
    def __init__(self, classes=0, dilated=False):
        super().__init__()
        self.spectral_adapter = Adapter()
        self.resnet = ResNet50(classes, dilated)

    def forward(self, x):
        return self.resnet(self.spectral_adapter(x))


def shaken(network, seed=0):
    """The network with random values everywhere, also in its normalisation layers, in evaluation mode."""
    draw = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.copy_(0.5 + torch.rand(value.shape, generator=draw))
        elif name.endswith("num_batches_tracked"):
            value.fill_(1000 + seed)
        elif value.dim() > 1:
            value.copy_(torch.randn(value.shape, generator=draw) / max(1, value[0].numel()) ** 0.5)
        else:
            noise = torch.randn(value.shape, generator=draw) / 10
            value.copy_(noise + (1 if name.endswith("weight") else 0))
    return network.eval()


def of_moco(network, other):
    """State dict of a Lightning checkpoint of MoCo."""
    return (
        prefixed("backbone.", network)
        | prefixed("backbone_momentum.", other)
        | {"projection_head.layers.0.weight": torch.zeros(2, 2), "criterion.memory_bank.bank": torch.zeros(3)}
    )


def of_dino(student, teacher):
    """State dict of a Lightning checkpoint of DINO."""
    heads = {f"{who}_head.layers.0.weight": torch.zeros(2, 2) for who in ("student", "teacher")}
    center = {"criterion.center.center": torch.zeros(3)}
    return prefixed("student_backbone.", student) | prefixed("teacher_backbone.", teacher) | heads | center


class Wrapped(nn.Module):
    """What their MAE makes of a ViT: each weight is registered several times."""

    def __init__(self, network):
        super().__init__()
        core = network.vit_core
        self.spec_vit, self.vit_core = network, core
        embedding = nn.Module()
        embedding.spectral_adapter, embedding.original_patch_embed = (
            network.spectral_adapter,
            core.patch_embed,
        )
        embedding.proj = core.patch_embed.proj
        core.patch_embed = self.patch_embed = embedding
        self.pos_embed, self.cls_token = core.pos_embed, core.cls_token
        self.blocks, self.norm = core.blocks, core.norm


def of_mae(network):
    """State dict of a Lightning checkpoint of MAE. The network cannot be called afterwards."""
    others = {"encoder.mask_token": torch.zeros(1, 1, 4), "decoder.mask_token": torch.zeros(1, 1, 4)}
    return prefixed("encoder.vit.", Wrapped(network)) | others


def prefixed(prefix, network):
    return {prefix + name: value for name, value in network.state_dict().items()}
