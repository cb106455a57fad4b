"""One step of plain gradient descent of a tiny objective without chance."""

import torch
from torch import nn

from spectralearth_build.pretrain.augment import Augmentation
from spectralearth_build.pretrain.encoders.vit import SpectralViT
from spectralearth_build.pretrain.objectives.barlow import BarlowTwins
from spectralearth_build.pretrain.objectives.byol import Byol
from spectralearth_build.pretrain.objectives.dino import Dino, DinoConfig
from spectralearth_build.pretrain.objectives.moco import MoCo, MoCoConfig
from spectralearth_build.pretrain.objectives.simclr import SimClr, SimClrConfig
from spectralearth_build.pretrain.objectives.simsiam import SimSiam
from spectralearth_build.pretrain.objectives.swav import Swav
from spectralearth_build.pretrain.objectives.vicreg import VicReg
from spectralearth_build.pretrain.recipes import (
    BarlowConfig,
    ByolConfig,
    SimSiamConfig,
    SwavConfig,
    VicRegConfig,
)

SAME = Augmentation(scale=(1, 1), ratio=(1, 1), flip=0)


def build(name: str):
    """The objective; batch normalisation of images stays in evaluation mode: its statistics are each process's own."""
    torch.manual_seed(0)
    encoder = SpectralViT(80, (24, 1, 3), 4, 8)
    made = {
        "moco": lambda: MoCo(encoder, MoCoConfig(queue=16, hidden=16, dim=8, batch_splits=1, views=SAME)),
        "dino": lambda: Dino(
            encoder, DinoConfig(hidden=16, bottleneck=8, prototypes=12, freeze_prototypes=0, views=SAME)
        ),
        "simclr": lambda: SimClr(encoder, SimClrConfig(hidden=16, dim=8, views=SAME)),
        "byol": lambda: Byol(encoder, ByolConfig(hidden=16, dim=8, views=SAME)),
        "simsiam": lambda: SimSiam(encoder, SimSiamConfig(dim=16, bottleneck=8, views=SAME)),
        "barlow": lambda: BarlowTwins(encoder, BarlowConfig(dim=12, views=SAME)),
        "vicreg": lambda: VicReg(encoder, VicRegConfig(dim=12, views=SAME)),
        "swav": lambda: Swav(encoder, SwavConfig(hidden=16, dim=8, prototypes=5, views=SAME)),
    }[name]()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return made


def step(objective, network, series, places):
    """Descend once; returns the loss of this process."""
    descent = torch.optim.SGD([p for p in objective.parameters() if p.requires_grad], 0.5)
    loss = network(series, places, torch.Generator().manual_seed(1))
    loss.backward()
    descent.step()
    objective.after_step(0.5)
    return loss.detach()
