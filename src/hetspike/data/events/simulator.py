"""A pixel model of a dynamic vision sensor [Lichtsteiner 2008; Gehrig 2020, ESIM].

A pixel stores a level, the log luminance s at its last event. Between two rendered images, s(t) is
linear. With the thresholds on, off > 0

    s(t) - level >= on    causes an ON event at the time of the crossing
    s(t) - level <= -off  causes an OFF event

After an event the pixel is inactive for the refractory time; then it stores the s of that time.
There are two kinds of noise: leak, a slow upward drift of s that causes ON events, and shot noise,
events of either polarity at random times. Thresholds differ from pixel to pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hetspike.data.events.recordings import EVENT

SHOT = np.dtype([("t", "f8"), ("pixel", "i8"), ("up", "?")])


@dataclass(frozen=True)
class Pixel:
    """The constants of a pixel. `Pixel(mismatch=0, leak=0, shot=0)` has no noise."""

    threshold: float = 0.2  # mean of on and off [change of log luminance]
    mismatch: float = 0.02  # standard deviation of on and off between pixels [same unit]
    refractory: float = 1000.0  # [us]
    leak: float = 0.1  # rate of ON events in constant light [Hz]
    shot: float = 0.5  # rate of noise events [Hz]


def simulate(
    luminance: NDArray[np.floating],
    times: ArrayLike,
    seeds: Sequence[np.random.SeedSequence],
    pixel: Pixel | None = None,
) -> list[NDArray[np.void]]:
    """Simulate the recordings of B movies; return one structured EVENT array per movie.

    luminance  [B, S, H, W] positive images; only ratios matter
    times      [S] time of each image [us], strictly increasing
    seeds      [B] one random stream per recording, so that no recording depends on its batch

    Events are sorted by time, then row, then column; the events of one pixel keep their order.
    """
    pixel = pixel or Pixel()
    times = np.asarray(times, dtype=np.float64)
    batch, steps, height, width = luminance.shape
    assert times.shape == (steps,) and np.all(np.diff(times) > 0), "times must increase"
    assert len(seeds) == batch, "one seed per recording"
    assert luminance.size == 0 or luminance.min() > 0, "luminance must be positive"

    on, off, noise = _draw(seeds, times, height * width, pixel)
    drift = pixel.leak * 1e-6 * on  # [log luminance per us]

    def signal(step: int) -> NDArray[np.float64]:
        image = luminance[:, step].astype(np.float64, order="C").ravel()
        return np.log(image) + drift * (times[step] - times[0])

    after = signal(0)
    level = after.copy()  # nan while a pixel is inactive
    ready = np.full(after.size, times[0])  # when the pixel is active again
    held = np.empty(0, np.int64)  # pixels that are inactive at the end of the step
    noisy_at = np.full(after.size, np.inf)  # time of a shot noise event in this step
    noisy_up = np.zeros(after.size, bool)
    found = [(np.empty(0, np.int64), np.empty(0), np.empty(0, bool))]  # pixel, time, polarity

    bounds = np.searchsorted(noise["t"], times)
    for step in range(1, steps):
        begin, end = times[step - 1], times[step]
        before, after = after, signal(step)
        slope = (after - before) / (end - begin)
        now = noise[bounds[step - 1] : bounds[step]]
        noisy_at[now["pixel"]], noisy_up[now["pixel"]] = now["t"], now["up"]

        change = after - level
        crossing = np.flatnonzero((change >= on) | (change <= -off))
        waiting = np.unique(np.concatenate([crossing, held, now["pixel"]]))
        held = waiting[ready[waiting] > end]
        live = waiting[ready[waiting] <= end]
        while live.size:  # one pass per event of the pixel with most events
            start = np.maximum(begin, ready[live])
            here = before[live] + slope[live] * (start - begin)
            level[live] = np.where(np.isnan(level[live]), here, level[live])

            # s is linear: it is beyond a threshold at the end of the step or nowhere in it
            rise = after[live] - level[live]
            up, down = rise >= on[live], rise <= -off[live]
            target = level[live] + np.where(up, on[live], -off[live])
            wait = np.full(live.size, np.inf)
            np.divide(target - here, slope[live], out=wait, where=up | down)
            crossed = np.clip(start + wait, start, np.where(up | down, end, np.inf))  # rounding
            noisy = np.where(noisy_at[live] < start, np.inf, noisy_at[live])

            moment = np.minimum(crossed, noisy)
            fires = np.isfinite(moment)
            shot = (noisy < crossed)[fires]
            live, moment, up = live[fires], moment[fires], up[fires]
            found.append((live, moment, np.where(shot, noisy_up[live], up)))
            noisy_at[live[shot]] = np.inf
            level[live] = np.nan
            ready[live] = moment + pixel.refractory
            held = np.concatenate([held, live[ready[live] > end]])
            live = live[ready[live] <= end]
        noisy_at[now["pixel"]] = np.inf

    where, moment, up = (np.concatenate(column) for column in zip(*found, strict=True))
    return _recordings(where, moment, up, batch, (height, width))


def _draw(
    seeds: Sequence[np.random.SeedSequence],
    times: NDArray[np.float64],
    pixels: int,
    pixel: Pixel,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.void]]:
    """Draw the thresholds on and off [B * pixels], and all shot noise, sorted by time."""
    thresholds, noise = [], []
    for recording, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        thresholds.append(rng.normal(pixel.threshold, pixel.mismatch, (2, pixels)))
        events = np.empty(rng.poisson(pixel.shot * 1e-6 * np.ptp(times) * pixels), SHOT)
        events["t"] = rng.uniform(times[0], times[-1], events.size)
        events["pixel"] = rng.integers(pixels, size=events.size) + recording * pixels
        events["up"] = rng.integers(2, size=events.size)
        noise.append(events)
    # no pixel has a threshold near zero
    clipped = np.maximum(np.reshape(thresholds, (-1, 2, pixels)), pixel.threshold / 4)
    on, off = clipped.swapaxes(0, 1).reshape(2, -1)
    shots = np.concatenate([np.empty(0, SHOT), *noise])
    return on, off, shots[np.argsort(shots["t"], kind="stable")]


def _recordings(
    pixel: NDArray[np.int64],
    moment: NDArray[np.float64],
    up: NDArray[np.bool_],
    batch: int,
    shape: tuple[int, int],
) -> list[NDArray[np.void]]:
    """Make one sorted EVENT array per recording from all events in the order of simulation."""
    height, width = shape
    recording, place = np.divmod(pixel, height * width)
    t = np.rint(moment).astype(np.int64)
    order = np.lexsort((place, t, recording))
    events = np.empty(order.size, EVENT)
    events["y"], events["x"] = np.divmod(place[order], width)
    events["t"], events["p"] = t[order], up[order]
    return np.split(events, np.searchsorted(recording[order], np.arange(1, batch)))
