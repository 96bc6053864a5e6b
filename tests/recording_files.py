"""Each file format of recordings, written from its specification byte by byte, and archives."""

import io
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from projects import REAL

from hetspike.data.events.archives import Archive

Event = tuple[int, int, int, int]  # x, y, t [us], p
Members = Mapping[str, bytes]
DVS128 = (128, 128)
LABELS = "class,startTime_usec,endTime_usec\n"


def atis(*events: tuple[int, int, int, int]) -> bytes:
    """Events (x, y, t, p) in the 40-bit form: x, y, then p in the top bit over 23 bits of t."""
    return b"".join(bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for x, y, t, p in events)


def aedat2(*events: Event, header: bytes = b"# This is a raw AE data file\r\n") -> bytes:
    """A DVS128's AEDAT 2.0: mirrored both ways, columns in bits 8-14, rows in 1-7, OFF in bit 0."""
    pairs = ((127 - x << 8 | 127 - y << 1 | 1 - p, t) for x, y, t, p in events)
    return b"#!AER-DAT2.0\r\n" + header + b"".join(struct.pack(">II", *pair) for pair in pairs)


def aedat3_packet(
    *events: Event, kind: int = 1, overflows: int = 0, invalid: int = 0, room: int | None = None
) -> bytes:
    """A packet of AEDAT 3.1; the last `invalid` events are marked so, and `room` may be spare."""
    room = len(events) if room is None else room
    valid = len(events) - invalid
    header = struct.pack("<hhiiiiii", kind, 0, 8, 4, overflows, room, len(events), valid)
    data = (
        struct.pack("<II", x << 17 | y << 2 | p << 1 | (i < valid), t)
        for i, (x, y, t, p) in enumerate(events)
    )
    return header + b"".join(data) + b"\0" * (8 * (room - len(events)))


def aedat3(*packets: bytes, source: bytes = b"#Source 0: DVS128") -> bytes:
    lines = (b"#!AER-DAT3.1", b"#Format: RAW", source, b"#!END-HEADER", b"")
    return b"\r\n".join(lines) + b"".join(packets)


DESCRIPTION = """<dv version="2.0"><node name="outInfo" path="/outInfo/">{}</node></dv>"""
STREAM = """<node name="{0}" path="/outInfo/{0}/">
<attr key="typeIdentifier" type="string">{1}</attr>
<node name="info" path="/outInfo/{0}/info/"><attr key="sizeX" type="int">{2}</attr>
<attr key="sizeY" type="int">{3}</attr></node></node>"""


def as_it_is(content: bytes) -> bytes:
    return content


def lz4(content: bytes) -> bytes:
    """LZ4's frame around one block that is not compressed."""
    block = struct.pack("<I", 1 << 31 | len(content)) + content
    return bytes.fromhex("04224d18 604082") + block + bytes(4)


def zstd(content: bytes) -> bytes:
    """Zstandard's frame around one block that is not compressed."""
    size, block = struct.pack("<I", len(content)), struct.pack("<I", len(content) << 3 | 1)[:3]
    return bytes.fromhex("28b52ffd a0") + size + block + content


def aedat4(
    *packets: Sequence[Event],
    pack: Callable[[bytes], bytes] = as_it_is,
    compression: int = 0,
    kinds: Sequence[str] = ("EVTS",),
    stream: int = 0,
    index: bytes = b"",
    size: tuple[int, int] = DVS128,
) -> bytes:
    """AEDAT 4: a flatbuffer that describes the streams, then packets, and an index behind them."""
    streams = "".join(STREAM.format(i, kind, *size) for i, kind in enumerate(kinds))
    text = DESCRIPTION.format(streams).encode()
    content = b"".join(
        struct.pack("<II", stream, len(packed)) + packed
        for packed in (pack(aedat4_packet(*events)) for events in packets)
    )
    # root at 24, the identifier, then the table of fields at 8: it is 10 bytes long, the root 24;
    # compression lies at 4 in the root, the end of the packets at 16, the description's place at 8
    front = struct.pack("<I4sHHHHH6x", 24, b"IOHE", 10, 24, 4, 16, 8)
    end = 14 + 4 + len(front) + 24 + 4 + len(text) + 1 + len(content) if index else -1
    root = struct.pack("<iiIIq", 24 - 8, compression, 24 - 8, 0, end)
    head = front + root + struct.pack("<I", len(text)) + text + b"\0"
    return b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(head)) + head + content + index


def aedat4_packet(*events: Event) -> bytes:
    """A flatbuffer behind its size: a root whose only field is a vector of 16-byte structures."""
    front = struct.pack("<I4sHHH2x", 16, b"EVTS", 6, 8, 4)
    root = struct.pack("<iI4x", 16 - 8, 8)
    vector = b"".join(struct.pack("<qhhB3x", t, x, y, p) for x, y, t, p in events)
    buffer = front + root + struct.pack("<I", len(events)) + vector
    return struct.pack("<I", len(buffer)) + buffer


def npy(*events: Event, dtype: str = "<f8") -> bytes:
    """Rows of x, y, p and t in milliseconds."""
    rows = np.array([(x, y, p, t // 1000) for x, y, t, p in events], dtype).reshape(-1, 4)
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {rows.shape}, }}".encode()
    header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + rows.tobytes()


FAR = [*(n.to_bytes(4, "little") for n in (0, 1, 2**20, 2**28, 2**31 - 1, 2**31, 2**32 - 1))]
FAR += [*(n.to_bytes(8, "little") for n in (2**40, 2**63 - 1, 2**64 - 1)), b"99999999", b"-1"]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """With one to four changes: bits, bytes, pieces that changed places, ends, far numbers."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        # half of them near the ends, where heads are
        near = rng.choice([rng.randrange(90), -rng.randrange(1, 300), rng.randrange(10**6)])
        place = near % len(changed)
        other, length = rng.randrange(len(changed)), rng.randint(1, 16)
        match rng.randrange(7):
            case 0 | 1:
                changed[place] ^= 1 << rng.randrange(8)
            case 2:
                far = rng.choice(FAR)
                changed[place : place + len(far)] = far
            case 3:
                changed[place] = rng.randrange(256)
            case 4:
                piece = changed[place : place + length]
                changed[place : place + length] = changed[other : other + length]
                changed[other : other + length] = piece
            case 5:
                del changed[place : place + rng.choice([1, 4, 8, 10**6])]
            case 6:
                changed[place:place] = rng.randbytes(length)
        changed = changed or bytearray(b"#")
    return bytes(changed)


def shuffled(members: Members, seed: int) -> Members:
    names = sorted(members)
    random.Random(seed).shuffle(names)
    return {name: members[name] for name in names}


def zipped(members: Members) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():  # without a date: the same bytes every time
            archive.writestr(zipfile.ZipInfo(name), content, archive.compression)
    return file.getvalue()


def tarred(members: Members) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def real_digits(part: str, count: int) -> bytes:
    """So many of each digit, cut out of a part of N-MNIST under their own names."""
    members: dict[str, bytes] = {}
    with Archive(REAL / f"{part}.zip") as archive:
        for digit in range(10):
            names = [n for n in archive.names() if n.startswith(f"{part}/{digit}/")]
            members |= {name: archive.read(name) for name in names[:count]}
    return zipped(shuffled(members, 0))
