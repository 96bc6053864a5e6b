import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.image import imread

from hetspike.events.recordings import EVENT, Recordings
from hetspike.figures import (
    BRIGHTER,
    DARKER,
    OTHERS,
    SLICES,
    STYLES,
    accuracy_against_bits,
    event_image,
    png,
    sample_recordings,
    style_of,
)


@pytest.fixture
def results() -> pd.DataFrame:
    rows = [
        ("float-tuned", "float-tuned", 90.0, 32.0),
        ("uniform-4", "uniform", 89.0, 4.0),
        ("uniform-2", "uniform", 85.0, 2.0),
        ("dnas-3", "dnas", 88.0, 2.9),
    ]
    return pd.DataFrame(
        [
            {
                "dataset": dataset,
                "cell": cell,
                "method": method,
                "accuracy": accuracy,
                "accuracy_low": accuracy - 2,
                "accuracy_high": accuracy + 1,
                "effective_bits": bits,
                "effective_bits_low": bits,
                "effective_bits_high": bits,
            }
            for dataset in ("sim-a", "nmnist")
            for cell, method, accuracy, bits in rows
        ]
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
    assert figure.get_suptitle() == "sim-a"
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


def test_panels_bars_and_band(results):
    figure = accuracy_against_bits(results)
    stand_in, recorded = figure.axes
    assert "stand-in" in stand_in.get_title() and "sim-a" in stand_in.get_title()
    assert recorded.get_title() == "nmnist"
    assert "bits" in stand_in.get_xlabel() and "%" in stand_in.get_ylabel()
    uniform, searched = stand_in.containers
    assert uniform.lines[0].get_xydata().tolist() == [[2.0, 85.0], [4.0, 89.0]]
    assert searched.lines[0].get_xydata().tolist() == [[2.9, 88.0]]
    vertical = [segment.tolist() for segment in searched.lines[2][1].get_segments()]
    assert vertical == [[[2.9, 86.0], [2.9, 89.0]]]
    (band,) = stand_in.patches
    assert (band.get_y(), band.get_y() + band.get_height()) == (88.0, 91.0)


def test_a_method_looks_alike_in_every_panel(results):
    figure = accuracy_against_bits(results)
    for axes in figure.axes:
        for bars, method in zip(axes.containers, ("uniform", "dnas"), strict=True):
            assert to_hex(bars.lines[0].get_color()).upper() == STYLES[method].colour
            assert bars.lines[0].get_marker() == STYLES[method].marker


def test_every_method_has_its_own_colour_and_marker():
    methods = [*STYLES, "new", "newer"]
    styles = [style_of(method, methods) for method in methods]
    assert len({style.colour for style in styles}) == len({style.marker for style in styles})
    assert len({style.marker for style in styles}) == len(methods)
    assert style_of("newer", methods) == ("newer", *OTHERS[1])


def test_png_is_the_same_bytes_and_the_size_asked_for(results, recordings):
    for make in (
        lambda: accuracy_against_bits(results),
        lambda: sample_recordings(recordings, "sim-a"),
    ):
        data = png(make())
        assert data == png(make())
        assert b"matplotlib" not in data.lower()
        height, width = imread(io.BytesIO(data)).shape[:2]
        assert (width, height) == tuple(int(150 * inches) for inches in make().get_size_inches())
