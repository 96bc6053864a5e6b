"""Each file format is written here from its specification, byte by byte, and read back."""

import io
import random
import struct
import zipfile
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from projects import REAL
from recording_files import (
    DVS128,
    Event,
    aedat2,
    aedat3,
    aedat3_packet,
    aedat4,
    as_it_is,
    atis,
    lz4,
    mutated,
    npy,
    zstd,
)

from hetspike.data.events import formats
from hetspike.data.events.aedat4 import aedat4 as read_aedat4
from hetspike.data.events.recordings import EVENT
from hetspike.errors import UserError

# the bytes of one event each, so that the encoders above are not checked against themselves


def test_an_event_of_aedat_2_by_hand():
    content = aedat2((127, 126, 0x01020304, 1), header=b"")
    assert content == b"#!AER-DAT2.0\r\n" + bytes([0, 0, 0, 2, 1, 2, 3, 4])
    assert formats.aedat2(content, "file", DVS128).tolist() == [(127, 126, 0, True)]


def test_an_event_of_aedat_3_by_hand():
    content = aedat3(aedat3_packet((1, 2, 0x01020304, 1)))
    packet = "0100 0000 08000000 04000000 00000000 01000000 01000000 01000000 0b000200 04030201"
    assert content.endswith(b"#!END-HEADER\r\n" + bytes.fromhex(packet))
    assert formats.aedat3(content, "file", DVS128).tolist() == [(1, 2, 0x01020304, True)]


def test_an_event_of_aedat_4_by_hand():
    content = aedat4([(1, 2, 0x01020304, 1)])
    event = "04030201 00000000 0100 0200 01 000000"
    assert content.endswith(struct.pack("<I", 1) + bytes.fromhex(event))
    assert read_aedat4(content, "file", DVS128).tolist() == [(1, 2, 0, True)]


def test_a_row_of_a_table_by_hand():
    content = npy((1, 2, 3000, 1), (1, 2, 5000, 0), dtype="<i2")
    assert content.endswith(bytes([1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 0, 0, 5, 0]))
    assert np.array_equal(np.load(io.BytesIO(content)), [(1, 2, 1, 3), (1, 2, 0, 5)])
    events = formats.table(content, "file", DVS128)
    assert events.tolist() == [(1, 2, 0, True), (1, 2, 2000, False)]


# any recording comes back

pixel = st.integers(0, 127)
recordings = st.lists(
    st.tuples(pixel, pixel, st.integers(0, 2**23 - 1), st.integers(0, 1)), min_size=1, max_size=30
).map(lambda events: sorted(events, key=lambda event: event[2]))


