"""Sequences worked out by hand, an event-by-event scalar oracle, and properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetspike.data.events.recordings import EVENT
from hetspike.data.events.simulator import Pixel, simulate

CLEAN = Pixel(threshold=0.25, mismatch=0, refractory=0, leak=0, shot=0)


def seeds(count, entropy=0):
    return [np.random.SeedSequence(entropy, spawn_key=(i,)) for i in range(count)]


def one_pixel(log_luminance, times, pixel=CLEAN):
    """(t, p) of the events of a single pixel."""
    movie = np.exp(np.asarray(log_luminance, float)).reshape(1, -1, 1, 1)
    (events,) = simulate(movie, times, seeds(1), pixel)
    return [(int(e["t"]), bool(e["p"])) for e in events]


def test_a_ramp_crosses_a_threshold_at_regular_times():
    # 0.1 per ms: thresholds of 0.25 are crossed every 2.5 ms, whatever the step
    fine = one_pixel(np.linspace(0, 1.1, 12), np.arange(12) * 1000)
    coarse = one_pixel([0, 1.1], [0, 11_000])
    assert fine == coarse == [(2500, True), (5000, True), (7500, True), (10_000, True)]


def test_falling_light_gives_off_events_at_the_same_times():
    rising = one_pixel([0, 0.3, 1.1], [0, 1000, 3000])
    falling = one_pixel([0, -0.3, -1.1], [0, 1000, 3000])
    assert [t for t, _ in rising] == [t for t, _ in falling]
    assert all(p for _, p in rising) and not any(p for _, p in falling)


def test_the_level_is_remembered_over_a_turn():
    # up by 0.4: ON at 0.25 (625 us). Down again: OFF at 0.0, 0.4/0.5 of the way from 1000 to 2000
    assert one_pixel([0, 0.4, -0.1], [0, 1000, 2000]) == [(625, True), (1800, False)]


def test_a_rise_in_small_steps_is_not_lost():
    # 0.1 at a time never reaches 0.25 in one step: the third step does, half way
    assert one_pixel([0, 0.1, 0.2, 0.3], [0, 100, 200, 300]) == [(250, True)]


def test_constant_light_is_silent():
    assert one_pixel([0.7] * 5, np.arange(5) * 1000) == []


def test_a_held_pixel_remembers_the_light_at_its_release():
    # 0.1 per ms, held for 1 ms: events at 2.5, then 1 ms + 2.5 ms after each
    pixel = Pixel(threshold=0.25, mismatch=0, refractory=1000, leak=0, shot=0)
    expected = [(2500, True), (6000, True), (9500, True)]
    assert one_pixel([0, 1.1], [0, 11_000], pixel) == expected
    assert one_pixel(np.linspace(0, 1.1, 12), np.arange(12) * 1000, pixel) == expected


def test_a_flash_within_the_refractory_time_is_missed():
    pixel = Pixel(threshold=0.25, mismatch=0, refractory=5000, leak=0, shot=0)
    # ON at 500; held until 5500, when the light is back at 0 and stays there
    assert one_pixel([0, 0.5, 0, 0], [0, 1000, 2000, 9000], pixel) == [(500, True)]


def test_leak_ends_in_on_events_at_its_rate():
    pixel = Pixel(threshold=0.25, mismatch=0, refractory=0, leak=10, shot=0)
    assert one_pixel([0, 0], [0, 350_000], pixel) == [
        (100_000, True),
        (200_000, True),
        (300_000, True),
    ]


def test_shot_noise_has_its_rate_and_no_preferred_sign():
    pixel = Pixel(mismatch=0, refractory=0, leak=0, shot=5)
    (events,) = simulate(np.ones((1, 101, 32, 32)), np.arange(101) * 10_000, seeds(1), pixel)
    expected = 5 * 1.0 * 32 * 32  # Poisson: standard deviation 72
    assert abs(len(events) - expected) < 5 * np.sqrt(expected)
    assert abs(events["p"].mean() - 0.5) < 5 * 0.5 / np.sqrt(expected)


def test_mismatch_spreads_the_moments_around_those_of_equal_pixels():
    movie = np.exp(np.linspace(0, 0.3, 4))[None, :, None, None] * np.ones((1, 4, 32, 32))
    pixel = Pixel(threshold=0.2, mismatch=0.02, refractory=0, leak=0, shot=0)
    (events,) = simulate(movie, np.arange(4) * 1000, seeds(1), pixel)
    first = events["t"] / 1e4  # 0.1 per ms: the moment is the threshold
    assert abs(first.mean() - 0.2) < 5 * 0.02 / 32
    assert 0.018 < first.std() < 0.022


def test_axes_and_order():
    # x is the column: the pixels in column 2 of row 0 and column 0 of row 1 brighten together
    movie = np.ones((1, 2, 2, 3))
    movie[0, 1, 0, 2] = movie[0, 1, 1, 0] = np.exp(0.3)
    (events,) = simulate(movie, [0, 1200], seeds(1), CLEAN)
    assert events.dtype == EVENT
    assert events.tolist() == [(2, 0, 1000, True), (0, 1, 1000, True)]


def test_light_must_be_positive():
    with pytest.raises(AssertionError, match="positive"):
        simulate(np.zeros((1, 2, 1, 1)), [0, 1], seeds(1), CLEAN)


def oracle(signal, times, threshold, refractory):
    """One pixel, one event after the other, from the definition: moments and signs."""
    events, level, start = [], signal[0], times[0]
    for t0, t1, s0, s1 in zip(times, times[1:], signal, signal[1:], strict=False):
        slope = (s1 - s0) / (t1 - t0)
        while start < t1:
            here = s0 + slope * (max(start, t0) - t0)
            if level is None:
                level = here
            if abs(s1 - level) < threshold:
                break
            target = level + np.copysign(threshold, slope)
            moment = max(start, t0) + (target - here) / slope
            events.append((moment, slope > 0))
            start, level = moment + refractory, None if refractory else target
    return events


walks = st.lists(st.floats(-0.6, 0.6), min_size=1, max_size=12)


@settings(max_examples=100, deadline=None)
@given(walks, st.sampled_from([0.0, 300.0, 1700.0]))
def test_agrees_with_the_scalar_oracle(increments, refractory):
    # no sum of thresholds is a multiple of 1/64 plus 0.0011: rounding decides nothing
    signal = np.cumsum([0.0011, *np.round(np.array(increments) * 64) / 64])
    signal[0] = 0
    times = np.arange(len(signal)) * 1000.0
    pixel = Pixel(threshold=0.2037, mismatch=0, refractory=refractory, leak=0, shot=0)
    events = one_pixel(signal, times, pixel)
    expected = oracle(signal.tolist(), times.tolist(), 0.2037, refractory)
    assert [p for _, p in events] == [p for _, p in expected]
    np.testing.assert_allclose([t for t, _ in events], [t for t, _ in expected], atol=0.6)


movies = st.integers(0, 2**32 - 1).map(
    lambda entropy: np.exp(
        np.cumsum(np.random.default_rng(entropy).normal(0, 0.15, (5, 9, 4, 6)), axis=1)
    )
)


@settings(max_examples=25, deadline=None)
@given(movies)
def test_a_recording_does_not_depend_on_its_batch(movie):
    times = np.arange(9) * 2000
    noisy = Pixel(shot=50)
    together = simulate(movie, times, seeds(5), noisy)
    for i in range(5):
        (alone,) = simulate(movie[i : i + 1], times, seeds(5)[i : i + 1], noisy)
        assert np.array_equal(alone, together[i])


@settings(max_examples=25, deadline=None)
@given(movies)
def test_events_are_sorted_inside_the_sensor_and_spaced_by_the_refractory_time(movie):
    times = np.arange(9) * 2000
    for events in simulate(movie, times, seeds(5), Pixel(refractory=1500, shot=50)):
        assert np.all(np.diff(events["t"]) >= 0)
        assert np.all((events["t"] >= 0) & (events["t"] <= times[-1]))
        assert np.all((events["x"] >= 0) & (events["x"] < 6))
        assert np.all((events["y"] >= 0) & (events["y"] < 4))
        for place in np.unique(events["y"] * 6 + events["x"]):
            own = events[events["y"] * 6 + events["x"] == place]
            assert np.all(np.diff(own["t"]) >= 1499)  # 1500, less the rounding of both


@settings(max_examples=25, deadline=None)
@given(movies)
def test_the_reciprocal_movie_swaps_the_signs(movie):
    clean = Pixel(mismatch=0, leak=0, shot=0)
    times = np.arange(9) * 2000
    for events, mirrored in zip(
        simulate(movie, times, seeds(5), clean),
        simulate(1 / movie, times, seeds(5), clean),
        strict=True,
    ):
        assert np.array_equal(events["p"], ~mirrored["p"])
        for field in ("x", "y"):
            assert np.array_equal(events[field], mirrored[field])
        assert np.all(np.abs(events["t"] - mirrored["t"]) <= 1)
