"""The bytes of one recording, in the file format of its dataset -> events.

    atis    N-MNIST, N-Caltech101      .bin       40 bits an event, no header
    aedat2  CIFAR10-DVS as recorded    .aedat     AEDAT 2.0 of a DVS128
    aedat4  CIFAR10-DVS as converted   .aedat4    AEDAT 4, packets of flatbuffers
    aedat3  DVS128 Gesture             .aedat     AEDAT 3.1, packets of several kinds
    table   DVS128 Gesture, cut up     .npy       a row an event

Each takes the content, how errors name its file, and the sensor's width and height, and returns [E]
structured EVENT in order of time. t counts from the first event; that of `atis`, whose clock starts
with the recording, stays as it is, and that of `aedat3` is the camera's clock, which the labels of
the gestures refer to: `clip` cuts and counts from the cut. A file that is damaged, that has
no events, or has them outside the sensor or back in time raises UserError.

Formats: inivation.github.io/inivation-docs (AEDAT 2.0, 3.1, 4), garrickorchard.com/datasets (ATIS).
"""

import io
import re
import struct
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetspike.errors import UserError
from hetspike.events.recordings import EVENT

Decoder = Callable[[bytes, str, tuple[int, int]], NDArray[np.void]]

ATIS_BYTES = 5  # x, y, then polarity in the top bit and 23 bits of microseconds

# what a file of AEDAT starts with, by version
AEDAT_HEADERS = {
    "2.0": re.compile(rb"#!AER-DAT2\.0\r?\n(?:#[^\n]*\n)*"),
    "3.1": re.compile(rb"#!AER-DAT3\.1\r?\n(?:#[^\n]*\n)*?#!END-HEADER\r?\n"),
    "4.0": re.compile(rb"#!AER-DAT4\.0\r\n"),
}
AEDAT2_EVENT = np.dtype([("address", ">u4"), ("t", ">u4")])
DVS128_SPECIAL = 1 << 15  # set in the addresses of events that no pixel sent, of 16 bits at most

# event type, source, size [bytes], place of the time in it, overflows of the clock; then numbers
# of events: room for, filled, valid
AEDAT3_PACKET = struct.Struct("<hhiiiiii")
AEDAT3_EVENT = np.dtype([("data", "<u4"), ("t", "<u4")])
AEDAT3_POLARITY = 1  # the event type of what pixels send


def atis(content: bytes, where: str, sensor: tuple[int, int]) -> NDArray[np.void]:
    """The 40-bit events of an ATIS, read by tonic."""
    from tonic.io import read_mnist_file

    if not content or len(content) % ATIS_BYTES:
        raise _damaged(
            where, f"has {len(content)} bytes, not a whole number of {ATIS_BYTES}-byte events"
        )
    events = read_mnist_file(io.BytesIO(content), EVENT, is_stream=True)
    return _in_time(_events(where, sensor, *(events[name] for name in "xytp")), where)


def aedat2(content: bytes, where: str, sensor: tuple[int, int]) -> NDArray[np.void]:
    """AEDAT 2.0 of a DVS128: a text header, then big-endian pairs of an address and a time.

    The picture stands upright: x = 127 - (address bits 8-14), y = 127 - (bits 1-7), and bit 0 is 0
    for brighter, as SpikingJelly reads it. (tonic 1.7.0's `read_dvs_128` fails on every file.)
    """
    data = content[_header("2.0", content, where) :]
    if len(data) % AEDAT2_EVENT.itemsize:
        raise _damaged(
            where,
            f"has {len(data)} bytes of data, not a whole number of "
            f"{AEDAT2_EVENT.itemsize}-byte events",
        )
    raw = np.frombuffer(data, AEDAT2_EVENT)
    if (raw["address"] >= 2 * DVS128_SPECIAL).any():
        raise _damaged(where, "has addresses of more than 16 bits, which no DVS128 sends")
    pixels = raw[raw["address"] < DVS128_SPECIAL]
    address = pixels["address"]
    x, y, p = 127 - (address >> 8), 127 - (address >> 1 & 127), 1 - (address & 1)
    return _from_first(_events(where, sensor, x, y, pixels["t"], p), where)


def aedat3(content: bytes, where: str, sensor: tuple[int, int]) -> NDArray[np.void]:
    """AEDAT 3.1: a text header, then packets; the valid polarity events of all, on their clock.

    The order of time is checked by `clip`, within what is used of the file.
    """
    place = _header("3.1", content, where)
    packets = [np.empty(0, EVENT)]
    while place < len(content):
        if len(content) - place < AEDAT3_PACKET.size:
            raise _damaged(where, "ends within a packet")
        kind, _, size, offset, overflows, room, filled, _ = AEDAT3_PACKET.unpack_from(
            content, place
        )
        place += AEDAT3_PACKET.size
        if size <= 0 or not 0 <= filled <= room or overflows < 0:
            raise _damaged(where, "has a packet whose header contradicts itself")
        if size * room > len(content) - place:
            raise _damaged(where, "ends within a packet")
        if kind == AEDAT3_POLARITY:
            if (size, offset) != (AEDAT3_EVENT.itemsize, 4):
                raise _damaged(where, f"has polarity events of {size} bytes, not AEDAT 3.1's 8")
            raw = np.frombuffer(content, AEDAT3_EVENT, filled, place)
            raw = raw[raw["data"] & 1 == 1]  # valid
            x, y, p = (raw["data"] >> n for n in (17, 2, 1))
            t = raw["t"].astype(np.int64) + (overflows << 31)
            packets.append(_events(where, sensor, x, y & 0x7FFF, t, p & 1))
        place += size * room
    return np.concatenate(packets)


