"""Moves by hand: where a pixel's count comes from, what is cut, what is mixed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import affine_grid, grid_sample

from hetspike.settings import Augmentation, Mixup
from hetspike.training.augmentation import (
    CUT,
    NOTHING,
    SHEAR,
    SHIFT_X,
    SHIFT_Y,
    TURN,
    _moves,
    augment,
    mix,
)

STILL = Augmentation(mirror=0, shear=0, shift=0, turn=0, cut=0)
seeds = st.integers(0, 2**16)


def frames_of(seed: int, *, batch: int = 8, height: int = 12, width: int = 16) -> torch.Tensor:
    """Counts [T, B, 2, H, W]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, 50, (3, batch, 2, height, width), generator=generator).float()


def augmented(frames: torch.Tensor, seed: int = 0, **plan: float) -> torch.Tensor:
    torch.manual_seed(seed)
    return augment(frames, STILL.model_copy(update=plan))


@given(seeds)
def test_nothing_allowed_changes_nothing(seed):
    frames = frames_of(seed)
    assert torch.equal(augmented(frames, seed), frames)


@given(seeds)
def test_mirrored_or_not_by_chance(seed):
    frames = frames_of(seed)
    assert torch.equal(augmented(frames, seed, mirror=1), frames.flip(-1))
    for before, after in zip(
        frames.unbind(1), augmented(frames, seed, mirror=0.5).unbind(1), strict=True
    ):
        assert torch.equal(after, before) or torch.equal(after, before.flip(-1))
    many = frames_of(seed, batch=400, height=1, width=2)
    flipped = (augmented(many, seed, mirror=0.25) != many).flatten(2).any(2).any(0)
    assert 50 < flipped.sum() < 150  # 100 on average, a deviation of 9


def moved(image: torch.Tensor, kind: int, strength: float, **plan: float) -> torch.Tensor:
    """One image [H, W] under one move of known strength."""
    moves = _moves(
        torch.tensor([False]),
        torch.tensor([kind]),
        torch.tensor([strength]),
        STILL.model_copy(update=plan),
        *image.shape,
    )
    grid = affine_grid(moves, [1, 1, *image.shape], align_corners=False)
    return grid_sample(image[None, None], grid, mode="nearest", align_corners=False)[0, 0]


IMAGE = torch.arange(1.0, 13.0).view(3, 4)


def test_shifts_by_hand():
    # a pixel takes the count of the pixel one to its right, or one below; what is outside is 0
    assert moved(IMAGE, SHIFT_X, 0.5, shift=2).tolist() == [
        [2, 3, 4, 0],
        [6, 7, 8, 0],
        [10, 11, 12, 0],
    ]
    assert moved(IMAGE, SHIFT_Y, -1.0, shift=1).tolist() == [
        [0, 0, 0, 0],
        [1, 2, 3, 4],
        [5, 6, 7, 8],
    ]


def test_shear_by_hand():
    # the middle row stays; the row above moves one way, the one below the other
    assert moved(IMAGE, SHEAR, 1.0, shear=1).tolist() == [
        [0, 1, 2, 3],
        [5, 6, 7, 8],
        [10, 11, 12, 0],
    ]


def test_a_quarter_turn_is_a_quarter_turn():
    square = torch.arange(25.0).view(5, 5)
    assert torch.equal(moved(square, TURN, 1.0, turn=90), torch.rot90(square))
    assert torch.equal(moved(square, TURN, -1.0, turn=90), torch.rot90(square, -1))
    # pixels are square, whatever the image is: half a turn reverses it
    assert torch.equal(moved(IMAGE, TURN, 1.0, turn=180), IMAGE.flip(0, 1))


@given(seeds)
def test_a_move_is_only_taken_where_it_was_drawn(seed):
    wild = {"shear": 0.5, "shift": 3, "turn": 40, "cut": 4}
    for kind in (NOTHING, CUT):
        assert torch.equal(moved(IMAGE, kind, 0.7, **wild), IMAGE)


@given(seeds)
def test_all_frames_of_a_recording_go_the_same_way(seed):
    frames = frames_of(seed)[:1].expand(3, -1, -1, -1, -1)
    first, *others = augmented(frames, seed, mirror=0.5, shear=0.3, shift=5, turn=30, cut=9)
    assert all(torch.equal(first, other) for other in others)


@given(seeds)
def test_counts_stay_counts_and_a_sixth_of_recordings_is_left_alone(seed):
    frames = frames_of(seed, batch=120)
    after = augmented(frames, seed, shear=0.3, shift=5, turn=30, cut=9)
    for old, new in zip(frames.unbind(1), after.unbind(1), strict=True):
        assert set(new.unique().tolist()) <= {0.0, *old.unique().tolist()}
    same = (after == frames).flatten(2).all(2).all(0).sum()
    assert 15 <= same <= 60  # 20 on average, and as many again whose move was too small to see


@given(seeds)
def test_a_cut_is_a_square_within_its_bound(seed):
    frames = frames_of(seed, batch=60)
    gone = (augmented(frames, seed, cut=6) == 0)[:, :, 0]  # [T, B, H, W]; counts are 1 at least
    assert torch.equal(gone[0], gone[2])
    sides = []
    for square in gone[0]:
        rows, columns = square.any(1), square.any(0)
        assert torch.equal(square, rows[:, None] & columns)  # full, and nothing beside it
        sides.append(max(int(rows.sum()), int(columns.sum())))
    assert 0 < max(sides) <= 6 + 1  # pixels whose centre lies inside
    assert 1 <= sum(side > 0 for side in sides) <= 30  # of 10 that drew a cut


def test_draws_are_made_on_the_cpu_and_moves_where_the_frames_are():
    elsewhere = frames_of(0).to("meta")
    everything = Augmentation(mirror=0.5, shear=0.3, shift=5, turn=30, cut=9)
    assert augment(elsewhere, everything).device == elsewhere.device
    mixed, _ = mix(elsewhere, Mixup(alpha=0.5, probability=1, epochs=1))
    assert mixed.device == elsewhere.device


@given(seeds)
def test_mixing_by_hand(seed):
    torch.manual_seed(seed)
    frames = frames_of(seed)
    mixed, own = mix(frames, Mixup(alpha=0.5, probability=1, epochs=1))
    assert 0 <= own <= 1
    assert torch.equal(mixed[:, 2], own * frames[:, 2] + (1 - own) * frames[:, 5])


def test_mixing_happens_as_often_as_asked_and_spreads_as_beta_does():
    torch.manual_seed(0)
    one = torch.zeros(1, 2, 1)
    shares = [mix(one, Mixup(alpha=0.5, probability=0.5, epochs=1))[1] for _ in range(2000)]
    mixed = torch.tensor([share for share in shares if share < 1])
    assert len(mixed) == pytest.approx(1000, abs=100)
    # Beta(1/2, 1/2): mean 1/2, variance 1/8
    assert mixed.mean().item() == pytest.approx(0.5, abs=0.05)
    assert mixed.var().item() == pytest.approx(0.125, abs=0.02)
