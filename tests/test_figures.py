import io
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread

from hetspike.cost.memory import ASSUMPTIONS, NAMED
from hetspike.data.events.recordings import EVENT, Recordings
from hetspike.names import search_of
from hetspike.networks.spikformer import layer_names
from hetspike.quantization.levels import SCHEMES
from hetspike.results.cost_tables import RATIOS
from hetspike.results.figures.accuracy import GAP, accuracy_against_bits, moved_apart
from hetspike.results.figures.energy import PANELS, energy_range, energy_views
from hetspike.results.figures.layers import assignments, spike_rates
from hetspike.results.figures.samples import (
    BRIGHTER,
    DARKER,
    SLICES,
    event_image,
    sample_recordings,
)
from hetspike.results.figures.style import OTHERS, STYLES, rendered, style_of
from hetspike.results.figures.training import selected_epochs, training_curves
from hetspike.search import SEARCHES

ROWS = (  # cell, method, setting, accuracy [%], effective bits
    ("float", "float", None, 91.0, 32.0),
    ("float-tuned", "float-tuned", None, 90.0, 32.0),
    ("binary-1", "binary", 1.0, 75.0, 1.0),
    ("uniform-4", "uniform", 4.0, 89.0, 4.0),
    ("uniform-2", "uniform", 2.0, 85.0, 2.0),
    ("pot-3", "pot", 3.0, 88.0, 3.0),
    ("fisher-3.5", "fisher", 3.5, 90.0, 3.5),
    ("fisher-2.5", "fisher", 2.5, 88.0, 2.4),
    ("random-3.5-1", "random", 3.5, 86.0, 3.25),
    ("random-3.5-2", "random", 3.5, 87.0, 3.3),
    ("fisher-binary-2.5", "fisher-binary", 2.5, 87.0, 2.5),
    ("fisher-binary-1.5", "fisher-binary", 1.5, 82.0, 1.5),
    ("fisher-pot-2.5", "fisher-pot", 2.5, 80.0, 2.5),
    ("own-1.75", "own", 1.75, 79.0, 1.75),
    ("fisher-2.5-kd", "fisher", 2.5, 95.0, 2.4),
)
LAYERS = ("patch.stages.0.0", "patch.position.0", "blocks.0.attention.projection.0", "head")


@pytest.fixture
def results() -> pd.DataFrame:
    table = pd.DataFrame(ROWS, columns=["cell", "method", "setting", "accuracy", "effective_bits"])
    low, high = table["accuracy"] - 2, table["accuracy"] + 1
    table = table.assign(dataset="sim-a", accuracy_low=low, accuracy_high=high)
    paper = table["cell"] == "fisher-2.5"
    return table.assign(
        paper_dataset=np.where(paper, "A", None), paper_accuracy=np.where(paper, 97.5, np.nan)
    )


@pytest.fixture
def cells(results) -> pd.DataFrame:
    return results[["cell", "method", "setting"]].assign(
        draw=results["cell"].str.endswith("-2").astype(int),
        distilled=results["cell"].str.endswith("-kd"),
    )


@pytest.fixture
def layers() -> pd.DataFrame:
    """Every cell of both datasets and seeds holds pot 3, but the head, and but fisher's at 2.5."""
    special = {
        "fisher-2.5": [("apot", 5), ("uniform", 2), ("pot", 3), ("float", 32)],
        "fisher-binary-2.5": [("uniform", 8), ("binary", 1), ("binary", 1), ("uniform", 6)],
    }
    usual = [("pot", 3)] * 3 + [("uniform", 4)]
    active = {(cell, seed): 20 + 20 * seed for cell, *_ in ROWS for seed in (0, 1)}
    active |= {("uniform-2", 0): 30, ("random-3.5-1", 1): 10}
    return pd.DataFrame(
        [
            (dataset, seed, cell, layer, scheme, bits, weights, 200, active[cell, seed])
            for dataset in ("sim-a", "nmnist")
            for seed in (0, 1)
            for cell, *_ in ROWS
            for layer, (scheme, bits), weights in zip(
                (*LAYERS, "blocks.0.attention: attention"),
                (*special.get(cell, usual), ("", 0)),
                (18, 36, 64, 10, 0),
                strict=True,
            )
        ],
        columns=[
            *("dataset", "seed", "cell", "layer", "scheme", "bits", "weights", "inputs", "active")
        ],
    ).join(
        pd.DataFrame(layer_names(LAYERS), index=LAYERS, columns=["part", "short_name"]), on="layer"
    )


