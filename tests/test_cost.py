import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetspike.cost import compression, effective_bits, energy_bits_linear, energy_field

COLUMNS = ["weights", "bits", "macs", "acs"]
LAYERS = st.lists(
    st.tuples(
        st.integers(1, 10**6), st.integers(2, 8), st.integers(0, 10**9), st.integers(0, 10**9)
    ),
    min_size=1,
).map(lambda rows: pd.DataFrame(rows, columns=COLUMNS))


@pytest.fixture
def layers() -> pd.DataFrame:
    """A float first layer, two quantized ones, and attention products without weights."""
    return pd.DataFrame(
        [(50, 32, 1000.0, 0.0), (300, 2, 0.0, 2000.0), (100, 4, 10.0, 0.0), (0, 0, 5.0, 100.0)],
        columns=COLUMNS,
    )


def test_sizes_by_hand(layers):
    assert effective_bits(layers) == 2.5  # (300 * 2 + 100 * 4) / 400: float and attention left out
    assert compression(layers) == 12.8  # 32 / 2.5


def test_energies_by_hand(layers):
    assert energy_bits_linear(layers) == 2600  # 50 * 32 + 300 * 2 + 100 * 4
    assert energy_field(layers) == pytest.approx(6559)  # 4.6 * 1015 + 0.9 * 2100


def test_a_float_network_is_not_compressed(layers):
    in_float = layers.assign(bits=32)
    assert (effective_bits(in_float), compression(in_float)) == (32, 1)


def test_the_papers_figures_agree_with_each_other():
    """3.14 and 3.67 effective bits are the abstract's 10.19x and 8.71x (8.72x once, in C4)."""
    for bits, printed in [(3.14, 10.19), (3.67, 8.715)]:
        layer = pd.DataFrame([(1000, bits, 0, 0)], columns=COLUMNS)
        assert compression(layer) == pytest.approx(printed, abs=0.006)


@given(LAYERS)
def test_the_mean_width_lies_between_the_widths(layers):
    bits = effective_bits(layers)
    assert layers["bits"].min() - 1e-9 <= bits <= layers["bits"].max() + 1e-9


@given(LAYERS)
def test_bits_linear_repeats_the_compression_where_all_layers_are_quantized(layers):
    """The observation on which the view rests: both are 32 / effective bits."""
    ratio = energy_bits_linear(layers.assign(bits=32)) / energy_bits_linear(layers)
    assert ratio == pytest.approx(compression(layers))


@given(LAYERS, st.integers(2, 8))
def test_field_is_blind_to_bits(layers, bits):
    assert energy_field(layers.assign(bits=bits)) == energy_field(layers)
