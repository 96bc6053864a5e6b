"""Events counted into frames."""

from hetspike.kernels.compiled import Array, compiled


@compiled
def count(t: Array, p: Array, y: Array, x: Array, by_time: bool, counts: Array) -> bool:
    """Add events [E], in order of time, to counts [T, 2, H, W]; return whether all lie within.

    Event i falls into step floor(progress T / whole), the last one at most: its progress is i of E
    events or, by time, t_i - t_0 of the duration. In order of time a step only ever goes up.
    """
    (steps, _, height, width), step = counts.shape, 0
    if t.size == 0:
        return True
    start = t[0]
    whole = max(t[-1] - start, 1) if by_time else t.size
    for i in range(t.size):
        progress = t[i] - start if by_time else i
        while step < steps - 1 and progress * steps >= (step + 1) * whole:
            step += 1
        if not (0 <= y[i] < height and 0 <= x[i] < width and 0 <= int(p[i]) < 2):
            return False
        counts[step, int(p[i]), y[i], x[i]] += 1
    return True
