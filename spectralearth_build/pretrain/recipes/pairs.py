"""Settings of the other objectives that compare two views: SimCLR, BYOL, SimSiam, Barlow Twins, VICReg, SwAV.

Heads, temperatures and weights are those of the papers. Their optimiser is mostly LARS; here it is that of `RECIPES`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from spectralearth_build.pretrain.recipes.augmentation import Augmentation
from spectralearth_build.pretrain.recipes.published import Kept
from spectralearth_build.settings import Section
from spectralearth_build.settings.bounds import Count, CountOrNone, NotNegative, Positive, Share

VIEWS = Augmentation(blur=0.5)


class SimClrConfig(Section):
    """SimCLR with the head of MoCo-v2."""

    temperature: Positive = 0.07
    """Temperature that divides the cosines. 0.2 suits a Swin encoder without projection."""
    hidden: CountOrNone = 2048
    """Width of the hidden layer of the projection head; 0: no projection head."""
    dim: Count = 128
    """Length of a projected feature vector."""
    mask_location: bool = True
    """Exclude other samples of the same location from the negatives."""
    views: Augmentation = VIEWS
    """Augmentation of both views."""


class ByolConfig(Section):
    """BYOL (arXiv 2006.07733): a student predicts the projection of the other view by its own moving average."""

    hidden: Count = 4096
    """Width of the hidden layers of projector and predictor."""
    dim: Count = 256
    """Length of a projection."""
    momentum: Kept = 0.996
    """Initial momentum of the target network. It rises to 1 at the last step."""
    views: Augmentation = VIEWS
    """Augmentation of both views."""


class SimSiamConfig(Section):
    """SimSiam (arXiv 2011.10566): as BYOL, with the network itself instead of its moving average."""

    dim: Count = 2048
    """Width of the three layers of the projector, and length of a projection."""
    bottleneck: Count = 512
    """Width of the hidden layer of the predictor."""
    views: Augmentation = VIEWS
    """Augmentation of both views."""


class BarlowConfig(Section):
    """Barlow Twins (arXiv 2103.03230): the correlation of projections of two views should be the identity."""

    dim: Count = 8192
    """Width of the three layers of the projector, and length of a projection."""
    off_diagonal: NotNegative = 0.005
    """Weight of the elements off the diagonal."""
    views: Augmentation = VIEWS
    """Augmentation of both views."""


class VicRegConfig(Section):
    """VICReg (arXiv 2105.04906): equal projections of two views, each dimension spread, no two correlated."""

    dim: Count = 8192
    """Width of the three layers of the projector, and length of a projection."""
    invariance: NotNegative = 25.0
    """Weight of the squared difference between the views."""
    variance: NotNegative = 25.0
    """Weight of the hinge that keeps the standard deviation of each dimension at 1 or more."""
    covariance: NotNegative = 1.0
    """Weight of the squared covariances between dimensions."""
    views: Augmentation = VIEWS
    """Augmentation of both views."""


class SwavConfig(Section):
    """SwAV (arXiv 2006.09882): predict the cluster of one view from the other; clusters are equally large."""

    temperature: Positive = 0.1
    """Temperature that divides the cosines to the prototypes."""
    hidden: Count = 2048
    """Width of the hidden layer of the projector."""
    dim: Count = 128
    """Length of a projection."""
    prototypes: Annotated[int, Field(ge=2)] = 128
    """Number of clusters. The paper has 3000, with 4096 samples a step. With fewer samples than clusters, assignments
    are arbitrary."""
    epsilon: Positive = 0.05
    """Smoothness of the assignment: the entropy weight of Sinkhorn-Knopp."""
    iterations: Count = 3
    """Iterations of Sinkhorn-Knopp."""
    freeze_prototypes: Share = 0.01
    """Share of the steps, from the start, during which the prototypes are frozen."""
    local_crops: CountOrNone = 0
    """Number of additional local views, which predict clusters but have none. The paper has 6."""
    views: Augmentation = Augmentation(scale=(0.14, 1.0), blur=0.5)
    """Augmentation of the two global views."""
    local: Augmentation = Augmentation(scale=(0.05, 0.14), size=64, blur=0.5)
    """Augmentation of the local views."""
