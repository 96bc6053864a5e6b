"""Memory accesses by hand under each assumption, and what holds under all of them."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetspike.cost.kinds import NEURONS, PRODUCTS, SYNAPSES
from hetspike.cost.memory import ASSUMPTIONS, DRAM, KEPT, LOADED, NAMED, PER_PAIR, access, accesses
from hetspike.cost.operations import Operation

# 512 weights of 4 bits; 10 events make 40 pairs; 8 potentials, updated in 5 steps, spike 6 times
LAYER = Operation(
    *("layer", SYNAPSES, "uniform", 4, 512),
    **{"inputs": 60, "active": 10, "outputs": 8, "macs": 10, "acs": 30},
)
ATTENTION = Operation("attention", PRODUCTS, "float", 32, acs=30)
POTENTIALS = Operation("neurons", NEURONS, inputs=40, active=6, outputs=8)
ROWS = pd.DataFrame([LAYER, ATTENTION, POTENTIALS])
BIT = 10 / 64  # pJ, of a memory of 8 KB
OFF_CHIP = 2600 / 64


def spent(**changed: object) -> list[float]:
    return accesses(ROWS, NAMED._replace(**changed)).tolist()


def test_the_views_assume_what_lemaire_does_in_memories_that_cost_something():
    assert NAMED == (PER_PAIR, 32, "SRAM", "as_8_KB", False)
    assert ASSUMPTIONS[0] == NAMED
    assert spent() == pytest.approx([BIT * (10 * 32 + 40 * 4 + 80 * 32), 0, BIT * 86 * 32])


def test_narrow_potentials_by_hand():
    for width in (16, 8):
        expected = [BIT * (10 * 32 + 40 * 4 + 80 * width), 0, BIT * (6 * 32 + 80 * width)]
        assert spent(width=width) == pytest.approx(expected)


def test_kept_potentials_are_read_and_written_once_a_step():
    assert spent(potentials=KEPT) == pytest.approx([BIT * (10 * 32 + 40 * 4), 0, BIT * 86 * 32])


def test_weights_in_dram_by_hand():
    others = BIT * (10 * 32 + 80 * 32)
    every, loaded = 40 * 4 * OFF_CHIP, 512 * 4 * (OFF_CHIP + BIT) + 40 * 4 * BIT
    assert spent(weights=DRAM) == pytest.approx([others + every, 0, BIT * 86 * 32])
    assert spent(weights=LOADED) == pytest.approx([others + loaded, 0, BIT * 86 * 32])


def test_small_memories_by_hand():
    assert access(64, 512, "to_1_KB") == 2.61
    assert access(64, 4608, "to_1_KB") == pytest.approx((2.61 + 10) / 2)  # half way to 8 KB
    assert access(64, 4096, "to_0") == 5
    for smaller in ("as_8_KB", "to_1_KB", "to_0"):
        assert access(64, 8192, smaller) == 10
    # 40 bytes of events, 256 of weights, 32 of potentials
    lemaire = BIT / 8192 * (10 * 32 * 40 + 40 * 4 * 256 + 80 * 32 * 32)
    assert spent(smaller="to_0")[0] == pytest.approx(lemaire)


def test_every_memory_leaks_once():
    more = [one - other for one, other in zip(spent(leaking=True), spent(), strict=True)]
    # events and weights with the layer, potentials with the neurons: 82 nW a bit for 1 ms
    assert more == pytest.approx([82 * (10 * 32 + 512 * 4), 0, 82 * 8 * 32])


def test_a_row_alone_costs_what_it_costs_in_a_table():
    for assumed in ASSUMPTIONS:
        alone = [float(accesses(row, assumed)) for _, row in ROWS.iterrows()]
        assert alone == accesses(ROWS, assumed).tolist()


def test_assumptions_are_all_different():
    assert len({*ASSUMPTIONS}) == len(ASSUMPTIONS) == 2 * 3 * 3 + 2 + 1


COUNTS = st.integers(0, 10**6)


@given(st.builds(LAYER._replace, active=COUNTS, macs=COUNTS, acs=COUNTS, outputs=COUNTS))
def test_less_is_never_dearer(layer):
    """Fewer bits of potentials, none of them moved, on chip, without leaks: each saves."""
    row = pd.DataFrame([layer, POTENTIALS])

    def total(**changed: object) -> float:
        return accesses(row, NAMED._replace(**changed)).sum()

    assert total(width=8) <= total(width=16) <= total()
    assert total(potentials=KEPT) <= total()
    assert total(smaller="to_0") <= total(smaller="to_1_KB") <= total()
    assert total() <= min(total(weights=LOADED), total(weights=DRAM), total(leaking=True))


@given(st.integers(2, 31), st.floats(0, 1))
def test_a_ratio_lies_between_those_of_its_extremes(bits, share):
    """A part that costs less, as DRAM of another make, cannot lead out of the range."""
    wide, narrow = (pd.DataFrame([LAYER._replace(bits=each)]) for each in (32, bits))

    def costs(weights: str) -> list[float]:
        return [accesses(rows, NAMED._replace(weights=weights)).sum() for rows in (wide, narrow)]

    (least_wide, least), (most_wide, most) = costs("SRAM"), costs(LOADED)
    between = (least_wide + share * (most_wide - least_wide)) / (least + share * (most - least))
    ends = sorted([least_wide / least, most_wide / most])
    assert ends[0] - 1e-9 <= between <= ends[1] + 1e-9
