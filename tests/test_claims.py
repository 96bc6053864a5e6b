import math
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from projects import shipped
from scipy import stats

from hetspike.errors import UserError
from hetspike.names import is_stand_in
from hetspike.results.claims import (
    BUDGETED,
    Claim,
    Claims,
    claims_table,
    energy_claims_table,
    paper_table,
    parse_claims,
    verdict,
)
from hetspike.results.cost_tables import RATIOS
from hetspike.results.tables import RESULT_COLUMNS
from hetspike.search.space import USED_UP
from hetspike.study.study import parse_study

CLAIMS = Path(__file__).parents[1] / "config" / "claims.yaml"
CLAIM = {
    "id": "C2",
    "sentence": "The network loses less than one point.",
    "datasets": ["sim-a", "not-run-yet"],
    "cell": "dnas-3",
    "measure": "drop",
    "at_most": 1.0,
    "tolerance": 0,
    "why": "the claim's own bound",
    "source": "abstract",
}
PAPER = {
    "dataset": "DVS128 Gesture",
    "datasets": ["dvs-gesture", "sim-a"],
    "cell": "dnas-3",
    "accuracy": 97.57,
    "recordings": 288,
    "energy": 8.72,
}


ENERGY = {
    "id": "C4",
    "sentence": "Energy falls 8 times",
    "datasets": ["sim-a", "not-run-yet"],
    "cell": "dnas-3",
    "factor": 8.0,
    "source": "abstract",
}


SAMPLE = {"seeds": 8, "recordings": 3000, "sd_seeds": 1, "half_width": 1, "power": 0.5}
FACTOR = {"equals": 8.0, "tolerance": 2.0}


def claim(**condition) -> Claim:
    """CLAIM with another condition, and perhaps of another measure."""
    return Claim(**{key: CLAIM[key] for key in CLAIM if key != "at_most"} | condition)


def document(**changes) -> dict:
    energy = {"energy_tolerance": 0.25, "energy_claims": []}
    return {"paper": [PAPER], "claims": [{**CLAIM, **changes}], "sample": SAMPLE, **energy}


def energy_document(**changes) -> dict:
    return document() | {"claims": [], "energy_claims": [{**ENERGY, **changes}]}


@pytest.fixture
def published() -> Claims:
    return parse_claims(yaml.safe_load(CLAIMS.read_text(encoding="utf-8")), "config/claims.yaml")


@pytest.fixture
def results() -> pd.DataFrame:
    return pd.DataFrame(
        [
            ("sim-a", "dnas-3", 0.4, -0.6, 0.9, 10.5, 10.0),
            ("sim-a", "float-tuned", *[math.nan] * 3, 10.1, 10.0),
        ],
        columns=[
            *("dataset", "cell", "drop", "drop_low", "drop_high"),
            *("accuracy_low", "chance"),
        ],
    )


