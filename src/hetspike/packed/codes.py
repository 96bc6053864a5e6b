"""Bit strings of weights: the sign and the index of the magnitude of each weight."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def size_of(shape: Sequence[int], bits: int) -> int:
    """Return the number of bytes of the codes of a weight tensor of this shape.

    >>> size_of((3, 2), 3)  # 18 bits
    3
    """
    return -(-math.prod(shape) * bits // 8)


def to_bits(negative: Tensor, index: Tensor, bits: int) -> Tensor:
    """Pack the signs and indices [...] of n weights of b bits into bytes, uint8 [ceil(n b / 8)].

    >>> to_bits(torch.tensor([True, False]), torch.tensor([1, 2]), 3).tolist()  # 101 010 00
    [168]
    """
    codes = (negative.long() << (bits - 1) | index).flatten().numpy()
    places = np.arange(bits - 1, -1, -1)
    return torch.from_numpy(np.packbits((codes[:, None] >> places & 1).astype(np.uint8)))


def from_bits(packed: Tensor, shape: Sequence[int], bits: int) -> tuple[Tensor, Tensor]:
    """Unpack signs (bool) and indices (int64), both of this shape, from bytes of `to_bits`."""
    count = math.prod(shape)
    digits = np.unpackbits(packed.numpy(), count=count * bits).reshape(count, bits)
    index = digits[:, 1:] @ (1 << np.arange(bits - 2, -1, -1))
    return (
        torch.from_numpy(digits[:, 0].astype(bool)).view(*shape),
        torch.from_numpy(index.astype(np.int64)).view(*shape),
    )