def clip(events: NDArray[np.void], begin: int, end: int, where: str) -> NDArray[np.void]:
    """The events with begin <= t < end, counted from begin."""
    cut = events[(events["t"] >= begin) & (events["t"] < end)]
    cut["t"] -= begin
    return _in_time(cut, where)


def aedat4(content: bytes, where: str, sensor: tuple[int, int]) -> NDArray[np.void]:
    """AEDAT 4: the first stream of events, read by tonic and the package `aedat`.

    They read a file by its name only, so it is written to a temporary one.
    """
    from tonic.io import read_aedat4

    _check_aedat4(content, where)
    with tempfile.NamedTemporaryFile(suffix=".aedat4") as file:
        file.write(content)
        file.flush()
        try:
            raw = read_aedat4(file.name)
        except Exception as error:  # tonic and aedat raise no narrower class
            raise _damaged(where, f"is not AEDAT 4 ({error})") from error
    return _from_first(
        _events(where, sensor, *(raw[name] for name in ("x", "y", "t", "on"))), where
    )


def table(content: bytes, where: str, sensor: tuple[int, int]) -> NDArray[np.void]:
    """NumPy's format: [E, 4] numbers, the columns x, y, p and t in milliseconds."""
    file = io.BytesIO(content)
    try:
        rows = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # numpy raises almost anything on damaged headers
        raise _damaged(where, "is not a table of numbers") from error
    if file.tell() != len(content):
        raise _damaged(where, "goes on behind its table")
    if rows.ndim != 2 or rows.shape[1] != 4 or rows.dtype.kind not in "iuf":
        shape = "x".join(map(str, rows.shape))
        raise _damaged(where, f"holds {shape} {rows.dtype} values, not rows of x, y, p, t")
    x, y, p, t = rows.astype(np.float64).T
    if not all(np.equal(column, np.rint(column)).all() for column in (x, y, p)):
        raise _damaged(where, "has places or polarities that are not whole numbers")
    if not np.isin(p, (0, 1)).all() or not (np.abs(t) < 2**31).all():
        raise _damaged(where, "has polarities other than 0 and 1 or times of more than 31 bits")
    return _from_first(_events(where, sensor, x, y, np.rint(t * 1000), p), where)


def _check_aedat4(content: bytes, where: str) -> None:
    """Whether the head is sound and packets fill the file up to the index that may end it.

    aedat follows the offsets in the head blindly, which ends the process when they are wrong, and
    passes over a last packet of which only a byte or two are there.
    """
    begin = _header("4.0", content, where)
    try:
        place = begin + 4 + _number("<I", content, begin)
        end = _end_of_packets(content[begin + 4 : place])
        end = len(content) if end == -1 else end
        while place < end:
            place += 8 + _number("<I", content, place + 4)  # behind the stream's number
    except (struct.error, UnicodeDecodeError) as error:
        raise _damaged(where, f"has a damaged head or last packet ({error})") from error
    if place != end or end > len(content):
        raise _damaged(where, "ends within a packet")


def _end_of_packets(head: bytes) -> int:
    """Where in the file the packets end, or -1: a field of the flatbuffer that heads AEDAT 4.

    Raises struct.error or UnicodeDecodeError where one of its fields leads out of it.
    """
    root = _number("<I", head, 0)
    fields = root - _number("<i", head, root)
    known = (_number("<H", head, fields) - 4) // 2
    places = [_number("<H", head, fields + 4 + 2 * i) if i < known else 0 for i in range(3)]
    compression, end, text = (root + place if place else None for place in places)
    if compression is not None:
        _number("<i", head, compression)
    if text is not None:
        text += _number("<I", head, text)
        length = _number("<I", head, text)
        struct.unpack_from(f"<{length}s", head, text + 4)[0].decode()
    return -1 if end is None else _number("<q", head, end)


def _number(form: str, content: bytes, place: int) -> int:
    if place < 0:  # which struct would count from the end
        raise struct.error(f"an offset is {place}")
    return struct.unpack_from(form, content, place)[0]


def _header(version: str, content: bytes, where: str) -> int:
    """The length of a file's text header."""
    found = AEDAT_HEADERS[version].match(content)
    if found is None:
        raise _damaged(where, f"does not start as a file of AEDAT {version} does")
    return found.end()


def _events(
    where: str,
    sensor: tuple[int, int],
    x: NDArray[Any],
    y: NDArray[Any],
    t: NDArray[Any],
    p: NDArray[Any],
) -> NDArray[np.void]:
    """Columns [E] of any number type as EVENT; x and y must lie on the sensor."""
    width, height = sensor
    if ((x < 0) | (x >= width) | (y < 0) | (y >= height)).any():
        raise _damaged(where, f"has events outside {width}x{height}")
    events = np.empty(len(t), EVENT)
    events["x"], events["y"], events["t"], events["p"] = x, y, t, p
    return events


def _from_first(events: NDArray[np.void], where: str) -> NDArray[np.void]:
    events["t"] -= events["t"][:1]
    return _in_time(events, where)


def _in_time(events: NDArray[np.void], where: str) -> NDArray[np.void]:
    if not len(events):
        raise _damaged(where, "has no events")
    if (np.diff(events["t"]) < 0).any():
        raise _damaged(where, "has events that go back in time")
    return events


def _damaged(where: str, what: str) -> UserError:
    return UserError(f"{where} {what}: fetch the archive again")
