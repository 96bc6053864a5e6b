"""Every view of energy by hand, its constants and what holds for any network."""

import itertools
import math

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.op_counter.analytical_energy import estimate_lemaire_energy
from torch import nn

from hetspike.cost import constants
from hetspike.cost.constants import CONSTANTS
from hetspike.cost.energy import (
    ENERGY_VIEWS,
    REFERENCES,
    accumulator_bits,
    add,
    as_fp16,
    as_int8,
    as_scheme,
    energies,
    memory,
    multiply,
    ops,
    shift,
)
from hetspike.cost.kinds import NEURONS, OTHER, PRODUCTS, SYNAPSES, UNCOUNTED
from hetspike.cost.memory import NAMED, access, accesses
from hetspike.cost.operations import Operation, predict_and_count
from hetspike.cost.sizes import compression, effective_bits
from hetspike.data.samples import Samples
from hetspike.inspection.layers import quantizable_layers
from hetspike.networks.spikformer import Spikformer
from hetspike.quantization.levels import SCHEMES
from hetspike.quantization.quantizer import Choice

# event counts up to 7, spikes, integers up to 3, spikes times spikes, potentials, batch norm
FIRST = Operation(
    *("first", SYNAPSES, "uniform", 4, 64, 8, 16, 16),
    **{"inputs": 100, "active": 20, "not_binary": 5, "value_bits": 3},
    **{"outputs": 32, "dense": 400, "macs": 20, "acs": 60},
)
SPIKES = Operation(
    *("spikes", SYNAPSES, "pot", 4, 128, 4, 16, 64),
    **{"inputs": 90, "active": 10, "value_bits": 1, "outputs": 16, "dense": 500, "acs": 40},
)
INTEGERS = Operation(
    *("integers", SYNAPSES, "pot", 3, 32, 4, 16, 8),
    **{"inputs": 60, "active": 6, "not_binary": 2, "value_bits": 2},
    **{"outputs": 4, "dense": 300, "macs": 8, "acs": 16},
)
ATTENTION = Operation("attention", PRODUCTS, value_bits=5, acs=30)
POTENTIALS = Operation("neurons", NEURONS, inputs=200, active=12, value_bits=1, outputs=50)
NORMS = Operation("other", OTHER, numbers=5, number_bits=32)
NETWORK = pd.DataFrame([FIRST, SPIKES, INTEGERS, ATTENTION, POTENTIALS, NORMS])


@st.composite
def synapses(draw: st.DrawFn) -> Operation:
    """A quantized layer at any scheme and width; inputs are spikes, or integers among them."""
    scheme = draw(st.sampled_from(sorted(SCHEMES)))
    bits = draw(st.sampled_from(list(SCHEMES[scheme].widths)))
    pairs, binary = draw(st.integers(0, 10**6)), draw(st.booleans())
    macs = 0 if binary else draw(st.integers(0, pairs))
    return Operation(
        *("layer", SYNAPSES, scheme, bits, draw(st.integers(1, 10**6)), 2, 16),
        fan_in=draw(st.integers(1, 4608)),
        active=draw(st.integers(0, 10**5)),
        value_bits=1 if binary else draw(st.integers(1, 8)),
        outputs=draw(st.integers(1, 10**5)),
        dense=10**6,
        macs=macs,
        acs=pairs - macs,
    )


NETWORKS = st.lists(synapses(), min_size=1, max_size=4).map(pd.DataFrame)


def row_of(operation: Operation, **changed: object) -> pd.Series:
    return pd.Series(operation._replace(**changed)._asdict())


def test_constants_are_frozen():
    assert CONSTANTS == {
        "float32": {"multiply": 3.7, "add": 0.9},
        "float16": {"multiply": 1.1, "add": 0.4},
        "fixed_point": {"add": 0.003125, "multiply": [0.002994791667, 0.001041666667]},
        "memory": {
            "word": 64,
            "sram": [[8192, 10.0], [32768, 20.0], [1048576, 100.0]],
            "number": 32,
            "dram": 2600.0,
            "leakage": 82.0,
            "time": 1.0,
            "smaller": {"as_8_KB": [], "to_1_KB": [[1024, 2.61]], "to_0": [[0, 0.0]]},
        },
    }


