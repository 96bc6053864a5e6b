"""Augmentation: random changes of recordings in training, and mixup of batches.

It follows a usual recipe for event datasets [Yao et al. 2024, arXiv 2403.16552, and its public
code]. A recording is mirrored or not. Then one of six changes is drawn with equal probability:
none, a shear, a shift along x or along y, a rotation, or a square that is cut out. All frames of a
recording have the same change. A pixel gets the count of the nearest pixel of the recording, so
counts stay whole numbers; a pixel whose content is outside the picture gets 0. All random numbers
are from torch's global generator on the CPU.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from hetspike.settings import Augmentation, Mixup

NOTHING, SHEAR, SHIFT_X, SHIFT_Y, TURN, CUT = range(6)


def augment(frames: Tensor, plan: Augmentation) -> Tensor:
    """Augment frames [T, B, C, H, W]; each of the B recordings has its own random changes."""
    steps, batch, channels, height, width = frames.shape
    mirrored = torch.rand(batch) < plan.mirror
    kind = torch.randint(6, (batch,))
    strength = 2 * torch.rand(batch) - 1
    images = frames.transpose(0, 1).flatten(1, 2)  # [B, T*C, H, W]
    moves = _moves(mirrored, kind, strength, plan, height, width).to(frames.device)
    grid = affine_grid(moves, [batch, 1, height, width], align_corners=False)
    moved = grid_sample(images, grid, mode="nearest", align_corners=False)
    side = torch.where(kind == CUT, strength.abs() * plan.cut, 0.0)  # pixels
    middle = torch.rand(batch, 2) * torch.tensor([height, width])
    cut = _squares(middle, side, height, width).to(frames.device)
    moved = moved.masked_fill(cut[:, None], 0.0)
    return moved.unflatten(1, (steps, channels)).transpose(0, 1)


def _moves(
    mirrored: Tensor, kind: Tensor, strength: Tensor, plan: Augmentation, height: int, width: int
) -> Tensor:
    """Return matrices [B, 2, 3] that map a pixel to the position whose count it gets.

    Positions are in the coordinates of `affine_grid`, -1 to 1 along each side.
    """

    def part(which: int, amount: float) -> Tensor:
        return torch.where(kind == which, strength * amount, 0.0)

    angle = part(TURN, math.radians(plan.turn))
    sine, cosine = angle.sin(), angle.cos()
    lean = part(SHEAR, plan.shear) - sine
    x = torch.stack([cosine, lean * height / width, part(SHIFT_X, 2 * plan.shift / width)], 1)
    y = torch.stack([sine * width / height, cosine, part(SHIFT_Y, 2 * plan.shift / height)], 1)
    return torch.stack([torch.where(mirrored[:, None], -x, x), y], 1)


def _squares(middle: Tensor, side: Tensor, height: int, width: int) -> Tensor:
    """Return which pixels have their centre in a recording's square: [B, 2], [B] -> [B, H, W]."""
    y, x = (
        (torch.arange(pixels) + 0.5 - middle[:, axis, None]).abs() < side[:, None] / 2
        for axis, pixels in enumerate((height, width))
    )
    return y[:, :, None] & x[:, None, :]


def mix(frames: Tensor, plan: Mixup) -> tuple[Tensor, float]:
    """Mix a batch [T, B, ...] with itself in reverse order; return the mixture and lambda.

    Mixup [Zhang 2018, arXiv 1710.09412]: lambda, the share of the batch in its own order, is drawn
    once per batch from Beta(alpha, alpha). It is 1 for batches that are not mixed.
    """
    if torch.rand(()) >= plan.probability:
        return frames, 1.0
    own = torch.distributions.Beta(plan.alpha, plan.alpha).sample().item()
    return own * frames + (1 - own) * frames.flip(1), own
