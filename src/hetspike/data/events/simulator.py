"""A pixel model of a dynamic vision sensor [Lichtsteiner 2008; Gehrig 2020, ESIM].

A pixel remembers a level, the log luminance at its last event. Between two rendered images the
signal s(t) runs straight, and with thresholds on, off > 0

    s(t) - level >= on    an ON event at the moment of crossing
    s(t) - level <= -off  an OFF event

After an event the pixel is held for the refractory time and then remembers s as it is by then.
On top of this come leak, a slow upward drift of s that ends in ON events, and shot noise, events
of either polarity at random moments. Thresholds differ from pixel to pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hetspike.data.events.recordings import EVENT

SHOT = np.dtype([("t", "f8"), ("pixel", "i8"), ("up", "?")])


@dataclass(frozen=True)
class Pixel:
    """A pixel's constants. `Pixel(mismatch=0, leak=0, shot=0)` is free of noise."""

    threshold: float = 0.2  # mean of on and off [change of log luminance]
    mismatch: float = 0.02  # standard deviation of on and off between pixels [the same]
    refractory: float = 1000.0  # [us]
    leak: float = 0.1  # ON events a second in constant light [Hz]
    shot: float = 0.5  # noise events a second [Hz]


def simulate(
    luminance: NDArray[np.floating],
    times: ArrayLike,
    seeds: Sequence[np.random.SeedSequence],
    pixel: Pixel | None = None,
) -> list[NDArray[np.void]]:
    """Simulate what a sensor records of movies: one structured EVENT array per movie.

    luminance  [B, S, H, W] positive; only ratios matter
    times      [S] when each image is seen [us], strictly increasing
    seeds      [B] one random stream per recording, so that no recording depends on its batch

    Events are sorted by time, then row, then column; those of one pixel keep their order.
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
    level = after.copy()  # nan while a pixel is held
    ready = np.full(after.size, times[0])  # when its hold ends
    held = np.empty(0, np.int64)
    noisy_at = np.full(after.size, np.inf)  # when shot noise strikes in this step, if it does
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
        while live.size:  # once for every event of the busiest pixel
            start = np.maximum(begin, ready[live])
            here = before[live] + slope[live] * (start - begin)
            level[live] = np.where(np.isnan(level[live]), here, level[live])

            # a straight signal is beyond a threshold at the end of the step or nowhere in it
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
    """Thresholds on and off [B * pixels], and all shot noise sorted by time."""
    thresholds, noise = [], []
    for recording, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        thresholds.append(rng.normal(pixel.threshold, pixel.mismatch, (2, pixels)))
        events = np.empty(rng.poisson(pixel.shot * 1e-6 * np.ptp(times) * pixels), SHOT)
        events["t"] = rng.uniform(times[0], times[-1], events.size)
        events["pixel"] = rng.integers(pixels, size=events.size) + recording * pixels
        events["up"] = rng.integers(2, size=events.size)
        noise.append(events)
    # no pixel fires at next to nothing
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
    """Events as they were found -> one sorted EVENT array per recording."""
    height, width = shape
    recording, place = np.divmod(pixel, height * width)
    t = np.rint(moment).astype(np.int64)
    order = np.lexsort((place, t, recording))
    events = np.empty(order.size, EVENT)
    events["y"], events["x"] = np.divmod(place[order], width)
    events["t"], events["p"] = t[order], up[order]
    return np.split(events, np.searchsorted(recording[order], np.arange(1, batch)))