def test_every_constant_names_a_source_that_the_file_states():
    text = constants.files("hetspike.cost").joinpath("energy.toml").read_text()
    head, *tables = text.split("\n[")
    stated = {line[2:].split(":")[0] for line in head.splitlines() if line.startswith("# ")}
    sources = {"Horowitz", "QKeras", "Lemaire", "CACTI", "Ours"}
    assert sources < stated
    lines = [line for table in tables for line in table.splitlines()[1:]]
    smaller = CONSTANTS["memory"]["smaller"]
    every = [*CONSTANTS.values(), smaller]
    for name in (name for table in every for name in table if name != "smaller"):
        found = [at for at, line in enumerate(lines) if line.startswith(f"{name} =")]
        assert found
        for at in found:  # beside the number, or in the comment above it
            above = next(n for n in range(at - 1, -2, -1) if n < 0 or lines[n][:1] != "#")
            comment = " ".join(lines[above + 1 : at + 1])
            assert any(source in comment for source in sources), comment


@pytest.mark.parametrize(
    ("fit", "of", "measured", "off"),
    [
        (add, (8,), 0.03, 0.0051),  # the fit passes through 32 bits and zero
        (add, (32,), 0.1, 1e-9),
        (multiply, (8, 8), 0.2, 1e-9),
        (multiply, (32, 32), 3.1, 1e-9),
        (access, (64, 8 * 1024), 10, 0),
        (access, (64, 32 * 1024), 20, 0),
        (access, (64, 1024 * 1024), 100, 0),
        (access, (64, 1), 10, 0),
    ],
)
def test_fits_meet_what_horowitz_measured(fit, of, measured, off):
    assert fit(*of) == pytest.approx(measured, abs=off)


def test_operations_between_the_measured_widths_by_hand():
    assert multiply(4, 16) == pytest.approx(multiply(8, 8))  # the geometric mean of widths counts
    # B = sqrt(2^3 * 2) = 4, added at 4 log10(4) = 2.408 bits
    assert shift(3, 2) == pytest.approx(0.003125 * 4 * math.log10(4))
    assert shift(1, 2) == pytest.approx(0.003125 * 2 * math.log10(2))
    assert shift(1, 0) == 0  # B = 0: nothing to shift
    assert access(32, 4096) == access(32, 8192) == 5  # half a word; no memory is smaller
    assert access(64, 20 * 1024) == pytest.approx(15)  # half way from 8 to 32 KB
    assert access(3, 10**9) == pytest.approx(3 / 64 * 100)  # beyond the last point


def test_accumulators_by_hand():
    uniform = {"scheme": "uniform", "bits": 4, "fan_in": 64}
    assert accumulator_bits(row_of(SPIKES, **uniform)) == 4 + 6
    assert accumulator_bits(row_of(SPIKES)) == 8 + 6  # exponents of 4 bits span 8
    assert accumulator_bits(row_of(SPIKES, fan_in=65)) == 8 + 7
    assert accumulator_bits(row_of(FIRST)) == 4 + 3 + 4  # inputs of 3 bits
    assert accumulator_bits(row_of(SPIKES, scheme="binary", bits=1, fan_in=1)) == 2  # +1 and -1
    assert accumulator_bits(row_of(ATTENTION)) == 5  # as seen


@given(synapses())
def test_no_sum_leaves_its_accumulator(operation):
    magnitudes, _ = SCHEMES[operation.scheme].levels(operation.bits).integers
    largest_input = 2**operation.value_bits - 1 if operation.macs else 1
    largest_sum = operation.fan_in * max(magnitudes) * largest_input
    assert largest_sum <= 2 ** (accumulator_bits(row_of(operation)) - 1) - 1


@given(st.integers(3, 8), st.integers(1, 4608))
def test_at_equal_bits_spikes_cost_more_with_exponents_than_with_multiples(bits, fan_in):
    pot, uniform = (
        row_of(SPIKES, scheme=scheme, bits=bits, fan_in=fan_in) for scheme in ("pot", "uniform")
    )
    assert accumulator_bits(pot) - accumulator_bits(uniform) == 2 ** (bits - 1) - bits
    assert ops(pot) > ops(uniform)


def test_weight_bits_by_hand():
    assert list(energies(NETWORK)["bits_linear"]) == [64 * 4, 128 * 4, 32 * 3, 0, 0, 0]


