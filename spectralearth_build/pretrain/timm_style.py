"""Encoders with the interface of timm's networks, for programs that expect one. Does not need timm.

from spectralearth_build import timm_style

network = timm_style("run/encoder.safetensors", num_classes=10)
scores = network(counts)  # int16 [batch, band, y, x] as stored, to float32 [batch, 10]
maps = timm_style("run/encoder.safetensors").features_only()(counts)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from spectralearth_build.pretrain.encoders import Encoder, SpectralViT
from spectralearth_build.pretrain.encoders.attention import to_patches
from spectralearth_build.pretrain.weights import CountsEncoder

POOLS = ("token", "avg", "max", "")
"""How features become a vector: class token, mean, maximum, or not at all."""
LAST_BLOCKS = 3
"""Number of maps that `TimmStyle.features_only` returns of a ViT by default, as in timm."""


class TimmStyle(nn.Module):
    """An encoder with the attributes and methods of a network of timm.

    Args:
        encoder: an encoder of stored values (`load_encoder`), or one of standardised values.
        num_classes: number of outputs of the classifier; 0: none, so the output is the pooled vector.
        global_pool: one of `POOLS`; None: as the encoder pools.

    Raises:
        ValueError: The pooling does not exist or does not suit the encoder.
    """

    def __init__(
        self, encoder: CountsEncoder | Encoder, num_classes: int = 0, global_pool: str | None = None
    ) -> None:
        super().__init__()
        self.standardise: nn.Module = nn.Identity()
        if isinstance(encoder, CountsEncoder):
            self.standardise, encoder = encoder.standardise, encoder.encoder
        self.encoder = encoder
        self.num_features = self.embed_dim = self.head_hidden_size = self.encoder.dim
        self.num_prefix_tokens = 1 if isinstance(self.encoder, SpectralViT) else 0
        self.feature_info = _levels(self.encoder)
        self.global_pool = "token" if self.encoder.pool == "token" else "avg"
        self.reset_classifier(num_classes, global_pool)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the classifier by a new one with random weights.

        Args:
            num_classes: number of its outputs; 0: no classifier.
            global_pool: one of `POOLS`; None: as before.

        Raises:
            ValueError: The pooling does not exist or does not suit the encoder.
        """
        if global_pool is not None:
            if global_pool not in POOLS or (global_pool == "token" and not self.num_prefix_tokens):
                known = ", ".join(f"'{name}'" for name in POOLS if name != "token" or self.num_prefix_tokens)
                raise ValueError(f"Unknown pooling '{global_pool}'. This encoder has: {known}.")
            self.global_pool = global_pool
        self.num_classes = num_classes
        self.head: nn.Module = nn.Identity()
        if num_classes:
            place = next(self.encoder.parameters())
            self.head = nn.Linear(self.num_features, num_classes, device=place.device, dtype=place.dtype)

    def get_classifier(self) -> nn.Module:
        """Return the classifier; the identity if there is none."""
        return self.head

    def no_weight_decay(self) -> set[str]:
        """Return names of parameters that are no weights of a layer: class token, positions, attention biases."""
        return {
            name
            for name, value in self.named_parameters()
            if name.endswith(("token", "positions")) or (name.endswith("bias") and value.dim() > 1)
        }

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last features: tokens [batch, 1 + patches, dim] of a ViT, else maps [batch, dim, y, x]."""
        x = self.standardise(x)
        return self.encoder.tokens(x) if isinstance(self.encoder, SpectralViT) else self.encoder.features(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pool the output of `forward_features` and classify it.

        Args:
            x: the features.
            pre_logits: whether to return the pooled vector [batch, dim] instead.
        """
        pooled = self._pooled(x)
        out: Tensor = pooled if pre_logits else self.head(pooled)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Map images [batch, band, y, x] to scores [batch, num_classes], or to vectors [batch, dim] without classes."""
        return self.forward_head(self.forward_features(x))

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Return the last features and maps on the way to them.

        Args:
            x: images [batch, band, y, x].
            indices: which maps of ``feature_info``; a number: the last ones; None: all.
            norm: for ViTs: whether the last normalisation is applied to each map.
            intermediates_only: whether to return the maps only.
        """
        x, wanted = self.standardise(x), taken(len(self.feature_info), indices)
        if isinstance(self.encoder, SpectralViT):
            last, maps = _of_blocks(self.encoder, x, wanted, norm)
        else:
            maps = self.encoder.pyramid(x)
            last = maps[-1]
            maps = [maps[index] for index in wanted]
        return maps if intermediates_only else (last, maps)

    def features_only(self, out_indices: int | Sequence[int] | None = None) -> FeaturesOnly:
        """Return a network whose output is a list of maps, as timm's ``features_only=True``.

        Args:
            out_indices: which maps of ``feature_info``; a number: the last ones; None: all, of a ViT the last three.
        """
        few = min(LAST_BLOCKS, len(self.feature_info))
        default = few if isinstance(self.encoder, SpectralViT) else None
        return FeaturesOnly(self, default if out_indices is None else out_indices)

    def _pooled(self, x: Tensor) -> Tensor:
        if self.global_pool == "token":
            return x[:, 0]
        if self.global_pool == "":
            return x
        places = x[:, 1:] if self.num_prefix_tokens else x.flatten(2).transpose(1, 2)
        return places.mean(1) if self.global_pool == "avg" else places.amax(1)


