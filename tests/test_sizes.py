"""Sizes by hand, and how they relate to each other."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetspike.cost.sizes import compression, effective_bits, mac_bits, model_bits, stored_bits

COLUMNS = ["weights", "bits", "numbers", "number_bits", "dense"]
QUANTIZED = st.lists(
    st.tuples(
        st.integers(1, 10**6),
        st.integers(1, 8),
        st.integers(0, 10**4),
        st.just(16),
        st.integers(1, 10**9),
    ),
    min_size=1,
).map(lambda rows: pd.DataFrame(rows, columns=COLUMNS))


@pytest.fixture
def layers() -> pd.DataFrame:
    """A float layer, two quantized ones, attention or neurons, numbers outside of layers."""
    return pd.DataFrame(
        [
            (50, 32, 10, 32, 1000.0),
            (300, 2, 20, 16, 300.0),
            (100, 4, 10, 16, 900.0),
            (0, 0, 0, 0, 0.0),
            (0, 0, 5, 32, 0.0),
        ],
        columns=COLUMNS,
    )


def test_sizes_by_hand(layers):
    assert effective_bits(layers) == 2.5  # (300 * 2 + 100 * 4) / 400: float and the rest left out
    assert compression(layers) == 12.8  # 32 / 2.5
    assert mac_bits(layers) == 3.5  # (300 * 2 + 900 * 4) / 1200
    # 50 * 32 + 10 * 32, 300 * 2 + 20 * 16, 100 * 4 + 10 * 16, nothing, 5 * 32
    assert list(stored_bits(layers)) == [1920, 920, 560, 0, 160]
    assert model_bits(layers) == 3560 / 495  # 60 + 320 + 110 + 5 numbers


def test_a_float_network_is_not_compressed(layers):
    in_float = layers.assign(bits=32, number_bits=32)
    sizes = (effective_bits, mac_bits, model_bits, compression)
    assert [size(in_float) for size in sizes] == [32, 32, 32, 1]


def test_the_papers_figures_agree_with_each_other():
    """3.14 and 3.67 effective bits are the abstract's 10.19x and 8.71x (8.72x once, in C4)."""
    for bits, printed in [(3.14, 10.19), (3.67, 8.715)]:
        layer = pd.DataFrame([(1000, bits, 0, 0, 0)], columns=COLUMNS)
        assert compression(layer) == pytest.approx(printed, abs=0.006)


@given(QUANTIZED)
def test_mean_widths_lie_between_the_widths(layers):
    low, high = layers["bits"].min() - 1e-9, layers["bits"].max() + 1e-9
    assert low <= effective_bits(layers) <= high
    assert low <= mac_bits(layers) <= high


@given(QUANTIZED, st.integers(1, 100))
def test_bits_are_used_as_they_are_stored_where_all_weights_are_used_equally_often(layers, times):
    equally = layers.assign(dense=times * layers["weights"])
    assert mac_bits(equally) == pytest.approx(effective_bits(equally))


@given(QUANTIZED, st.integers(1, 10**4))
def test_a_layer_in_float_shows_in_the_model_and_not_in_the_papers_size(layers, weights):
    beside = pd.DataFrame([(weights, 32, 0, 32, weights)], columns=COLUMNS)
    both = pd.concat([layers, beside])
    assert effective_bits(both) == effective_bits(layers)
    assert model_bits(both) > model_bits(layers)


@given(QUANTIZED)
def test_scales_and_biases_of_16_bits_add_to_weights_of_fewer(layers):
    assert model_bits(layers) >= effective_bits(layers) - 1e-9
    without = layers.assign(numbers=0)
    assert model_bits(without) == pytest.approx(effective_bits(without))