def from_first(events: Sequence[Event], unit: int = 1) -> list[Event]:
    first = events[0][2] // unit * unit
    return [(x, y, t // unit * unit - first, bool(p)) for x, y, t, p in events]


@given(recordings)
def test_atis_reads_what_was_written(events):
    read = formats.atis(atis(*events), "file", DVS128)
    assert read.dtype == EVENT
    assert read.tolist() == [(x, y, t, bool(p)) for x, y, t, p in events]


@given(recordings)
def test_aedat_2_reads_what_was_written(events):
    assert formats.aedat2(aedat2(*events), "file", DVS128).tolist() == from_first(events)


@given(recordings, st.integers(1, 30), st.integers(0, 5))
def test_aedat_3_reads_what_was_written(events, per_packet, spare):
    packets = [
        aedat3_packet(*events[i : i + per_packet], room=per_packet + spare)
        for i in range(0, len(events), per_packet)
    ]
    read = formats.aedat3(aedat3(*packets), "file", DVS128)
    assert read.dtype == EVENT
    assert read.tolist() == [(x, y, t, bool(p)) for x, y, t, p in events]


@given(recordings, st.integers(1, 30), st.sampled_from([(0, as_it_is), (1, lz4), (3, zstd)]))
def test_aedat_4_reads_what_was_written(events, per_packet, packing):
    compression, pack = packing
    packets = [events[i : i + per_packet] for i in range(0, len(events), per_packet)]
    content = aedat4(*packets, pack=pack, compression=compression)
    assert read_aedat4(content, "file", DVS128).tolist() == from_first(events)


@given(recordings, st.sampled_from(["<f8", "<f4", "<i8", "<u2", ">i4"]))
def test_a_table_reads_what_was_written(events, dtype):
    content = npy(*events, dtype=dtype)
    assert formats.table(content, "file", DVS128).tolist() == from_first(events, unit=1000)


# what the formats leave room for


def test_overflows_of_the_40_bit_clock_are_no_events():
    # y = 240 marks one: 2^13 us are added from here on
    content = atis((1, 2, 5, 1), (0, 240, 6, 0), (3, 4, 7, 0))
    assert formats.atis(content, "file", (240, 180)).tolist() == [
        (1, 2, 5, True),
        (3, 4, 7 + 8192, False),
    ]


def test_special_events_of_a_dvs128_are_passed_over():
    special = struct.pack(">II", 1 << 15 | 99, 11)
    content = aedat2((1, 2, 10, 1)) + special + aedat2((3, 4, 12, 0), header=b"")[14:]
    assert formats.aedat2(content, "file", DVS128).tolist() == [(1, 2, 0, True), (3, 4, 2, False)]


def test_other_packets_and_invalid_events_of_aedat_3_are_passed_over():
    content = aedat3(
        aedat3_packet((9, 9, 1, 1), kind=0),
        aedat3_packet((1, 2, 5, 1), (99, 99, 6, 1), invalid=1, room=4),
        aedat3_packet((127, 127, 0, 0), kind=3),
        aedat3_packet((3, 4, 7, 0)),
    )
    assert formats.aedat3(content, "file", DVS128).tolist() == [(1, 2, 5, True), (3, 4, 7, False)]


def test_overflows_of_aedat_3_s_clock_count_2_to_the_31():
    content = aedat3(aedat3_packet((1, 2, 2**31 - 1, 1)), aedat3_packet((1, 2, 4, 1), overflows=1))
    assert formats.aedat3(content, "file", DVS128)["t"].tolist() == [2**31 - 1, 2**31 + 4]


def test_a_clip_counts_from_its_begin_and_leaves_out_its_end():
    events = formats.aedat3(
        aedat3(aedat3_packet(*((i, 0, t, 1) for i, t in enumerate([99, 100, 150, 200])))),
        "file",
        DVS128,
    )
    assert formats.clip(events, 100, 200, "file").tolist() == [(1, 0, 0, True), (2, 0, 50, True)]
    assert events["t"].tolist() == [99, 100, 150, 200]  # cutting leaves the trial as it is


def test_the_clock_of_a_trial_may_start_again_outside_of_a_clip():
    packets = aedat3_packet((1, 1, 900, 1)), aedat3_packet((2, 2, 100, 1), (3, 3, 200, 1))
    events = formats.aedat3(aedat3(*packets), "file", DVS128)
    assert formats.clip(events, 100, 300, "file")["t"].tolist() == [0, 100]
    with pytest.raises(UserError, match="file has events that go back in time"):
        formats.clip(events, 0, 1000, "file")


def test_the_index_behind_the_packets_of_aedat_4_is_passed_over():
    content = aedat4([(1, 2, 5, 1)], [(3, 4, 9, 0)], index=b"positions of packets")
    assert read_aedat4(content, "file", DVS128)["t"].tolist() == [0, 4]


def test_the_first_stream_of_events_is_read():
    content = aedat4([(1, 2, 5, 1)], kinds=("FRME", "EVTS", "EVTS"), stream=1)
    assert len(read_aedat4(content, "file", DVS128)) == 1


@given(recordings, st.sampled_from([0, 1, 2**31 - 10, 2**31, 2**32 - 5, 2**32 - 2**22]))
def test_the_clock_of_aedat_2_may_have_a_sign_and_start_again_from_nothing(events, start):
    """From below zero, as 32 bits with a sign are, and beyond 2^31 and 2^32."""
    late = [(x, y, (t + start) % 2**32, p) for x, y, t, p in events]
    assert formats.aedat2(aedat2(*late), "file", DVS128).tolist() == from_first(events)


@given(recordings, st.sampled_from(["<f8", "<f4", "<i8", ">i4"]), st.integers(1, 10_000))
def test_a_table_may_start_below_zero(events, dtype, before):
    early = [(x, y, t // 1000 * 1000 - 1000 * before, p) for x, y, t, p in events]
    assert formats.table(npy(*early, dtype=dtype), "file", DVS128).tolist() == from_first(
        events, unit=1000
    )


@given(recordings, st.integers(1, 2**40))
def test_aedat_4_may_start_below_zero(events, before):
    early = [(x, y, t - before, p) for x, y, t, p in events]
    assert read_aedat4(aedat4(early), "file", DVS128).tolist() == from_first(events)


def test_a_clock_of_aedat_3_below_zero_is_before_every_clip():
    events = formats.aedat3(aedat3(aedat3_packet((1, 2, 2**32 - 7, 1), (3, 4, 5, 1))), "", DVS128)
    assert events["t"].tolist() == [-7, 5]
    assert formats.clip(events, 0, 10, "file").tolist() == [(3, 4, 5, True)]


# files of another sensor

CHIPS = {  # as jAER, libcaer and converters write them: whether they are a DVS128
    b"ch.unizh.ini.jaer.chip.retina.DVS128": True,
    b"ch.unizh.ini.caviar.chip.retina.Tmpdiff128": True,
    b"DVS128": True,
    b"Dvs128": True,
    b"eu.seebetter.ini.chips.davis.DAVIS240C": False,
    b"eu.seebetter.ini.chips.davis.Davis346red": False,
    b"ch.unizh.ini.jaer.chip.retina.DVS1280x720SD": False,
    b"ch.unizh.ini.jaer.chip.retina.DVS640": False,
    b"ch.unizh.ini.jaer.chip.cochlea.CochleaAMS1c": False,
    b"Prophesee Gen 3.1 (VGA)": False,
}
SOURCES = {
    b"#Source 1: DVS128": True,
    b"#Source 1: DVS128\r\n#Start-Time: 2016-09-30 12:00:00": True,
    b"#Source 2: Processor\r\n#-Source 1: DVS128": True,
    b"#Start-Time: 2016-09-30 12:00:00": True,
    b"#Source 1: DAVIS240C": False,
    b"#Source 2: Processor\r\n#-Source 1: DAVIS346": False,
    b"#Source 0: DVS128\r\n#Source 1: eDVS4337": False,
}
SIZES = {(128, 128): True, (346, 260): False, (128, 127): False, (240, 180): False}


def test_a_file_of_another_sensor_is_refused_though_its_events_lie_on_this_one(tried):
    lines = (b"# AEChip: %s\r\n", b"#AEChip:%s\n")
    heads = [(line % chip, right) for line in lines for chip, right in CHIPS.items()]
    files = [
        *((formats.aedat2, aedat2(ONE, header=head), right) for head, right in heads),
        *((formats.aedat3, aedat3(aedat3_packet(ONE), source=s), r) for s, r in SOURCES.items()),
        *((read_aedat4, aedat4([ONE], size=size), right) for size, right in SIZES.items()),
    ]
    refused = 0
    for decode, content, right in files:
        if right:
            assert len(decode(content, "file", DVS128)) == 1
            continue
        with pytest.raises(
            UserError, match=r"^file is a recording of .+, not of (a DVS128|128x128)"
        ):
            decode(content, "file", DVS128)
        refused += 1
    tried(
        "Readers", "Files by the sensor that they name", refused=refused, right=len(files) - refused
    )


# packets that unpack to gigabytes


def repeated(blocks: int) -> bytes:
    """A frame of Zstandard: so many blocks of one byte, which is repeated 2^17 times."""
    block = struct.pack("<I", 2**17 << 3 | 1 << 1)[:3] + b"x"
    last = struct.pack("<I", 1)[:3]
    return bytes.fromhex("28b52ffd 00 58") + blocks * block + last


def long_runs(blocks: int) -> bytes:
    """A frame of LZ4: so many packed blocks of 20 kB, which unpack to at most 2^22 bytes."""
    block = struct.pack("<I", 20_000) + bytes([0x1F, 0, 1, 0]) + b"\xff" * 19_990 + b"\0" * 6
    return bytes.fromhex("04224d18 407082") + blocks * block + bytes(4)


@pytest.mark.parametrize(("bomb", "compression"), [(repeated, 3), (repeated, 4), (long_runs, 2)])
def test_packets_that_unpack_to_gigabytes_are_refused_before_they_do(bomb, compression):
    def pack(content: bytes) -> bytes:
        return bomb(8200 if bomb is repeated else 260)

    content = aedat4([ONE], pack=pack, compression=compression)
    assert len(content) < 6e6
    with pytest.raises(UserError, match=r"^file unpacks to more than 1,074 MB: fetch"):
        read_aedat4(content, "file", DVS128)


def test_frames_of_a_packet_may_follow_each_other_and_ones_to_be_skipped():
    def in_two(content: bytes) -> bytes:
        skipped = struct.pack("<II", 0x184D2A5F, 3) + b"..."
        return zstd(content[:9]) + skipped + zstd(content[9:])

    content = aedat4([ONE], pack=in_two, compression=3)
    assert read_aedat4(content, "file", DVS128).tolist() == [(1, 2, 0, True)]


# other readers agree


def test_tonic_reads_the_same_pairs_of_aedat_2(tmp_path):
    from tonic.io import get_aer_events_from_file, read_aedat_header_from_file

    path = tmp_path / "recording.aedat"
    path.write_bytes(aedat2((1, 2, 1000, 1), (127, 0, 1005, 0)))
    version, start, _ = read_aedat_header_from_file(path)
    pairs = get_aer_events_from_file(path, version, start)
    ours = formats.aedat2(path.read_bytes(), "file", DVS128)
    assert np.array_equal(127 - (pairs["address"] >> 8 & 127), ours["x"])
    assert np.array_equal(127 - (pairs["address"] >> 1 & 127), ours["y"])
    assert np.array_equal(pairs["address"] & 1 == 0, ours["p"])
    assert np.array_equal(pairs["timeStamp"] - pairs["timeStamp"][0], ours["t"])


def test_tonic_reads_the_same_words_of_aedat_3(tmp_path):
    from tonic.io import get_aer_events_from_file, read_aedat_header_from_file

    path = tmp_path / "trial.aedat"
    path.write_bytes(
        aedat3(aedat3_packet((1, 2, 5, 1), (127, 0, 6, 0)), aedat3_packet((3, 4, 9, 1)))
    )
    version, start, _ = read_aedat_header_from_file(path)
    words = get_aer_events_from_file(path, version, start)
    ours = formats.aedat3(path.read_bytes(), "file", DVS128)
    # as tonic's `read_dvs_ibm` takes them apart, which fails on the header before that
    assert np.array_equal(words["address"] >> 17 & 0x1FFF, ours["x"])
    assert np.array_equal(words["address"] >> 2 & 0x1FFF, ours["y"])
    assert np.array_equal(words["address"] >> 1 & 1, ours["p"])
    assert np.array_equal(words["timeStamp"], ours["t"])


@pytest.mark.skipif(
    not (REAL / "Train.zip").is_file(),
    reason="N-MNIST recordings are not beside the repository: the decoder is not checked on them",
)
def test_real_40_bit_recordings():
    with zipfile.ZipFile(REAL / "Test.zip") as archive:
        for name in [n for n in archive.namelist() if n.endswith(".bin")][:20]:
            content = archive.read(name)
            raw = np.frombuffer(content, np.uint8).reshape(-1, 5).astype(np.int64)
            events = formats.atis(content, name, (34, 34))
            assert np.array_equal(events["x"], raw[:, 0])
            assert np.array_equal(events["y"], raw[:, 1])
            assert np.array_equal(events["p"], raw[:, 2] >> 7 == 1)
            clock = (raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]
            assert np.array_equal(events["t"], clock)


# what is wrong with a file is said in one line

ONE = (1, 2, 3000, 1)


@pytest.mark.parametrize(
    ("decode", "content", "problem"),
    [
        (formats.atis, b"", "has 0 bytes, not a whole number of 5-byte events"),
        (formats.atis, atis(ONE)[:-1], "has 4 bytes, not a whole number of 5-byte events"),
        (formats.atis, atis((128, 0, 1, 1)), "has events outside 128x128"),
        (formats.atis, atis((0, 0, 9, 1), (0, 0, 8, 1)), "has events that go back in time"),
        (formats.atis, atis((0, 240, 0, 0)), "has no events"),
        (formats.aedat2, b"", "does not start as a file of AEDAT 2.0 does"),
        (formats.aedat2, aedat3(), "does not start as a file of AEDAT 2.0 does"),
        (formats.aedat2, aedat2(), "has no events"),
        (formats.aedat2, aedat2(ONE)[:-3], "has 5 bytes of data, not a whole number of 8-byte"),
        (formats.aedat2, aedat2() + struct.pack(">II", 1 << 16, 0), "addresses of more than 16"),
        (formats.aedat2, aedat2((0, 0, 9, 1), (0, 0, 8, 1)), "has events that go back in time"),
        (formats.aedat3, aedat2(ONE), "does not start as a file of AEDAT 3.1 does"),
        (formats.aedat3, aedat3()[:-4], "does not start as a file of AEDAT 3.1 does"),
        (formats.aedat3, aedat3(aedat3_packet(ONE))[:-1], "ends within a packet"),
        (formats.aedat3, aedat3(aedat3_packet(ONE)[:9]), "ends within a packet"),
        (formats.aedat3, aedat3(aedat3_packet(ONE, room=0)), "contradicts itself"),
        (formats.aedat3, aedat3(aedat3_packet(ONE, overflows=-1)), "contradicts itself"),
        (formats.aedat3, aedat3(aedat3_packet((128, 0, 1, 1))), "has events outside 128x128"),
        (
            formats.aedat3,
            aedat3(struct.pack("<hhiiiiii", 1, 0, 12, 8, 0, 1, 1, 1) + bytes(12)),
            "has polarity events of 12 bytes, not AEDAT 3.1's 8",
        ),
        (read_aedat4, aedat3(), "does not start as a file of AEDAT 4.0 does"),
        (read_aedat4, aedat4(), "is not AEDAT 4"),
        (read_aedat4, aedat4([]), "has no events"),
        (read_aedat4, aedat4([ONE], kinds=("FRME",)), "is not AEDAT 4"),
        (read_aedat4, aedat4([ONE])[:-1], "ends within a packet"),
        (read_aedat4, aedat4([ONE]) + b"\0", "has a damaged head or packet"),
        (read_aedat4, aedat4([ONE], index=b"index")[:-6], "ends within a packet"),
        (read_aedat4, aedat4([ONE], compression=1), "a packet is not packed as the head says"),
        (read_aedat4, aedat4([ONE], compression=9), "a way to pack numbered 9"),
        (read_aedat4, aedat4([(0, 128, 0, 1)]), "has events outside 128x128"),
        (read_aedat4, aedat4([(-1, 0, 0, 1)]), "has events outside 128x128"),
        (read_aedat4, aedat4([(0, 0, 9, 1)], [(0, 0, 8, 1)]), "go back in time"),
        (formats.table, b"", "is not a table of numbers"),
        (formats.table, npy(ONE)[:-1], "ends within its table"),
        (formats.table, npy(ONE) + b"\0", "goes on behind its table"),
        (formats.table, npy(), "has no events"),
        (formats.table, npy((0, 128, 0, 1)), "has events outside 128x128"),
        (formats.table, npy((-1, 0, 0, 1)), "has events outside 128x128"),
        (formats.table, npy((0, 0, 0, 2)), "has polarities other than 0 and 1"),
        (formats.table, npy((0, 0, 2**42, 1)), "or times of more than 31 bits"),
        (formats.table, npy((0, 0, 9000, 1), (0, 0, 8000, 1)), "go back in time"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(decode, content, problem):
    with pytest.raises(
        UserError, match=f"^archive: 'file' .*{problem}.*: fetch the archive again$"
    ) as error:
        decode(content, "archive: 'file'", DVS128)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.zeros((3, 5)), "holds 3x5 float64 values, not rows of x, y, p, t"),
        (np.zeros(4), "holds 4 float64 values"),
        (np.zeros((1, 4), complex), "holds 1x4 complex128 values"),
        (np.array([[0.5, 0, 1, 0]]), "places or polarities that are not whole numbers"),
        (np.array([[0, np.nan, 1, 0]]), "places or polarities that are not whole numbers"),
        (np.array([[0, np.inf, 1, 0]]), "has events outside 128x128"),
        (np.array([[0, 0, 1, np.nan]]), "or times of more than 31 bits"),
        (np.array([["x", "y", "p", "t"]], dtype=object), "holds 1x4 object values"),
    ],
)
def test_a_table_of_something_else_is_refused(values, problem):
    file = io.BytesIO()
    np.save(file, values)
    with pytest.raises(UserError, match=problem):
        formats.table(file.getvalue(), "file", DVS128)


def test_a_table_that_claims_more_memory_than_there_is_is_refused():
    content = npy(ONE).replace(b"(1, 4), }        ", b"(99999999999, 4)}")
    with pytest.raises(UserError, match="ends within its table"):
        formats.table(content, "file", DVS128)


# numbers that lead far away, in the orders that the formats know


SEVERAL = [(i * 7 % 128, i, 1000 * i, i % 2) for i in range(12)]
SOUND: dict[str, tuple[formats.Decoder, list[bytes]]] = {
    "40 bits": (formats.atis, [atis(*SEVERAL)]),
    "AEDAT 2.0": (formats.aedat2, [aedat2(*SEVERAL)]),
    "AEDAT 3.1": (
        lambda *file: formats.clip(formats.aedat3(*file), 0, 2**40, file[1]),
        [aedat3(aedat3_packet(*SEVERAL[:5]), aedat3_packet(*SEVERAL[5:], room=9, invalid=2))],
    ),
    "AEDAT 4": (
        read_aedat4,
        [
            aedat4(SEVERAL[:5], SEVERAL[5:], index=b"index"),
            aedat4(SEVERAL[:4], SEVERAL[4:], pack=lz4, compression=1),
            aedat4(SEVERAL, pack=zstd, compression=3),
        ],
    ),
    "tables": (formats.table, [npy(*SEVERAL), npy(*SEVERAL, dtype="<i2")]),
}


@pytest.mark.parametrize("form", SOUND)
def test_a_file_with_mutations_gives_events_or_one_line(form, tried):
    decode, files = SOUND[form]
    rng = random.Random(form)
    right = refused = 0
    for content in 400 * files:
        try:
            events = decode(mutated(content, rng), "file", DVS128)
        except UserError as error:
            assert "\n" not in str(error) and len(str(error)) < 300
            refused += 1
            continue
        assert events.dtype == EVENT and len(events)
        for axis in "xy":
            assert 0 <= events[axis].min() <= events[axis].max() < 128
        assert (np.diff(events["t"]) >= 0).all()
        right += 1
    tried("Readers", f"Bytes of a recording changed: {form}", refused=refused, right=right)


@settings(max_examples=500)
@given(st.data())
def test_bytes_changed_at_random_give_events_or_one_error(data):
    """aedat alone ends the process on some of these."""
    decode, content = data.draw(
        st.sampled_from(
            [
                (formats.atis, atis(ONE, ONE)),
                (formats.aedat2, aedat2(ONE, ONE)),
                (formats.aedat3, aedat3(aedat3_packet(ONE, ONE), aedat3_packet(ONE))),
                (read_aedat4, aedat4([ONE, ONE], [ONE], index=b"index")),
                (read_aedat4, aedat4([ONE, ONE], pack=zstd, compression=3)),
                (formats.table, npy(ONE, ONE)),
            ]
        )
    )
    changed = bytearray(content)
    # heads of AEDAT 4 lie before byte 80, what follows is text
    for place in data.draw(st.lists(st.integers(0, min(len(content), 80) - 1), max_size=3)):
        changed[place] = data.draw(st.integers(0, 255))
    for place in data.draw(st.lists(st.integers(1, min(len(content), 120)), max_size=3)):
        changed[-place] = data.draw(st.integers(0, 255))
    try:
        events = decode(bytes(changed), "file", DVS128)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert events.dtype == EVENT and events["x"].max(initial=0) < 128


@pytest.mark.parametrize("place", range(18, 60))
def test_a_wrong_offset_in_the_head_of_aedat_4_does_not_end_the_process(place):
    content = aedat4([ONE])
    for value in (0, 127, 128, 255):
        changed = content[:place] + bytes([value]) + content[place + 1 :]
        try:
            read_aedat4(changed, "file", DVS128)
        except UserError as error:
            assert "\n" not in str(error)


def test_an_offset_that_leads_before_the_head_of_aedat_4_is_refused():
    """Counted from the end of the head, as Python counts, it would lead to a sound table."""
    content = aedat4([ONE])
    length = struct.unpack_from("<I", content, 14)[0]
    fields, head, packets = content[26:36], content[18 : 18 + length], content[18 + length :]
    head = head[:24] + struct.pack("<i", 24 + len(fields)) + head[28:] + fields
    changed = content[:14] + struct.pack("<I", len(head)) + head + packets
    with pytest.raises(UserError, match=r"damaged head or packet \(an offset is -10\)"):
        read_aedat4(changed, "file", DVS128)