@pytest.fixture
def recordings() -> Recordings:
    """Classes 1 and 0, in this order, then 1 again: one event a millisecond on the diagonal."""
    events = np.zeros(12, EVENT)
    events["x"] = events["y"] = np.arange(12) % 8
    events["t"] = np.arange(12) * 1000
    events["p"] = np.arange(12) % 2 == 0
    return Recordings.from_list([events] * 3, [1, 0, 1], [0, 1, 2], (8, 8), ["still_life", "wave"])


def test_event_image_by_hand():
    counts = np.zeros((2, 1, 5), np.uint8)
    counts[1, 0, 1] = 4  # brighter, saturated
    counts[0, 0, 2] = 9  # darker, beyond saturation
    counts[1, 0, 3] = 2  # half saturated: half way from white
    counts[:, 0, 4] = 2  # both alike
    image = event_image(counts, full=4)
    brighter, darker = np.array(to_rgb(BRIGHTER)), np.array(to_rgb(DARKER))
    expected = [[1, 1, 1], brighter, darker, (1 + brighter) / 2, (brighter + darker) / 2]
    np.testing.assert_allclose(image[0], expected)


def test_film_strips_show_one_recording_of_each_class(recordings):
    figure = sample_recordings(recordings, "sim-a")
    assert figure.get_suptitle() == "sim-a\n(simulated stand-in data)"
    panels = np.array(figure.axes).reshape(2, SLICES)
    assert [row[0].get_ylabel() for row in panels] == ["still life", "wave"]
    # 12 events in 6 slices of 11 ms / 6: events 0 and 1 first, the last two in the end
    for panel, shown in ((panels[0, 0], {0, 1}), (panels[0, -1], {2, 3})):
        image = np.asarray(panel.images[0].get_array())
        coloured = np.argwhere((image < 1).any(axis=2))
        assert {tuple(each) for each in coloured} == {(each, each) for each in shown}


def test_recordings_without_events_stay_white():
    empty = Recordings.from_list([np.empty(0, EVENT)], [0], [0], (4, 4), ["nothing"])
    panels = sample_recordings(empty, "").axes
    assert all((np.asarray(panel.images[0].get_array()) == 1).all() for panel in panels)


def test_places_move_no_further_than_they_must():
    places = np.array([4.0, 2.0, 3.0, 3.01, 2.99])
    moved = moved_apart(places, 0.2)
    assert moved[:2].tolist() == [4.0, 2.0]
    np.testing.assert_allclose(moved[2:], [2.8, 3.0, 3.2])  # as given: they are as good as alike
    assert moved_apart(places, 0.0).mean() == pytest.approx(places.mean())


def drawn(figure: Figure) -> dict[tuple[str, bool], list[list[float]]]:
    """Marked points [bits, accuracy] by colour and whether the marker is hollow."""
    found = {}
    for bars in figure.axes[0].containers:
        points = bars.lines[0]
        key = (to_hex(points.get_color()).upper(), points.get_markerfacecolor() == "white")
        found[key] = points.get_xydata().tolist()
    return found


def colour(name: str) -> str:
    return STYLES[name].colour


def test_points_are_the_data_without_distilled_rows_and_ablations(results):
    own = style_of("own", ["own"]).colour
    assert drawn(accuracy_against_bits(results)) == {
        (colour("binary"), False): [[1.0, 75.0]],
        (colour("uniform"), False): [[4.0, 89.0], [2.0, 85.0]],
        (colour("pot"), False): [[3.0, 88.0]],
        (colour("fisher"), False): [[3.5, 90.0], [2.4, 88.0]],
        (colour("fisher"), True): [[2.5, 87.0], [1.5, 82.0]],
        (colour("random"), False): [[3.275, 86.5]],  # the mean of two draws
        (colour("random"), True): [],
        (own, False): [[1.75, 79.0]],
        (own, True): [],
    }