class FeatureInfo:
    """Channels, reduction and module of each map of a network.

    Args:
        info: one dict for each map that the network has.
        out_indices: which of them it returns.
    """

    def __init__(self, info: list[dict[str, Any]], out_indices: tuple[int, ...]) -> None:
        self.info, self.out_indices = info, out_indices

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.info[index]

    def __len__(self) -> int:
        return len(self.info)

    def get(self, key: str, idx: int | Sequence[int] | None = None) -> Any:  # noqa: ANN401
        """Return a value of the maps that are returned, or of those with the given indices."""
        if isinstance(idx, int):
            return self.info[idx][key]
        return [self.info[index][key] for index in (self.out_indices if idx is None else idx)]

    def channels(self, idx: int | Sequence[int] | None = None) -> Any:  # noqa: ANN401
        """Return numbers of channels."""
        return self.get("num_chs", idx)

    def reduction(self, idx: int | Sequence[int] | None = None) -> Any:  # noqa: ANN401
        """Return strides in pixels of the image."""
        return self.get("reduction", idx)

    def module_name(self, idx: int | Sequence[int] | None = None) -> Any:  # noqa: ANN401
        """Return names of the modules that make the maps."""
        return self.get("module", idx)


class FeaturesOnly(nn.Module):
    """A network whose output is a list of maps, fine to coarse.

    Args:
        model: the network.
        out_indices: see `TimmStyle.features_only`.
    """

    def __init__(self, model: TimmStyle, out_indices: int | Sequence[int] | None) -> None:
        super().__init__()
        self.model = model
        self.out_indices = taken(len(model.feature_info), out_indices)
        self.feature_info = FeatureInfo(model.feature_info, self.out_indices)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map images [batch, band, y, x] to maps [batch, channel, y / reduction, x / reduction]."""
        maps = self.model.forward_intermediates(x, self.out_indices, intermediates_only=True)
        assert isinstance(maps, list)
        return maps


def taken(count: int, indices: int | Sequence[int] | None) -> tuple[int, ...]:
    """Return which of some maps to take, counted from the first.

    Args:
        count: number of maps.
        indices: indices, negative ones from the end; a number: the last ones; None: all.

    Raises:
        ValueError: There is no such map.
    """
    asked = (
        range(count - indices, count)
        if isinstance(indices, int)
        else (range(count) if indices is None else indices)
    )
    found = tuple(index if index >= 0 or isinstance(indices, int) else count + index for index in asked)
    if not found or not all(0 <= index < count for index in found):
        raise ValueError(f"There are {count} maps, so {indices} cannot be taken.")
    return found


def _levels(encoder: Encoder) -> list[dict[str, Any]]:
    if isinstance(encoder, SpectralViT):
        blocks = range(len(encoder.blocks))
        return [
            {"num_chs": encoder.dim, "reduction": encoder.patch, "module": f"encoder.blocks.{i}"}
            for i in blocks
        ]
    names = ["encoder.adapter", *(f"encoder.stages.{i}" for i in range(len(encoder.levels) - 1))]
    return [
        {"num_chs": channels, "reduction": stride, "module": name}
        for (channels, stride), name in zip(encoder.levels, names, strict=True)
    ]


def _of_blocks(
    encoder: SpectralViT, x: Tensor, wanted: tuple[int, ...], norm: bool
) -> tuple[Tensor, list[Tensor]]:
    """Return the normalised tokens, and the patch tokens behind some blocks as maps."""
    grid = (x.shape[2] // encoder.patch, x.shape[3] // encoder.patch)
    tokens = encoder.embedded(to_patches(encoder.adapter(x), encoder.patch), None, grid)
    maps: dict[int, Tensor] = {}
    for index, block in enumerate(encoder.blocks):
        tokens = block(tokens)
        if index in wanted:
            seen = encoder.norm(tokens) if norm else tokens
            maps[index] = seen[:, 1:].transpose(1, 2).unflatten(2, grid)
    return encoder.norm(tokens), [maps[index] for index in wanted]