def test_field_by_hand():
    # the first layer multiplies at every place, all others add where inputs are not zero
    assert list(energies(NETWORK)["field"]) == pytest.approx(
        [4.6 * 400, 0.9 * 40, 0.9 * 24, 0.9 * 30, 0, 0]
    )
    of_spikes = NETWORK.iloc[[1, 2]]
    assert list(energies(of_spikes)["field"]) == pytest.approx([0.9 * 40, 0.9 * 24])


def test_ops_by_hand():
    assert list(energies(NETWORK)["ops"]) == pytest.approx(
        [
            20 * multiply(4, 3) + 80 * 0.003125 * 11,  # spikes are added as they are
            40 * 0.003125 * 14,
            8 * shift(3, 2) + 24 * 0.003125 * 9,  # exponents of 3 bits span 4; 4 + 2 + 3
            30 * 0.003125 * 5,
            0,
            0,
        ]
    )


@given(synapses(), st.floats(0, 1))
def test_an_input_of_1_is_never_dearer_than_one_that_is_weighed(operation, share):
    spikes = int(share * operation.macs)
    other = operation._replace(macs=operation.macs - spikes, acs=operation.acs + spikes)
    for view in ENERGY_VIEWS.values():
        of_integers, of_spikes = (
            view.energy(pd.Series({**each._asdict(), "first": True})) for each in (operation, other)
        )
        assert of_spikes <= of_integers * (1 + 1e-12)


def test_products_of_integers_are_multiplied_and_those_with_a_spike_added():
    # factors of at most 5 bits, as the largest sum; or in float
    both = row_of(ATTENTION, macs=4, acs=26)
    assert ops(both) == pytest.approx(4 * multiply(5, 5) + 30 * 0.003125 * 5)
    in_float = row_of(ATTENTION, scheme="float", bits=32, macs=4, acs=26)
    assert ops(in_float) == pytest.approx(3.7 * 4 + 0.9 * 30)


def test_what_is_not_counted_has_no_energy_and_hides_none():
    unknown = Operation("softmax", UNCOUNTED, inputs=9, macs=math.nan, acs=math.nan)
    spent = energies(pd.DataFrame([unknown, *NETWORK.itertuples(index=False)]))
    assert spent.iloc[0].isna().all()
    pd.testing.assert_frame_equal(spent.iloc[1:].reset_index(drop=True), energies(NETWORK))


def test_the_first_layer_is_the_first_row_of_synapses():
    before = NETWORK.iloc[[3, 4, 0, 1, 2]]
    assert list(energies(before)["field"]) == pytest.approx(
        [0.9 * 30, 0, 4.6 * 400, 0.9 * 40, 0.9 * 24]
    )


def test_a_table_without_rows_has_no_energies():
    assert energies(NETWORK.iloc[:0]).shape == (0, len(ENERGY_VIEWS))


def test_weights_that_another_row_stores_are_read_from_a_memory_of_their_size():
    own, others = row_of(SPIKES, weights=2**16), row_of(SPIKES, weights=0, shared=2**16)
    assert memory(others) == memory(own) > memory(row_of(SPIKES, weights=0))


def test_integers_of_ternary_weights_are_added_only():
    ternary = row_of(INTEGERS, scheme="uniform", bits=2)
    assert ops(ternary) == pytest.approx(24 * add(2 + 2 + 3))
    assert ops(row_of(INTEGERS, scheme="pot", bits=2)) == ops(ternary)


def test_memory_by_hand():
    unit = 10 / 64  # pJ a bit; all memories here have less than 8 KB
    assert list(energies(NETWORK)["memory"]) == pytest.approx(
        [
            # 20 events; 80 weights of 4 bits; 80 potentials, read and written
            unit * (20 * 32 + 80 * 4 + 160 * 32),
            unit * (10 * 32 + 40 * 4 + 80 * 32),
            unit * (6 * 32 + 24 * 3 + 48 * 32),
            0,
            # 12 spikes written, 200 potentials read and written
            unit * (12 * 32 + 400 * 32),
            0,
        ]
    )


def test_total_is_operations_and_memory():
    spent = energies(NETWORK)
    assert list(spent["total"]) == list(spent["ops"] + spent["memory"])