def test_lines_join_a_search_and_interpolate_single_schemes(results):
    (axes,) = accuracy_against_bits(results).axes
    lines = {
        (to_hex(line.get_color()).upper(), line.get_linestyle()): line.get_xydata().tolist()
        for line in axes.lines
        if line.get_linestyle() in ("-", ":") and line.get_marker() == "None"
    }
    # through binary's budgets, and through the search without it where there are both
    assert lines[colour("fisher"), "-"] == [[1.5, 82.0], [2.4, 88.0], [3.5, 90.0]]
    assert lines[colour("uniform"), ":"] == [[1.0, 75.0], [2.0, 85.0], [4.0, 89.0]]
    assert lines[colour("pot"), ":"] == [[1.0, 75.0], [3.0, 88.0]]


def test_bars_and_band_are_the_intervals(results):
    (axes,) = accuracy_against_bits(results).axes
    (pot,) = (bars for bars in axes.containers if bars.lines[0].get_marker() == "s")
    vertical = [segment.tolist() for segment in pot.lines[2][0].get_segments()]
    assert vertical == [[[3.0, 86.0], [3.0, 89.0]]]
    (band,) = axes.patches
    assert (band.get_y(), band.get_y() + band.get_height()) == (88.0, 91.0)


def test_a_figure_says_what_it_shows(results):
    figure = accuracy_against_bits(results)
    (axes,) = figure.axes
    assert axes.get_title() == "sim-a\n(simulated stand-in data)"
    assert "bits" in axes.get_xlabel() and "%" in axes.get_ylabel()
    (legend,) = figure.legends
    assert "ablations only: fisher-pot" in legend.get_title().get_text()
    labels = [text.get_text() for text in legend.get_texts()]
    assert "random: mixed, by chance (mean of 2 draws)" in labels
    assert labels[-2].startswith("hollow")
    recorded = accuracy_against_bits(results.assign(dataset="nmnist").head(6))
    assert recorded.axes[0].get_title() == "nmnist"
    assert "hollow" not in str(recorded.legends[0].get_texts())


def test_the_paper_is_marked_as_measured_on_other_data(results):
    def paper(table: pd.DataFrame) -> list[tuple[list[list[float]], str]]:
        figure = accuracy_against_bits(table)
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
        return [(cross.get_xydata().tolist(), labels[-1]) for cross in crosses]

    ((place, label),) = paper(results)
    assert place == [[2.5, 97.5]]  # at the budget, not at the bits of our network
    assert label == "the paper's own result, on A:\nother data than these points"
    ((_, label),) = paper(results.assign(dataset="a"))
    assert label == "the paper's own result, on A"
    assert paper(results.assign(paper_dataset=None, paper_accuracy=np.nan)) == []


def test_points_at_equal_bits_are_moved_apart(results):
    results.loc[results["method"] == "pot", "effective_bits"] = 4.0
    points = drawn(accuracy_against_bits(results))
    ((uniform, _), _), ((pot, _),) = points[colour("uniform"), False], points[colour("pot"), False]
    assert uniform < 4.0 < pot
    assert (uniform + pot) / 2 == pytest.approx(4.0)
    assert pot - uniform == pytest.approx(GAP * 3)


def test_a_study_of_float_networks_shows_the_reference_alone(results):
    floats = results[results["setting"].isna()]
    figure = accuracy_against_bits(floats)
    assert drawn(figure) == {}
    assert rendered(figure, "png")


def test_every_method_and_scheme_has_its_own_colour_and_marker():
    assert set(SCHEMES) | set(SEARCHES) <= set(STYLES)
    methods = [*STYLES, "new", "newer"]
    styles = [style_of(method, methods) for method in methods]
    assert len({style.colour for style in styles}) == len(methods)
    assert len({style.marker for style in styles}) == len(methods)
    assert style_of("newer", methods) == ("newer", *OTHERS[1])


def test_a_search_among_other_candidates_has_its_searchs_colour():
    methods = ["pot", "fisher", "apot", "fisher-binary", "own-binary", "own", "next"]
    assert style_of("fisher-binary", methods) == STYLES["fisher"]
    assert style_of("own-binary", methods) == style_of("own", methods) == ("own", *OTHERS[0])
    assert style_of("next", methods) == ("next", *OTHERS[1])


