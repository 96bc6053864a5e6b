import math
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hetspike.cost.energy import ENERGY_VIEWS
from hetspike.errors import UserError
from hetspike.names import is_stand_in
from hetspike.results.claims import (
    BUDGETED,
    ENERGIES,
    Claim,
    Claims,
    claims_table,
    energy_claims_table,
    paper_table,
    parse_claims,
    verdict,
)
from hetspike.results.tables import RESULT_COLUMNS
from hetspike.search.space import USED_UP

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


def claim(**condition) -> Claim:
    """CLAIM with another condition."""
    return Claim(**{key: CLAIM[key] for key in CLAIM if key != "at_most"} | condition)


def document(**changes) -> dict:
    return {"paper": [PAPER], "claims": [{**CLAIM, **changes}]}


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
        ({"equals": 8.5, "tolerance": 0.25}, (58.0, 59.0), "not supported"),  # exceeded
        ({"at_most": 1.0}, None, "not run"),
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
    factor = {"equals": 8.72, "tolerance": 0.13, "measure": "energy_ops"}
    assert claim(**factor).expected == "8.72x ± 0.13"


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
        ({"paper": [], "claims": [CLAIM, CLAIM]}, "two claims have the id C2"),
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
    assert table.loc["sim-orbit-photos", "paper_energy"] == 10.2
    assert table.columns.tolist() == ["cell", "paper_dataset", "paper_accuracy", "paper_energy"]


def test_published_claims_can_be_measured(published):
    for each in published.claims:
        assert {each.measure, f"{each.measure}_low", f"{each.measure}_high"} <= set(RESULT_COLUMNS)
    assert {each.id.split("-")[0] for each in published.claims} == {"C2", "C3", "C4", "C5"}


def test_published_claims_cover_paper_and_stand_in_alike(published):
    """Absolute accuracies are claimed on the paper's recordings alone, all else on both."""
    protocols = {frozenset(result.datasets) for result in published.paper}
    for each in published.claims:
        stand_ins = [name for name in each.datasets if is_stand_in(name)]
        if each.measure == "accuracy":
            assert not stand_ins
        else:
            assert stand_ins and any({*each.datasets} <= protocol for protocol in protocols)


def test_what_follows_from_the_budget_says_so(published):
    for each in published.claims:
        says = "(follows from the budget)" in each.sentence
        assert says == (each.measure in BUDGETED), each.id


def test_claims_on_memory_name_its_potentials(published):
    for each in published.claims:
        says = "(32-bit potentials read and written per pair)" in each.sentence
        view, _ = ENERGIES.get(each.measure, ("", ""))
        assert says == (view in ("memory", "total")), each.id


def test_the_tolerance_of_an_accuracy_is_binomial(published):
    reported = {name: result for result in published.paper for name in result.datasets}
    claimed = [each for each in published.claims if each.measure == "accuracy"]
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
    for each in published.claims:
        if each.measure == "effective_bits":
            _, decimals = str(each.at_most).split(".")
            assert each.tolerance == pytest.approx(0.5 * 10 ** -len(decimals)), each.id


def test_a_factor_is_claimed_from_both_sides_as_far_as_a_budget_is_used(published):
    """Half a unit of the last digit, and what 0.05 bits less make of it, in hundredths."""
    factors = [each for each in published.claims if each.equals is not None]
    assert {each.measure for each in factors} == {"compression", *ENERGIES}
    for each in factors:
        _, decimals = str(each.equals).split(".")
        unused = 32 / (32 / each.equals - USED_UP)
        exact = 0.5 * 10 ** -len(decimals) + unused - each.equals
        assert exact <= each.tolerance < exact + 0.01, each.id
        assert f"up to {unused:.2f}x where {USED_UP} bits are left unused" in each.why
    assert {each.equals: each.tolerance for each in factors} == {
        **{8.71: 0.13, 10.19: 0.17},
        **{5.69: 0.06, 8.72: 0.13, 10.2: 0.22},
    }


@pytest.mark.parametrize("budget", [3.67, 3.14])
def test_every_search_that_keeps_its_budget_meets_what_follows_from_it(published, budget):
    """Bits from the budget down to the least that a search leaves of it."""
    for each in published.claims:
        if each.measure in BUDGETED and each.cell.endswith(f"{budget}") and each.equals != 5.69:
            for bits in (budget, budget - USED_UP):
                value = bits if each.measure == "effective_bits" else 32 / bits
                assert verdict(each, (value, value)) == "supported", each.id


def test_the_papers_own_numbers_would_support_its_claims(published):
    """A bound that the paper's figures themselves do not meet would be no reading of the claim."""
    exact = {
        "fisher-3.67": {"effective_bits": 3.67, "compression": 32 / 3.67, "drop": 0.99},
        "fisher-3.14": {"effective_bits": 3.14, "compression": 32 / 3.14, "drop": 0.99},
        "dnas-3.14": {"drop": 0.99},
    }
    reported = {name: result for result in published.paper for name in result.datasets}
    for each in published.claims:
        result = reported[each.datasets[0]]
        figures = {
            **exact[each.cell],
            "accuracy": result.accuracy,
            **dict.fromkeys(ENERGIES, result.energy),
        }
        value = figures[each.measure]
        assert verdict(each, (value, value)) == "supported", each.id


def test_claims_on_energy_stand_side_by_side():
    measures = ("energy_field", "energy_ops", "energy_ops_int8")
    factor = {**CLAIM, "at_most": None, "equals": 8.0, "tolerance": 0.5}
    three = [{**factor, "id": measure, "measure": measure} for measure in measures]
    claims = parse_claims({"paper": [PAPER], "claims": [CLAIM, *three]}, "claims.yaml")
    columns = [f"{m}{e}" for m in ("drop", *measures) for e in ("", "_low", "_high")]
    row = [0.4, -0.6, 0.9, 1.0, 0.99, 1.01, 9.0, 7.9, 10.0, 8.0, 7.9, 8.1]
    results = pd.DataFrame([("sim-a", "dnas-3", *row)], columns=["dataset", "cell", *columns])
    results = results.assign(accuracy_low=80.0, chance=10.0)
    table = energy_claims_table(claims, claims_table(claims, results))
    assert list(table.columns) == ["dataset", "cell", "reference", "expected", "field", "ops"]
    about = ("dnas-3", "float-tuned", "8x ± 0.5")
    assert table.values.tolist() == [
        [
            *("sim-a", *about),
            *("1.00x [0.990, 1.01] not supported", "9.00x [7.90, 10.0] inconclusive"),
        ],
        ["not-run-yet", *about, "not run", "not run"],
        ["sim-a", "dnas-3", "int8", "8x ± 0.5", "", "8.00x [7.90, 8.10] supported"],
        ["not-run-yet", "dnas-3", "int8", "8x ± 0.5", "", "not run"],
    ]


def test_every_energy_claim_is_judged_under_every_view(published):
    claims = [each.measure for each in published.claims if each.id.startswith("C4-")]
    assert sorted(claims) == sorted([*ENERGIES] * 3)
    assert {view for view, _ in ENERGIES.values()} == {*ENERGY_VIEWS}


def test_without_results_nothing_is_claimed(published):
    nothing = pd.DataFrame(columns=list(RESULT_COLUMNS))
    table = claims_table(published, nothing)
    assert set(table["verdict"]) == {"not run"}
    assert len(table) == sum(len(each.datasets) for each in published.claims)