@pytest.mark.parametrize(
    ("condition", "interval", "expected"),
    [
        ({"at_most": 1.0}, (-0.5, 0.9), "supported"),
        ({"at_most": 1.0}, (0.2, 1.0), "supported"),  # the bound itself satisfies
        ({"at_most": 1.0}, (0.2, 1.1), "inconclusive"),
        ({"at_most": 1.0}, (1.0, 1.5), "inconclusive"),  # touches the bound
        ({"at_most": 1.0}, (1.1, 1.5), "not supported"),
        ({"at_least": 8.7}, (8.7, 8.7), "supported"),
        ({"at_least": 8.7}, (8.6, 9.0), "inconclusive"),
        ({"at_least": 8.7}, (8.0, 8.7), "inconclusive"),  # touches the bound
        ({"at_least": 8.7}, (8.0, 8.6), "not supported"),
        ({"at_least": 8.75, "tolerance": 0.25}, (8.5, 9.0), "supported"),
        ({"at_least": 8.75, "tolerance": 0.25}, (8.4, 9.0), "inconclusive"),
        ({"at_least": 8.75, "tolerance": 0.25}, (8.0, 8.4), "not supported"),
        ({"at_most": 3.5, "tolerance": 0.25}, (3.5, 3.75), "supported"),
        ({"at_most": 3.5, "tolerance": 0.25}, (3.5, 3.8), "inconclusive"),
        ({"equals": 8.5, "tolerance": 0.25}, (8.25, 8.75), "supported"),
        ({"equals": 8.5, "tolerance": 0.25}, (8.2, 8.5), "inconclusive"),
        ({"equals": 8.5, "tolerance": 0.25}, (8.5, 8.8), "inconclusive"),
        ({"equals": 8.5, "tolerance": 0.25}, (8.0, 9.0), "inconclusive"),
        ({"equals": 8.5, "tolerance": 0.25}, (8.0, 8.2), "not supported"),
        ({"equals": 8.5, "tolerance": 0.25}, (58.0, 59.0), "not supported"),
        ({"at_most": 1.0}, None, "not run"),
        ({**FACTOR, "measure": "energy_ops"}, (6.0, 10.0), "met"),  # the bounds themselves
        ({**FACTOR, "measure": "energy_ops"}, (5.9, 10.0), "inconclusive"),
        ({**FACTOR, "measure": "energy_ops"}, (9.0, 10.1), "inconclusive"),
        ({**FACTOR, "measure": "energy_ops"}, (1.0, 58.0), "inconclusive"),
        ({**FACTOR, "measure": "energy_ops"}, (10.1, 58.0), "exceeded"),
        ({**FACTOR, "measure": "energy_ops_int8"}, (1.0, 5.9), "missed"),
        ({**FACTOR, "measure": "energy_ops_int8"}, None, "not run"),
        ({**FACTOR, "measure": "compression"}, (6.0, 10.0), "supported"),
    ],
)
def test_verdicts_by_hand(condition, interval, expected):
    assert verdict(claim(**condition), interval) == expected


@given(st.tuples(*[st.floats(-10, 10)] * 2).map(sorted), st.floats(-10, 10))
def test_at_most_and_at_least_exclude_each_other(interval, bound):
    """Off the bound, one is supported exactly where the other is not."""
    low, high = interval
    below = verdict(claim(at_most=bound), (low, high))
    above = verdict(claim(at_least=bound), (low, high))
    opposite = {"supported": "not supported", "not supported": "supported"}
    if bound not in (low, high):
        assert above == opposite.get(below, "inconclusive")


@given(st.tuples(*[st.floats(-10, 10)] * 2).map(sorted), st.floats(-10, 10), st.floats(0, 5))
def test_a_value_is_met_where_it_is_neither_missed_nor_exceeded(interval, value, tolerance):
    """From both sides the worse of the two verdicts counts, and two doubts are one."""
    both, least, most = (
        verdict(claim(**{how: value, "tolerance": tolerance}), interval)
        for how in ("equals", "at_least", "at_most")
    )
    if "not supported" in (least, most):
        assert both == "not supported"
    else:
        assert both == ("supported" if least == most == "supported" else "inconclusive")


@given(st.tuples(*[st.floats(-10, 10)] * 4).map(sorted), st.floats(-10, 10))
def test_a_wider_interval_never_decides_more(ends, bound):
    low, inner_low, inner_high, high = ends
    wide = verdict(claim(at_most=bound), (low, high))
    if wide != "inconclusive":
        assert verdict(claim(at_most=bound), (inner_low, inner_high)) == wide


def test_claims_table_by_hand(results):
    table = claims_table(parse_claims(document(), "claims.yaml"), results)
    assert table.columns.tolist() == [
        *("id", "sentence", "dataset", "cell", "measured", "expected", "basis", "verdict"),
    ]
    assert table.values.tolist() == [
        [
            *("C2", CLAIM["sentence"], "sim-a", "dnas-3"),
            *("0.4 pp [-0.6, 0.9]", "at most 1 pp", "measurement", "supported"),
        ],
        [
            *("C2", CLAIM["sentence"], "not-run-yet", "dnas-3"),
            *("", "at most 1 pp", "measurement", "not run"),
        ],
    ]


@pytest.mark.parametrize(("chance", "expected"), [(10.0, "supported"), (10.1, "inconclusive")])
def test_who_guesses_has_nothing_to_lose(results, chance, expected):
    table = claims_table(
        parse_claims(document(), "claims.yaml"), results.assign(chance=chance)
    ).set_index("dataset")
    assert table.loc["sim-a", "verdict"] == expected
    assert table.loc["not-run-yet", "verdict"] == "not run"


