"""Events counted into frames."""

from hetspike.kernels.compiled import Array, compiled


@compiled
def count(
    t: Array, p: Array, y: Array, x: Array, by_time: bool, longest: int, counts: Array
) -> bool:
    """Add events [E] to counts [T, 2, H, W]; return whether all are right and every count fits.

    Event i falls into step floor(progress T / whole), the last one at most: its progress is i of E
    events or, by time, t_i - t_0 of the duration. Right events are on the sensor, in order of time,
    in which a step only ever goes up, and last no longer than `longest`.
    """
    steps, _, height, width = counts.shape
    counts = counts.ravel()
    if t.size == 0:
        return True
    start, last = t[0], t[0]
    duration = t[-1] - start
    if not 0 <= duration <= longest:  # negative as well where the difference is too large for t
        return False
    whole = max(duration, 1) if by_time else t.size
    step, end = 0, whole  # of the step, where the progress is multiplied by the steps
    for i in range(t.size):
        progress = (t[i] - start if by_time else i) * steps
        while progress >= end and step < steps - 1:
            step += 1
            end += whole
        channel, row, column = int(p[i]), int(y[i]), int(x[i])
        on_sensor = 0 <= row < height and 0 <= column < width and 0 <= channel < 2
        if t[i] < last or not on_sensor:
            return False
        last = t[i]
        place = ((step * 2 + channel) * height + row) * width + column
        counts[place] += 1
        if counts[place] == 0:
            return False
    return True