def test_a_row_belongs_to_the_search_that_its_name_begins_with():
    rows = ["fisher-binary", "fisher", "fisher-binary-pot", "fish", "other-binary"]
    assert [search_of(row, rows) for row in rows] == [
        ("fisher", "binary"),
        ("fisher", ""),
        ("fisher", "binary-pot"),
        ("fish", ""),
        ("other-binary", ""),
    ]


def test_assignments_show_every_network_of_a_search(layers, cells):
    figure = assignments(layers, cells, "fisher")
    stand_in, recorded = figure.axes
    assert "stand-in" in stand_in.get_title()
    assert recorded.get_title() == "nmnist"
    budgets = [text.get_text() for text in stand_in.get_yticklabels()]
    assert budgets == ["3.5", "2.5", "2.5 + binary", "1.5 + binary"]
    names = [text.get_text() for text in stand_in.get_xticklabels()]
    assert names == ["conv1", "position", "proj", "head"]
    usual = [["3", "3", "3", "4"]] * 2  # seeds
    for axes in figure.axes:
        digits = np.array([text.get_text() for text in axes.texts]).reshape(-1, len(LAYERS))
        assert digits.tolist() == [
            *usual,
            *[["5", "2", "3", "32"]] * 2,
            *[["8", "1", "1", "6"]] * 2,
            *usual,
        ]


def test_a_scheme_has_the_colour_of_its_line(layers, cells):
    axes = assignments(layers, cells, "fisher").axes[0]
    rows = [
        [to_hex(each).upper() for each in mesh.get_array().reshape(-1, 3)]
        for mesh in axes.collections
    ]
    assert rows[0] == [colour("pot")] * 3 + [colour("uniform")]
    assert rows[2] == [colour(scheme) for scheme in ("apot", "uniform", "pot", "float")]
    assert rows[4] == [colour(name) for name in ("uniform", "binary", "binary", "uniform")]


def test_rows_of_assignments_are_draws_and_seeds(layers, cells):
    figure = assignments(layers, cells, "random")
    assert [len(axes.collections) for axes in figure.axes] == [4, 4]
    (legend,) = figure.legends
    assert legend.get_title().get_text().endswith("seed 0, 1 of draw 1, 2")


@pytest.fixture
def histories() -> pd.DataFrame:
    """Two seeds of float, and of one cell tuned from it; `score` is accuracy and loss."""
    scores = {
        ("float", 0): [(0.5, 1.0), (0.75, 0.4), (0.75, 0.3)],
        ("float", 1): [(0.5, 1.0), (0.75, 0.3), (0.75, 0.3)],
        ("pot-3", 0): [(0.75, 0.3), (0.5, 0.1)],
        ("pot-3", 1): [(0.5, 0.3), (0.75, 0.9)],
    }
    return pd.DataFrame(
        [
            ("sim-a", cell, seed, epoch, 0.25 * epoch, accuracy, loss)
            for (cell, seed), epochs in scores.items()
            for epoch, (accuracy, loss) in enumerate(epochs, start=1)
        ],
        columns=[
            *("dataset", "cell", "seed", "epoch"),
            *("train_accuracy", "validation_accuracy", "validation_loss"),
        ],
    )


def test_selected_is_the_best_validation_epoch_as_in_training(histories):
    chosen = selected_epochs(histories).set_index(["cell", "seed"])["epoch"]
    # a tie in accuracy goes to the lower loss, a tie in both to the first
    assert chosen.to_dict() == {
        ("float", 0): 3,
        ("float", 1): 2,
        ("pot-3", 0): 1,
        ("pot-3", 1): 2,
    }