def test_chance_says_nothing_about_sizes():
    of_size = claim(at_most=3.67).model_copy(update={"measure": "effective_bits"})
    assert verdict(of_size, (3.0, 3.1), learnt=False) == "supported"


@pytest.mark.parametrize("measure", ["effective_bits", "compression", "energy_bits_linear"])
def test_what_the_budget_settles_says_so(measure):
    assert claim(at_most=3.67, measure=measure).basis == "budget"
    assert claim(at_most=3.67, measure="energy_ops").basis == "measurement"


def test_conditions_in_words():
    assert claim(at_least=8.705).expected == "at least 8.705 pp"
    assert claim(at_least=8.71, tolerance=0.005).expected == "at least 8.705 pp"
    assert claim(at_most=3.67, tolerance=0.005).expected == "at most 3.675 pp"
    factor = {"equals": 8.72, "tolerance": 0.13, "measure": "compression"}
    assert claim(**factor).expected == "8.72x ± 0.13"
    energy = {"equals": 8.72, "tolerance": 0.2 * 8.72, "measure": "energy_ops"}
    assert claim(**energy).expected == "8.72x ± 20 %"


def test_a_claim_on_the_references_own_drop_is_refused(results):
    claims = parse_claims(document(cell="float-tuned"), "claims.yaml")
    said = "^claim C2: float-tuned has no drop: claim another measure or another cell$"
    with pytest.raises(UserError, match=said):
        claims_table(claims, results)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (document(measure="speed"), "claims.yaml: key 'claims.0.measure': .*'accuracy'"),
        (document(at_least=2.0), "claims.0: .*one of at_most, at_least and equals"),
        (document(equals=2.0), "claims.0: .*one of at_most, at_least and equals"),
        (document(at_most=None), "claims.0: .*one of at_most, at_least and equals"),
        (document(tolerance=-0.1), "key 'claims.0.tolerance': .*greater than or equal to 0"),
        (document(at_msot=1.0), "unknown key 'claims.0.at_msot'"),
        (document(datasets=[]), "key 'claims.0.datasets': "),
        (document() | {"claims": [CLAIM, CLAIM]}, "two claims have the id C2"),
        (document(id="C4-ops") | {"energy_claims": [ENERGY]}, "two claims have the id C4-ops"),
        (document() | {"energy_tolerance": 0}, "key 'energy_tolerance': .*greater than 0"),
        (document() | {"energy_tolerance": 1}, "key 'energy_tolerance': .*less than 1"),
        (energy_document(factor=0), "key 'energy_claims.0.factor': .*greater than 0"),
        (energy_document(measure="energy_ops"), "unknown key 'energy_claims.0.measure'"),
        ({"paper": []}, "claims.yaml: key 'claims' is missing"),
        (None, "claims.yaml: "),
    ],
)
def test_bad_files_name_the_key_in_one_line(bad, message):
    with pytest.raises(UserError, match=message) as raised:
        parse_claims(bad, "claims.yaml")
    assert "\n" not in str(raised.value)


def test_claims_do_not_change(published):
    with pytest.raises(ValueError, match="frozen"):
        published.claims[0].at_most = 99.0


def test_paper_table(published):
    table = paper_table(published).set_index("dataset")
    gesture = ["fisher-3.67", "DVS128 Gesture", 97.57, 8.72]
    assert table.loc["sim-gestures"].tolist() == table.loc["dvs-gesture"].tolist() == gesture
    assert table.loc["sim-orbit-textures", "paper_energy"] == 10.2
    assert table.columns.tolist() == ["cell", "paper_dataset", "paper_accuracy", "paper_energy"]


def test_published_claims_can_be_measured(published):
    for each in published.all:
        assert {each.measure, f"{each.measure}_low", f"{each.measure}_high"} <= set(RESULT_COLUMNS)
    assert {each.id.split("-")[0] for each in published.all} == {
        *("C2", "C3", "C4", "C5", "S1", "S2", "S3", "S4", "S5")
    }


def test_published_claims_cover_paper_and_stand_in_alike(published):
    """Absolute accuracies are claimed on the paper's recordings alone, all else on both."""
    protocols = {frozenset(result.datasets) for result in published.paper}
    for each in published.all:
        stand_ins = [name for name in each.datasets if is_stand_in(name)]
        if each.measure == "accuracy":
            assert not stand_ins
        elif each.source == "this package":
            assert all({*each.datasets} & protocol for protocol in protocols)
        else:
            assert stand_ins and any({*each.datasets} <= protocol for protocol in protocols)


