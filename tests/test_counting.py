"""Pairs against convolutions of masks, and what is seen of inputs by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from hetspike.errors import UserError
from hetspike.inspection.counting import (
    Multiplied,
    Seen,
    Weighed,
    count,
    count_products,
    weights_per_input,
)

PLAIN = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


@settings(max_examples=60)
@given(st.data())
def test_pairs_of_a_convolution_are_what_a_convolution_of_ones_sums(data):
    """Any number of axes, strides, borders, gaps between taps, groups, and transposed."""

    def each(low: int, high: int) -> list[int]:
        return [data.draw(st.integers(low, high)) for _ in range(axes)]

    axes, transposed = data.draw(st.integers(1, 3)), data.draw(st.booleans())
    how = {"stride": each(1, 3), "padding": each(0, 2), "dilation": each(1, 2)}
    groups, kernel = data.draw(st.integers(1, 2)), each(1, 3)
    inputs = [n + 4 for n in each(1, 3)]  # wider than any kernel
    torch.manual_seed(data.draw(st.integers(0, 1000)))
    mask = torch.rand(2, 2 * groups, *inputs) < 0.4
    weight = torch.ones(2 * groups if transposed else 3 * groups, 3 if transposed else 2, *kernel)
    convolve = (TRANSPOSED if transposed else PLAIN)[axes]
    out = convolve(mask.float(), weight, groups=groups, **how)
    met = weights_per_input(
        inputs, out.shape[2:], weight.shape, groups=groups, transposed=transposed, **how
    )
    assert met.shape == tuple(inputs)
    assert count(mask, met) == int(out.sum())


def test_outputs_that_a_transposed_convolution_adds_are_reached():
    mask = torch.ones(1, 1, 3, dtype=torch.bool)
    out = functional.conv_transpose1d(mask.float(), torch.ones(1, 2, 2), stride=2, output_padding=1)
    met = weights_per_input(
        [3], [7], (1, 2, 2), stride=[2], padding=[0], dilation=[1], groups=1, transposed=True
    )
    assert met.tolist() == [4, 4, 4]
    assert count(mask, met) == int(out.sum()) == 12


def test_pairs_of_a_matrix_product_by_hand():
    left = torch.tensor([[[True, False], [True, True]]])
    right = torch.tensor([[[True, True, False], [False, True, False]]])
    # two values of the first column meet two of the first row, one of the second meets one
    assert count_products(left, right) == 2 * 2 + 1 * 1


@pytest.mark.parametrize(
    ("seen", "bits"),
    [
        ([[0.0, 0.0]], 0),
        ([[0.0, 1.0]], 1),
        ([[3.0]], 2),
        ([[4.0, 1.0]], 3),
        ([[-4.0, 1.0]], 3),
        ([[0.25, 0.75]], 2),  # in quarters 1 and 3
        ([[0.5, 2.0]], 3),  # in halves 1 and 4
        ([[0.5], [3.0]], 3),  # of two batches: in halves 1 and 6
        ([[3.0], [0.5], [1.0]], 3),
        ([[1 / 3]], 15),  # no end: 21846 in units of 2^-16
    ],
)
def test_width_of_the_largest_input_by_hand(seen, bits):
    passed = Seen()
    for values in seen:
        passed.look(torch.tensor(values), 1)
    assert passed.bits == bits


def test_integers_and_truth_values_have_widths_too():
    passed = Seen()
    passed.look(torch.tensor([True, False]), 1)
    assert (passed.active, passed.not_binary, passed.bits) == (1, 0, 1)
    passed.look(torch.tensor([5, 1, 0]), 1)
    assert (passed.active, passed.not_binary, passed.bits) == (3, 1, 3)


def test_only_what_is_neither_0_nor_1_is_multiplied():
    passed = Weighed()
    passed.weigh(torch.tensor([2.0, 1.0, 0.0, 1.0]), 3, outputs=3)
    assert (passed.macs, passed.acs) == (3, 6)
    passed.weigh(torch.tensor([1.0, 0.0, 0.0, 1.0]), 3, outputs=3)
    assert (passed.macs, passed.acs, passed.not_binary) == (3, 12, 1)
    passed.weigh(torch.tensor([-1.0, 0.5, 0.0, 0.0]), 3, outputs=3)  # -1 is no spike
    assert (passed.macs, passed.acs, passed.not_binary) == (9, 12, 3)


def test_a_product_with_a_spike_is_no_multiplication():
    products = Multiplied()
    left, right = torch.tensor([[2.0, 1.0, 3.0, 0.0]]), torch.tensor([[3.0], [2.0], [1.0], [5.0]])
    products.multiply(left, right, left @ right, count_products)
    assert (products.macs, products.acs) == (1, 2)  # 2 * 3; 1 * 2 and 3 * 1
    assert (products.bits, products.whole) == (4, True)  # 6 + 2 + 3
    products.multiply(left / 4, right, left / 4 @ right, count_products)
    assert (products.macs, products.whole) == (1 + 2, False)  # 1/2 * 3, 1/4 * 2; 3/4 * 1 is a shift


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_values_that_are_no_finite_numbers_are_refused(value):
    with pytest.raises(UserError, match=r"^the network makes values that are no finite numbers: "):
        Seen().look(torch.tensor([1.0, value]), 1)