def test_layers_in_float_cost_what_float_costs():
    in_float = NETWORK.assign(scheme="float", bits=[32, 32, 32, 32, 0, 0])
    spent = energies(in_float)
    # 0.9 an addition, 3.7 more where inputs are no spikes
    assert list(spent["ops"]) == pytest.approx(
        [4.6 * 20 + 0.9 * 60, 0.9 * 40, 4.6 * 8 + 0.9 * 16, 0.9 * 30, 0, 0]
    )
    wider = spent["memory"] - energies(NETWORK)["memory"]
    assert wider.iloc[1] == pytest.approx(40 * (access(32, 128 * 4) - access(4, 128 / 2)))
    assert list(wider.iloc[3:]) == [0, 0, 0]
    assert list(spent["field"]) == list(energies(NETWORK)["field"])


def test_energies_keep_the_rows_of_their_table():
    shuffled = NETWORK.set_axis([7, 3, 5, 1, 0, 9])
    spent = energies(shuffled)
    assert list(spent.index) == [7, 3, 5, 1, 0, 9]
    assert list(spent) == list(ENERGY_VIEWS)


class Spiking(nn.Module):
    """1x1 convolution -> LIF -> linear layer -> LIF, where both counts define the same accesses."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = layer.Conv2d(2, 6, 1, bias=False, step_mode="m")
        self.hidden = neuron.LIFNode(step_mode="m", v_threshold=0.1)
        self.linear = layer.Linear(6 * 16, 5, bias=False, step_mode="m")
        self.output = neuron.LIFNode(step_mode="m", v_threshold=0.1)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        functional.reset_net(self)
        x = self.hidden(self.conv(frames)).flatten(2)
        return self.output(self.linear(x)).mean(0)


def test_memory_counts_the_accesses_of_spikingjellys_estimator():
    """Of the same formulas [Lemaire 2022], on one recording of spikes.

    What differs by design: its fan-out of a convolution ignores borders and strides (none here),
    it reads biases (none here), its fifo of events holds 1000, and it charges for 32 bits what
    Horowitz measured for 64, so that its energies are twice ours.
    """
    torch.manual_seed(0)
    model = Spiking()
    frames = (torch.rand(1, 3, 2, 4, 4) < 0.4).to(torch.uint8)
    theirs = estimate_lemaire_energy(model, frames.transpose(0, 1).float())
    _, operations = predict_and_count(model, Samples(frames, torch.zeros(1)), {})
    table = pd.DataFrame(operations)
    layers, neurons = (table[table["kind"] == kind] for kind in (SYNAPSES, NEURONS))
    assert (neurons["active"] > 0).all()
    counted = {
        "read_params_bytes": layers["acs"].sum(),
        "read_potential_bytes": layers["acs"].sum() + neurons["inputs"].sum(),
        "write_potential_bytes": layers["acs"].sum() + neurons["inputs"].sum(),
        "read_in_bytes": layers["active"].sum(),
        "write_out_bytes": neurons["active"].sum(),
    }
    assert {name: theirs.counts[name] for name in counted} == {
        name: 4 * count for name, count in counted.items()
    }
    # no memory of no bytes costs anything there: without events and potentials weights are left
    lemaire = NAMED._replace(smaller="to_0")
    parameters = accesses(table.assign(active=0, outputs=0), lemaire).sum()
    potentials = accesses(table.assign(active=0, weights=0), lemaire).sum()
    assert theirs.breakdown_pj["params_pj"] == pytest.approx(2 * parameters)
    assert theirs.breakdown_pj["potential_pj"] == pytest.approx(2 * potentials)


@given(NETWORKS)
def test_field_is_blind_to_bits(layers):
    other = layers.assign(bits=8, scheme="uniform")
    assert list(energies(other)["field"]) == list(energies(layers)["field"])


@given(NETWORKS)
def test_weight_bits_repeat_the_compression_where_all_layers_are_quantized(layers):
    """The observation on which the view rests: both are 32 / effective bits."""
    spent, in_float = (energies(each)["bits_linear"].sum() for each in (layers, at_float(layers)))
    assert in_float / spent == pytest.approx(compression(layers))


def at_float(layers: pd.DataFrame) -> pd.DataFrame:
    return layers.assign(scheme="float", bits=32)


@given(NETWORKS, st.floats(1, 10))
def test_more_active_inputs_never_cost_less(layers, times):
    for network in (layers, at_float(layers)):
        busier = network.assign(
            **{name: times * network[name] for name in ("active", "macs", "acs")}
        )
        assert (energies(busier) >= energies(network) * (1 - 1e-12)).all(axis=None)


@given(NETWORKS)
def test_float_never_costs_less_than_any_scheme(layers):
    assert (energies(at_float(layers)) >= energies(layers)).all(axis=None)


def test_a_half_costs_half_the_bits_and_its_own_operations():
    in_float = NETWORK.assign(scheme=["float"] * 4 + ["", ""], bits=[32, 32, 32, 32, 0, 0])
    halves = as_fp16(in_float)
    assert list(halves["bits"]) == [16, 16, 16, 16, 0, 0]
    assert list(halves["number_bits"]) == [16, 16, 16, 0, 0, 32]
    spent = energies(halves)
    # 0.4 an addition, 1.1 more where inputs are no spikes
    assert list(spent["ops"]) == pytest.approx(
        [1.5 * 20 + 0.4 * 60, 0.4 * 40, 1.5 * 8 + 0.4 * 16, 0.4 * 30, 0, 0]
    )
    saved = energies(in_float)["memory"] - spent["memory"]
    pairs = [80, 40, 24, 0, 0, 0]  # each reads 16 bits less
    assert list(saved) == pytest.approx([each * 16 * 10 / 64 for each in pairs])
    assert list(spent["field"]) == list(energies(in_float)["field"])
    pd.testing.assert_frame_equal(as_fp16(NETWORK), NETWORK)  # nothing is in float


@given(NETWORKS)
def test_references_are_ordered_by_their_bits(layers):
    charged = [energies(each.charged(at_float(layers))) for each in REFERENCES.values()]
    assert list(REFERENCES) == ["fp32", "fp16", "int8"]
    for wider, narrower in itertools.pairwise(charged):
        assert (wider >= narrower).all(axis=None)


def test_as_scheme_stores_every_layer_alike():
    in_float = NETWORK.assign(scheme=["float"] * 4 + ["", ""], bits=[32, 32, 32, 32, 0, 0])
    pot = as_scheme(in_float, "pot", 3)
    assert list(pot["scheme"]) == ["pot"] * 3 + [""] * 3
    assert list(pot["bits"]) == [3, 3, 3, 0, 0, 0]
    assert list(pot["number_bits"]) == [16, 16, 16, 0, 0, 32]


def test_as_int8_is_the_network_measured_at_8_bits():
    torch.manual_seed(0)
    model = Spikformer(3, width=16, depth=1, heads=2, pools=(True, True, False, False))
    frames = torch.randint(0, 3, (2, 2, 2, 16, 16), dtype=torch.uint8)
    all_at_8 = dict.fromkeys(quantizable_layers(model), Choice("uniform", 8))
    in_float, quantized = (
        pd.DataFrame(predict_and_count(model, Samples(frames, torch.zeros(2)), assignment)[1])
        for assignment in ({}, all_at_8)
    )
    int8 = as_int8(in_float)
    pd.testing.assert_frame_equal(int8, quantized)
    assert effective_bits(int8) == 8 and effective_bits(in_float) == 32
    pd.testing.assert_frame_equal(as_int8(int8), int8)  # nothing in float is left


@pytest.mark.parametrize(
    ("row", "scales"),
    [
        ({"weights": 128, "shared": 0, "fan_in": 64}, 2),
        ({"weights": 0, "shared": 128, "fan_in": 64}, 2),  # another row stores the weights
        ({"weights": 8, "shared": 0, "fan_in": 1}, 8),
    ],
)
def test_as_int8_stores_a_scale_a_channel(row, scales):
    in_float = SPIKES._replace(scheme="float", bits=32, numbers=4, number_bits=32, **row)
    (at_8,) = as_int8(pd.DataFrame([in_float])).to_dict("records")
    assert (at_8["numbers"], at_8["number_bits"]) == (4 + scales, 16)


def test_as_int8_leaves_quantized_layers_as_they_are():
    in_float = FIRST._replace(scheme="float", bits=32, numbers=4, number_bits=32)
    mixed = pd.DataFrame([in_float, SPIKES])
    assert as_int8(mixed).iloc[0].equals(pd.Series(FIRST._replace(bits=8)._asdict()))
    assert as_int8(mixed).iloc[1].equals(mixed.iloc[1])
    assert mixed.loc[0, "scheme"] == "float"  # a copy
