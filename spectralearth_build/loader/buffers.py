"""The ring of buffers into which batches are decoded."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Shape = tuple[int, int, int, int, int]
Pixels = npt.NDArray[np.int16]


class Ring:
    """A ring of buffers for whole batches, pinned if torch sees a GPU.

    Args:
        slots: number of buffers.
        shape: shape of a buffer: sample, date, band, y, x.
        keep: number of returned batches that keep their memory.
        as_numpy: whether to return arrays, without using torch.
    """

    def __init__(self, slots: int, shape: Shape, keep: int, as_numpy: bool) -> None:
        self._keep, self._out = keep, deque[int]()
        self._tensors: list[torch.Tensor] | None = None
        if as_numpy:
            self.arrays: list[Pixels] = [np.empty(shape, np.int16) for _ in range(slots)]
        else:
            self._tensors = _tensors(slots, shape)
            self.arrays = [tensor.numpy() for tensor in self._tensors]

    def free(self) -> list[int]:
        """Return the buffers that are free at the start."""
        return [slot for slot in range(len(self.arrays)) if slot not in self._out]

    def give(self, slot: int, count: int, copy: bool) -> Any:  # noqa: ANN401
        """Return the first samples of a buffer as tensor or array: a view or a copy."""
        self._out.append(slot)
        if self._tensors is None:
            return self.arrays[slot][:count].copy() if copy else self.arrays[slot][:count]
        return self._tensors[slot][:count].clone() if copy else self._tensors[slot][:count]

    def take_back(self) -> list[int]:
        """Return the buffers that become free once another batch is requested."""
        return [self._out.popleft() for _ in range(len(self._out) - self._keep + 1)]


def _tensors(slots: int, shape: Shape) -> list[torch.Tensor]:
    import torch

    if torch.cuda.is_available():
        return [torch.empty(shape, dtype=torch.int16, pin_memory=True) for _ in range(slots)]
    # numpy requests huge pages, torch does not: this means fewer page faults when the memory is first written
    return [torch.from_numpy(np.empty(shape, np.int16)) for _ in range(slots)]
