"""Decoders of file formats: each maps the bytes of one recording to its events.

    atis    N-MNIST, N-Caltech101      .bin       40 bits an event, no header
    aedat2  CIFAR10-DVS as recorded    .aedat     AEDAT 2.0 of a DVS128
    aedat3  DVS128 Gesture             .aedat     AEDAT 3.1, packets of several kinds
    table   DVS128 Gesture, as clips   .npy       one row per event

The module `aedat4` decodes AEDAT 4, the format of the converted CIFAR10-DVS.

A decoder takes the content of a file, a name of the file for errors, and the sensor's width and
height. It returns events [E] of the type EVENT in order of time. The time t starts at 0 with the
first event, with two exceptions: `atis` keeps the file's times, whose clock starts with the
recording, and `aedat3` keeps the camera's clock, to which the labels of the gestures refer; `clip`
cuts those events and starts each clip at 0.

A decoder raises UserError for a file that is damaged, is of another sensor or has no events, and
for events outside the sensor, back in time or over more than twelve days.

Formats: inivation.github.io/inivation-docs (AEDAT 2.0, 3.1), garrickorchard.com/datasets (ATIS).
"""

import io
import math
import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetspike.data.events.recordings import EVENT
from hetspike.errors import UserError, provided_by

Decoder = Callable[[bytes, str, tuple[int, int]], NDArray[np.void]]

# version of the format -> reader of the header; later versions have structured arrays only
NPY_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

ATIS_BYTES = 5  # x, y, then polarity in the top bit and 23 bits of microseconds

# version of AEDAT -> the text header of a file
AEDAT_HEADERS = {
    "2.0": re.compile(rb"#!AER-DAT2\.0\r?\n(?:#[^\n]*\n)*"),
    "3.1": re.compile(rb"#!AER-DAT3\.1\r?\n(?:#[^\n]*\n)*?#!END-HEADER\r?\n"),
}
# lines of these headers that name the sensor: by a class of jAER, or by a device. A line of the
# second kind may also name software that forwarded the events (NO_SENSOR)
AEDAT2_CHIP = re.compile(rb"^# *AEChip: *(?P<name>[^\r\n]*)", re.MULTILINE)
AEDAT3_SOURCE = re.compile(rb"^#-*Source *\d+: *(?P<name>[^\r\n]*)", re.MULTILINE)
NO_SENSOR = re.compile(rb"\s*|Processor|File|Network")
DVS128 = re.compile(rb".*(dvs|tmpdiff)128(?![0-9x]).*", re.IGNORECASE)  # its two names
AEDAT2_EVENT = np.dtype([("address", ">u4"), ("t", ">u4")])
DVS128_SPECIAL = 1 << 15  # this bit of a 16-bit address marks events that are not from a pixel

# header of a packet: event type, source, size of an event [bytes], offset of the time in an event,
# overflows of the clock; then three numbers of events: capacity, filled, valid
AEDAT3_PACKET = struct.Struct("<hhiiiiii")
AEDAT3_EVENT = np.dtype([("data", "<u4"), ("t", "<i4")])
AEDAT3_POLARITY = 1  # the event type of events from pixels

LONGEST = 2**40  # [us] duration of a recording


def atis(content: bytes, where: str, sensor: tuple[int, int]) -> NDArray[np.void]:
    """Decode the 40-bit events of an ATIS with tonic."""
    with provided_by("datasets"):
        from tonic.io import read_mnist_file

    if not content or len(content) % ATIS_BYTES:
        raise damaged(
            where, f"has {len(content)} bytes, not a whole number of {ATIS_BYTES}-byte events"
        )
    events = read_mnist_file(io.BytesIO(content), EVENT, is_stream=True)
    return _in_time(events_of(where, sensor, *(events[name] for name in "xytp")), where)


def aedat2(content: bytes, where: str, sensor: tuple[int, int]) -> NDArray[np.void]:
    """Decode AEDAT 2.0 of a DVS128: a text header, then big-endian pairs of an address and a time.

    The clock has 32 bits. Where it overflows, the returned times continue.

    The picture is upright: x = 127 - (address bits 8-14), y = 127 - (bits 1-7), and bit 0 is 0 for
    brighter, as in SpikingJelly's reader. (tonic 1.7.0's `read_dvs_128` fails on every file.)
    """
    data = content[_header("2.0", content, where, AEDAT2_CHIP) :]
    if len(data) % AEDAT2_EVENT.itemsize:
        raise damaged(
            where,
            f"has {len(data)} bytes of data, not a whole number of "
            f"{AEDAT2_EVENT.itemsize}-byte events",
        )
    raw = np.frombuffer(data, AEDAT2_EVENT)
    if (raw["address"] >= 2 * DVS128_SPECIAL).any():
        raise damaged(where, "has addresses of more than 16 bits, which no DVS128 sends")
    pixels = raw[raw["address"] < DVS128_SPECIAL]
    address = pixels["address"]
    x, y, p = 127 - (address >> 8), 127 - (address >> 1 & 127), 1 - (address & 1)
    passed = np.diff(pixels["t"], prepend=pixels["t"][:1]).astype(np.int32)  # modulo 2^32
    return from_first(events_of(where, sensor, x, y, np.cumsum(passed, dtype=np.int64), p), where)