def test_training_curves_show_both_splits_and_what_was_selected(histories, cells):
    shown = cells[cells["cell"].isin(["float", "pot-3"])]
    figure = training_curves(histories, shown)
    assert figure.get_suptitle() == "sim-a\n(simulated stand-in data)"
    panels = {axes.get_title().split("\n")[0]: axes for axes in figure.axes}
    assert list(panels) == ["float", "pot-3"]
    axes = panels["pot-3"]
    assert axes.get_title() == "pot-3\nselected: epoch 1, 2"
    assert {to_hex(line.get_color()).upper() for line in axes.lines} == {colour("pot")}
    lines = [(line.get_linestyle(), line.get_xydata().tolist()) for line in axes.lines]
    training = (":", [[1, 25], [2, 50]])
    assert lines == [
        training,
        ("-", [[1, 75], [2, 50]]),
        training,
        ("-", [[1, 50], [2, 75]]),
        ("None", [[1, 75], [2, 75]]),
    ]
    assert axes.lines[-1].get_marker() == STYLES["pot"].marker


def test_a_study_of_float_networks_has_training_curves(histories, cells):
    floats = cells["cell"] == "float"
    figure = training_curves(histories[histories["cell"] == "float"], cells[floats])
    assert len(figure.axes) == 1


def band(axes: Axes, place: int) -> tuple[float, float]:
    """Lowest and highest value that the band of a panel spans at a layer."""
    (polygon,) = axes.collections
    ((vertices,),) = (polygon.get_paths()[0].to_polygons(closed_only=False),)
    heights = vertices[vertices[:, 0] == place + 0.5, 1]
    return heights.min(), heights.max()


def test_spike_rates_of_float_and_what_quantization_makes_of_them(layers, cells):
    figure = spike_rates(layers, cells)
    panels = np.array(figure.axes).reshape(-1, 2)
    names = [axes.get_ylabel().split("\n")[0] for axes in panels[:, 0]]
    # of each method what has the fewest bits; variants, distilled rows and the classifier's
    # attention, which has no weights, are left out
    fewest = ["float", "binary-1", "uniform-2", "pot-3", "fisher-2.5", "random-3.5", "own-1.75"]
    assert names == ["float-tuned", *fewest]
    assert [axes.get_title() for axes in panels[0]] == [
        "sim-a\n(simulated stand-in data)",
        "nmnist",
    ]
    layer_names = [text.get_text() for text in panels[-1, 0].get_xticklabels()]
    assert layer_names == ["conv1", "position", "proj", "head"]
    means = {
        name: axes.lines[0].get_ydata() for name, axes in zip(names, panels[:, 0], strict=True)
    }
    # 20 of 200 inputs with seed 0, 40 with seed 1
    assert means["float-tuned"] == pytest.approx([15] * 4)
    assert band(panels[0, 0], 0) == pytest.approx((10, 20))
    assert means["pot-3"] == pytest.approx([1] * 4)
    # 30 / 20 and 40 / 40, each against its own seed
    assert means["uniform-2"] == pytest.approx([1.25] * 4)
    assert band(panels[3, 0], 2) == pytest.approx((1, 1.5))
    # 20 / 20 and 10 / 40 in one draw, 1 twice in the other
    assert means["random-3.5"] == pytest.approx([3.25 / 4] * 4)
    assert to_hex(panels[3, 0].lines[0].get_color()).upper() == colour("uniform")


def test_a_study_of_float_networks_has_spike_rates(layers, cells):
    floats = cells["cell"].isin(["float", "float-tuned"])
    assert len(spike_rates(layers, cells[floats]).axes) == 4


@pytest.mark.parametrize("form", ["png", "pdf"])
def test_a_file_is_the_same_bytes_every_time(results, layers, cells, recordings, histories, form):
    shown = cells[cells["cell"].isin(histories["cell"])]
    for make in (
        lambda: accuracy_against_bits(results),
        lambda: assignments(layers, cells, "fisher"),
        lambda: sample_recordings(recordings, "sim-a"),
        lambda: training_curves(histories, shown),
        lambda: spike_rates(layers, cells),
        lambda: energy_views(energy_of("float-tuned", "pot-3"), cells),
        lambda: energy_range(dataflows_of("float-tuned", "pot-3"), cells),
    ):
        data = rendered(make(), form)
        assert data == rendered(make(), form)
        assert not re.search(rb"matplotlib|creationdate|producer", data.lower())


def test_a_picture_has_the_size_asked_for(results):
    figure = accuracy_against_bits(results)
    height, width = imread(io.BytesIO(rendered(figure, "png"))).shape[:2]
    assert (width, height) == tuple(int(150 * inches) for inches in figure.get_size_inches())


