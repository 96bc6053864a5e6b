"""AEDAT 4, the format of the converted CIFAR10-DVS. The package `aedat` reads a file once checked.

A file is a line of text, a flatbuffer that describes its streams (the head), packets of flatbuffers
that may be compressed by LZ4 or Zstandard, and perhaps an index. aedat does not check its input:

    a wrong offset in the head ends the process
    a last packet that is cut off after a byte or two is skipped without an error
    a packet is decompressed whatever its size is

So this module checks the offsets, the packets and their decompressed sizes before aedat reads.

Formats: inivation.github.io/inivation-docs (AEDAT 4), RFC 8878 (Zstandard) and
github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md.
"""

import re
import struct
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hetspike.data.events.formats import damaged, events_of, from_first, other_sensor
from hetspike.errors import provided_by

FIRST_LINE = re.compile(rb"#!AER-DAT4\.0\r\n")
SMALLEST = 12  # bytes of a packet: its size, an offset and its type
UNPACKED = 2**30  # bytes of all decompressed packets, a hundred times those of a recording

# magic numbers of compressed frames, and the largest size to which a block decompresses
LZ4, LZ4_EXPANSION = 0x184D2204, 255  # bytes per compressed byte, by its code for lengths
LZ4_BLOCKS = {4: 2**16, 5: 2**18, 6: 2**20, 7: 2**22}
ZSTANDARD, ZSTANDARD_BLOCK = 0xFD2FB528, 2**17
SKIPPED = 0x184D2A50  # magic number, without its last 4 bits, of frames to skip in both formats


class Head(NamedTuple):
    """What the head of a file states about its packets."""

    compression: int
    end: int  # offset of the end of the packets; -1: the end of the file


def aedat4(content: bytes, where: str, sensor: tuple[int, int]) -> NDArray[np.void]:
    """Return the events of the first stream of events; arguments and result are as in `formats`.

    aedat opens files by name only, so the content is written to a temporary file.
    """
    with provided_by("datasets"):
        import aedat

    _check(content, where)
    with tempfile.NamedTemporaryFile(suffix=".aedat4") as file:
        file.write(content)
        file.flush()
        try:
            decoder = aedat.Decoder(file.name)
            streams = decoder.id_to_stream()
            first = min(id for id, stream in streams.items() if stream["type"] == "events")
            packets = [each["events"] for each in decoder if each["stream_id"] == first]
            raw = np.concatenate(packets)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # aedat's panics are of no narrower class
            problem = " ".join(str(error).split())
            raise damaged(where, f"is not AEDAT 4 ({problem})") from error
    if (size := (streams[first]["width"], streams[first]["height"])) != sensor:
        raise other_sensor(where, "{}x{} pixels".format(*size), "{}x{}".format(*sensor))
    return from_first(
        events_of(where, sensor, *(raw[name] for name in ("x", "y", "t", "on"))), where
    )


def _check(content: bytes, where: str) -> None:
    """Raise UserError unless the head is valid and valid packets follow it up to the index."""
    line = FIRST_LINE.match(content)
    if line is None:
        raise damaged(where, "does not start as a file of AEDAT 4.0 does")
    try:
        place = line.end() + 4 + _number("<I", content, line.end())
        head = _head(content[line.end() + 4 : place])
        end = len(content) if head.end == -1 else head.end
        unpacked = 0
        while place < end:
            packet = place + 8  # after the number of the stream and the size
            place = packet + _number("<I", content, place + 4)
            size = _unpacked(content[packet:place], head.compression)
            if size < SMALLEST:
                raise damaged(where, f"has a packet of {size} bytes")
            unpacked += size
            if unpacked > UNPACKED:
                raise damaged(where, f"unpacks to more than {UNPACKED / 1e6:,.0f} MB")
    except (struct.error, UnicodeDecodeError) as error:
        raise damaged(where, f"has a damaged head or packet ({error})") from error
    if place != end or end > len(content):
        raise damaged(where, "ends within a packet")


def _head(head: bytes) -> Head:
    """Return fields of the head. Raises struct.error or UnicodeDecodeError for wrong offsets."""
    root = _number("<I", head, 0)
    fields = root - _number("<i", head, root)
    known = (_number("<H", head, fields) - 4) // 2
    places = [_number("<H", head, fields + 4 + 2 * i) if i < known else 0 for i in range(3)]
    compression, end, text = (root + place if place else None for place in places)
    if text is not None:
        text += _number("<I", head, text)
        length = _number("<I", head, text)
        struct.unpack_from(f"<{length}s", head, text + 4)[0].decode()
    return Head(
        compression=0 if compression is None else _number("<i", head, compression),
        end=-1 if end is None else _number("<q", head, end),
    )


def _unpacked(packet: bytes, compression: int) -> int:
    """Return the largest size in bytes to which a packet decompresses.

    Raises struct.error if the packet is damaged.
    """
    if compression == 0:
        return len(packet)
    if compression not in PACKED:
        raise struct.error(f"a way to pack numbered {compression}")
    mark, blocks = PACKED[compression]
    place = total = 0
    while place < len(packet):
        magic = _number("<I", packet, place)
        if magic & ~0xF == SKIPPED:
            place += 8 + _number("<I", packet, place + 4)
            continue
        if magic != mark:
            raise struct.error("a packet is not packed as the head says")
        for size, end in blocks(packet, place + 4):
            total, place = total + size, end
    return total


def _lz4_blocks(packet: bytes, place: int) -> Iterator[tuple[int, int]]:
    """Yield the largest decompressed size of each block of a frame and the offset of its end.

    The last pair is 0 and the offset of the end of the frame.
    """
    flags, largest = _number("<B", packet, place), _number("<B", packet, place + 1) >> 4 & 7
    if largest not in LZ4_BLOCKS:
        raise struct.error("a packet has blocks of a size that LZ4 does not know")
    place += 3 + (8 if flags & 8 else 0) + (4 if flags & 1 else 0)
    while word := _number("<I", packet, place):
        size = word & 0x7FFFFFFF
        place += 4 + size + (4 if flags & 16 else 0)
        yield size if word >> 31 else min(LZ4_EXPANSION * size, LZ4_BLOCKS[largest]), place
    yield 0, place + 4 + (4 if flags & 4 else 0)


def _zstandard_blocks(packet: bytes, place: int) -> Iterator[tuple[int, int]]:
    """Yield the same as `_lz4_blocks` for a frame of Zstandard."""
    flags = _number("<B", packet, place)
    single_segment = flags & 32  # then the size of the content replaces the window's
    place += 1 + (0 if single_segment else 1) + (0, 1, 2, 4)[flags & 3]
    place += (1 if single_segment else 0, 2, 4, 8)[flags >> 6]
    last = 0
    while not last:
        word = _number("<H", packet, place) | _number("<B", packet, place + 2) << 16
        last, kind, size = word & 1, word >> 1 & 3, word >> 3
        place += 3 + (1 if kind == 1 else size)  # kind 1: one byte that is repeated
        yield ZSTANDARD_BLOCK if kind == 2 else size, place
    yield 0, place + (4 if flags & 4 else 0)


# number in the head -> magic number and function; each format has a fast and a strong level
PACKED = {
    **dict.fromkeys((1, 2), (LZ4, _lz4_blocks)),
    **dict.fromkeys((3, 4), (ZSTANDARD, _zstandard_blocks)),
}


def _number(form: str, content: bytes, place: int) -> int:
    if place < 0:  # struct would count it from the end
        raise struct.error(f"an offset is {place}")
    return struct.unpack_from(form, content, place)[0]