def test_what_follows_from_the_budget_says_so(published):
    for each in published.all:
        says = "(follows from the budget)" in each.sentence
        assert says == (each.measure in BUDGETED), each.id


def test_claims_on_memory_name_its_potentials(published):
    for each in published.all:
        says = "(32-bit potentials)" in each.sentence
        view, _ = RATIOS.get(each.measure, ("", ""))
        assert says == (view in ("memory", "total")), each.id


def test_the_planned_sample_tells_what_it_says(published):
    """The mean of so many independent drops: half-width and power of Student's t."""
    plan = published.sample
    error, degrees = plan.sd_seeds / plan.seeds**0.5, plan.seeds - 1
    bound = stats.t.ppf(0.975, degrees)
    assert plan.half_width == pytest.approx(bound * error, abs=0.005)
    assert plan.power == pytest.approx(stats.nct.sf(bound, degrees, 1 / error), abs=0.005)
    assert plan.half_width < 1


def test_the_study_that_decides_has_the_planned_sample(published):
    study = parse_study(shipped("decisive"))
    assert len(study.seeds) == published.sample.seeds
    tests = {plan.source["test"] for plan in study.datasets.values()}
    assert tests == {published.sample.recordings}
    claimed = {each.cell for each in published.claims if each.source == "this package"}
    assert claimed < {row.name for row in study.rows}


def test_the_tolerance_of_an_accuracy_is_binomial(published):
    reported = {name: result for result in published.paper for name in result.datasets}
    claimed = [each for each in published.all if each.measure == "accuracy"]
    for each in claimed:
        result = reported[each.datasets[0]]
        share = result.accuracy / 100
        error = 100 * math.sqrt(share * (1 - share) / result.recordings)
        assert each.at_least == result.accuracy
        assert each.tolerance == pytest.approx(1.96 * error, abs=0.005)
        assert f"standard errors of {error:.2f} points" in each.why
        count = round(result.recordings * share)
        assert f"{count} of {result.recordings}" in each.why
        assert count / result.recordings == pytest.approx(share, abs=0.0005)
    assert [round(each.tolerance, 2) for each in claimed] == [2.42, 1.78, 2.46]


def test_a_printed_figure_is_held_to_its_last_digit(published):
    for each in published.all:
        if each.measure == "effective_bits":
            _, decimals = str(each.at_most).split(".")
            assert each.tolerance == pytest.approx(0.5 * 10 ** -len(decimals)), each.id


def test_a_compression_is_claimed_from_both_sides_as_far_as_a_budget_is_used(published):
    """Half a unit of the last digit, and what 0.05 bits less make of it, in hundredths."""
    compressions = [each for each in published.all if each.measure == "compression"]
    for each in compressions:
        _, decimals = str(each.equals).split(".")
        unused = 32 / (32 / each.equals - USED_UP)
        exact = 0.5 * 10 ** -len(decimals) + unused - each.equals
        assert exact <= each.tolerance < exact + 0.01, each.id
        assert f"up to {unused:.2f}x where {USED_UP} bits are left unused" in each.why
    assert {each.equals: each.tolerance for each in compressions} == {8.71: 0.13, 10.19: 0.17}


def test_an_energy_factor_is_one_claim_under_each_view_and_against_each_reference():
    claims = parse_claims(energy_document(), "claims.yaml").all
    assert [each.measure for each in claims] == list(RATIOS)
    assert {(each.equals, each.tolerance, each.expected) for each in claims} == {
        (8.0, 2.0, "8x ± 25 %")
    }
    told = {each.id: each.sentence for each in claims}
    assert told["C4-bits"] == (
        "Energy falls 8 times against fp32. View: Weight bits (follows from the budget)."
    )
    assert told["C4-memory-int8"] == (
        "Energy falls 8 times against int8. View: Memory (32-bit potentials)."
    )