TIMES = {"fp32": 1, "fp16": 1.5, "int8": 2}  # how much less is left to save


def energy_of(*names: str) -> pd.DataFrame:
    """Four times less under every view, 3 to 6 over the seeds; less against narrower references."""
    ratios = {
        f"{measure}{end}": value / TIMES[reference]
        for measure, (_, reference) in RATIOS.items()
        for end, value in (("", 4.0), ("_low", 3.0), ("_high", 6.0))
    }
    return pd.DataFrame(
        [
            {"dataset": dataset, "cell": cell, **ratios}
            for dataset in ("sim-a", "sim-b")
            for cell in names
        ]
    )


def test_energy_has_a_panel_per_dataset_and_view_in_the_colours_of_the_schemes(cells):
    energy = energy_of("float-tuned", "uniform-4", "pot-3", "fisher-2.5", "fisher-2.5-kd")
    figure = energy_views(energy, cells)
    panels = [axes for axes in figure.axes if axes.patches]
    assert len(panels) == 2 * len(RATIOS)
    titles = [axes.get_title().replace("\n", " ") for axes in panels[: len(PANELS)]]
    assert titles[0] == "Weight bits, against fp32" and titles[-3] == "Operations, against int8"
    # distilled networks cost what they cost without; float is the line at 1
    names = [text.get_text() for text in panels[0].get_yticklabels()]
    assert names == ["uniform-4", "pot-3", "fisher-2.5"]
    for axes, (_, reference) in zip(panels, [*RATIOS.values()] * 2, strict=True):
        assert [bar.get_width() for bar in axes.patches] == [4 / TIMES[reference]] * 3
        colours = [to_hex(bar.get_facecolor()).upper() for bar in axes.patches]
        assert colours == [STYLES[each].colour for each in ("uniform", "pot", "fisher")]
    assert panels[0].get_ylabel() == "sim-a\n(simulated stand-in data)"
    assert panels[-1].get_xlabel() == "times less"


def dataflows_of(*names: str) -> pd.DataFrame:
    """Twice as little as the views assume, and up to 2 + the number of assumptions otherwise."""
    return pd.DataFrame(
        [
            {
                **{"dataset": dataset, "cell": cell, **assumed._asdict()},
                **{"energy_total": 2 + n, "energy_total_fp16": 1.5 + n, "energy_total_int8": 1 + n},
                "paper_energy": 8.72 if cell == "pot-3" and dataset == "sim-a" else np.nan,
            }
            for dataset in ("sim-a", "nmnist")
            for cell in names
            for n, assumed in enumerate(ASSUMPTIONS)
        ]
    )


def test_the_range_of_an_energy_goes_over_all_assumptions_and_marks_the_views_own(cells):
    shown = cells[cells["cell"].isin(["float-tuned", "uniform-4", "pot-3", "fisher-2.5-kd"])]
    figure = energy_range(dataflows_of("float-tuned", "uniform-4", "pot-3"), shown)
    panels = np.array(figure.axes).reshape(2, 3)
    assert [axes.get_title() for axes in panels[0]] == [f"against {each}" for each in TIMES]
    assert ASSUMPTIONS[0] == NAMED
    most = len(ASSUMPTIONS) - 1
    for row, factors in ((panels[0], [8.72]), (panels[1], [])):
        names = [text.get_text() for text in row[0].get_yticklabels()]
        assert names == ["uniform-4", "pot-3"]
        for axes, least in zip(row, (2, 1.5, 1), strict=True):
            lines = [
                line for line in axes.lines if to_hex(line.get_color()).upper() == colour("pot")
            ]
            whole, points, named = (line.get_xydata().tolist() for line in lines)
            assert whole == [[least, 1], [least + most, 1]]
            assert points == [[least + n, 1] for n in range(len(ASSUMPTIONS))]
            assert named == [[least, 1]]
            dotted = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]
            assert dotted == factors


def test_a_study_of_float_networks_has_no_range(cells):
    floats = cells[cells["cell"].isin(["float", "float-tuned"])]
    assert rendered(energy_range(dataflows_of("float", "float-tuned"), floats), "png")