def aedat3(content: bytes, where: str, sensor: tuple[int, int]) -> NDArray[np.void]:
    """Decode AEDAT 3.1, a text header and packets; return all valid polarity events.

    Times are those of the camera's clock. `clip` checks the order of time, for the events that are
    used.
    """
    place = _header("3.1", content, where, AEDAT3_SOURCE)
    packets = [np.empty(0, EVENT)]
    while place < len(content):
        if len(content) - place < AEDAT3_PACKET.size:
            raise damaged(where, "ends within a packet")
        kind, _, size, offset, overflows, room, filled, _ = AEDAT3_PACKET.unpack_from(
            content, place
        )
        place += AEDAT3_PACKET.size
        if size <= 0 or not 0 <= filled <= room or overflows < 0:
            raise damaged(where, "has a packet whose header contradicts itself")
        if size * room > len(content) - place:
            raise damaged(where, "ends within a packet")
        if kind == AEDAT3_POLARITY:
            if (size, offset) != (AEDAT3_EVENT.itemsize, 4):
                raise damaged(where, f"has polarity events of {size} bytes, not AEDAT 3.1's 8")
            raw = np.frombuffer(content, AEDAT3_EVENT, filled, place)
            raw = raw[raw["data"] & 1 == 1]  # valid
            x, y, p = (raw["data"] >> n for n in (17, 2, 1))
            t = raw["t"].astype(np.int64) + (overflows << 31)
            packets.append(events_of(where, sensor, x, y & 0x7FFF, t, p & 1))
        place += size * room
    return np.concatenate(packets)


def clip(events: NDArray[np.void], begin: int, end: int, where: str) -> NDArray[np.void]:
    """Return the events with begin <= t < end; their times start at 0 with `begin`."""
    cut = events[(events["t"] >= begin) & (events["t"] < end)]
    cut["t"] -= begin
    return _in_time(cut, where)


def table(content: bytes, where: str, sensor: tuple[int, int]) -> NDArray[np.void]:
    """Decode NumPy's format of an array [E, 4] with the columns x, y, p and t in milliseconds."""
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        shape, by_column, dtype = NPY_HEADERS[version](file)
    except Exception as error:  # numpy raises many classes of errors for damaged headers
        raise damaged(where, "is not a table of numbers") from error
    if len(shape) != 2 or shape[1] != 4 or dtype.kind not in "iuf":
        kind = f"{'x'.join(map(str, shape))} {dtype}"[:80]
        raise damaged(where, f"holds {kind} values, not rows of x, y, p, t")
    size = math.prod(shape) * dtype.itemsize
    if not 0 <= size <= len(content) - file.tell():
        raise damaged(where, "ends within its table")
    if size < len(content) - file.tell():
        raise damaged(where, "goes on behind its table")
    rows = np.frombuffer(content, dtype, offset=file.tell())
    x, y, p, t = rows.reshape(shape, order="F" if by_column else "C").astype(np.float64).T
    if not all(np.equal(column, np.rint(column)).all() for column in (x, y, p)):
        raise damaged(where, "has places or polarities that are not whole numbers")
    if not np.isin(p, (0, 1)).all() or not (np.abs(t) < 2**31).all():
        raise damaged(where, "has polarities other than 0 and 1 or times of more than 31 bits")
    return from_first(events_of(where, sensor, x, y, np.rint(t * 1000), p), where)


def _header(
    version: str, content: bytes, where: str, sensors: re.Pattern[bytes] | None = None
) -> int:
    """Return the length of a file's text header.

    Raises UserError if a line that matches `sensors` names another sensor than a DVS128.
    """
    header = AEDAT_HEADERS[version].match(content)
    if header is None:
        raise damaged(where, f"does not start as a file of AEDAT {version} does")
    for line in sensors.finditer(header[0]) if sensors else ():
        if not NO_SENSOR.fullmatch(line["name"]) and not DVS128.fullmatch(line["name"]):
            name = line["name"].decode(errors="replace").rpartition(".")[2]
            raise other_sensor(where, repr(name[:80]), "a DVS128")
    return header.end()


def events_of(
    where: str,
    sensor: tuple[int, int],
    x: NDArray[Any],
    y: NDArray[Any],
    t: NDArray[Any],
    p: NDArray[Any],
) -> NDArray[np.void]:
    """Return columns [E] of any number type as events [E] of the type EVENT.

    Raises UserError for events outside the sensor.
    """
    width, height = sensor
    if ((x < 0) | (x >= width) | (y < 0) | (y >= height)).any():
        raise damaged(where, f"has events outside {width}x{height}")
    events = np.empty(len(t), EVENT)
    events["x"], events["y"], events["t"], events["p"] = x, y, t, p
    return events


def from_first(events: NDArray[np.void], where: str) -> NDArray[np.void]:
    """Return events whose times start at 0 with the first event."""
    events = _in_time(events, where)
    events["t"] -= events["t"][0]
    return events


def _in_time(events: NDArray[np.void], where: str) -> NDArray[np.void]:
    """Return the events. Raises UserError unless there are some, in order of time."""
    t = events["t"]
    if not len(t):
        raise damaged(where, "has no events")
    if (t[1:] < t[:-1]).any():
        raise damaged(where, "has events that go back in time")
    if int(t[-1]) - int(t[0]) > LONGEST:
        raise damaged(where, "lasts longer than twelve days")
    return events


def other_sensor(where: str, sensor: str, expected: str) -> UserError:
    """Make the error for a file of another sensor."""
    return UserError(
        f"{where} is a recording of {sensor}, not of {expected}: use the archive as published"
    )


def damaged(where: str, problem: str) -> UserError:
    """Make the error for a damaged file."""
    return UserError(f"{where} {problem}: fetch the archive again")