def test_published_energy_factors_are_the_papers_and_met_within_a_fifth(published):
    reported = {name: result for result in published.paper for name in result.datasets}
    for each in published.energy_claims:
        for name in each.datasets:
            assert (each.factor, each.cell) == (reported[name].energy, reported[name].cell)
    assert published.energy_tolerance == 0.2
    # what the issue of a one-sided claim was: 58x and 8.74x do not show that 5.69x is right
    (caltech,) = (each for each in published.all if each.id == "C4-caltech-ops")
    for factor, expected in ((58, "exceeded"), (8.74, "exceeded"), (1.49, "missed"), (5, "met")):
        assert verdict(caltech, (factor, factor)) == expected
    assert caltech.expected == "5.69x ± 20 %"


@pytest.mark.parametrize("budget", [3.67, 3.14])
def test_every_search_that_keeps_its_budget_meets_what_follows_from_it(published, budget):
    """Bits from the budget down to the least that a search leaves of it."""
    for each in published.all:
        if each.measure in BUDGETED and each.cell.endswith(f"{budget}") and each.equals != 5.69:
            for bits in (budget, budget - USED_UP):
                value = bits if each.measure == "effective_bits" else 32 / bits
                expected = "met" if each.measure in RATIOS else "supported"
                assert verdict(each, (value, value)) == expected, each.id


def test_the_papers_own_numbers_would_support_its_claims(published):
    """A bound that the paper's figures themselves do not meet would be no reading of the claim."""
    exact = {
        "fisher-3.67": {"effective_bits": 3.67, "compression": 32 / 3.67, "drop": 0.99},
        "fisher-3.14": {"effective_bits": 3.14, "compression": 32 / 3.14, "drop": 0.99},
        "dnas-3.14": {"drop": 0.99},
    }
    reported = {name: result for result in published.paper for name in result.datasets}
    for each in published.all:
        if each.source == "this package":
            continue
        result = reported[each.datasets[0]]
        figures = {
            **exact[each.cell],
            "accuracy": result.accuracy,
            **dict.fromkeys(RATIOS, result.energy),
        }
        value = figures[each.measure]
        expected = "met" if each.measure in RATIOS else "supported"
        assert verdict(each, (value, value)) == expected, each.id


def test_claims_on_energy_stand_side_by_side():
    claims = parse_claims(energy_document(datasets=["sim-a", "n"]), "claims.yaml")
    row = {"dataset": "sim-a", "cell": "dnas-3", "accuracy_low": 80.0, "chance": 10.0}
    found = dict.fromkeys(RATIOS, (1.0, 0.99, 1.01))
    found |= {"energy_ops": (58.0, 57.0, 59.0), "energy_ops_fp16": (9.0, 7.9, 10.1)}
    found |= {"energy_ops_int8": (8.0, 7.9, 8.1)}
    for measure, values in found.items():
        row |= {f"{measure}{end}": v for end, v in zip(("", "_low", "_high"), values, strict=True)}
    table = energy_claims_table(claims, claims_table(claims, pd.DataFrame([row])))
    views = ["bits_linear", "field", "ops", "memory", "total"]
    assert list(table.columns) == ["dataset", "cell", "reference", "expected", *views]
    missed = "1.00x [0.990, 1.01] missed"
    assert table.values.tolist() == [
        [
            *("sim-a", "dnas-3", "fp32", "8x ± 25 %", missed, missed),
            *("58.0x [57.0, 59.0] exceeded", missed, missed),
        ],
        ["n", "dnas-3", "fp32", "8x ± 25 %", *["not run"] * 5],
        [
            *("sim-a", "dnas-3", "fp16", "8x ± 25 %", "", ""),
            *("9.00x [7.90, 10.1] inconclusive", missed, missed),
        ],
        ["n", "dnas-3", "fp16", "8x ± 25 %", "", "", *["not run"] * 3],
        [
            *("sim-a", "dnas-3", "int8", "8x ± 25 %", "", ""),
            *("8.00x [7.90, 8.10] met within 25 %", missed, missed),
        ],
        ["n", "dnas-3", "int8", "8x ± 25 %", "", "", *["not run"] * 3],
    ]


def test_without_results_nothing_is_claimed(published):
    nothing = pd.DataFrame(columns=list(RESULT_COLUMNS))
    table = claims_table(published, nothing)
    assert set(table["verdict"]) == {"not run"}
    assert len(table) == sum(len(each.datasets) for each in published.all)
