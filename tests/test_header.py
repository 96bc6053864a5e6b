"""Headers of files: every bit under the seal, and sealed headers that say what they should not."""

import hashlib
import json
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from hetspike.errors import UserError
from hetspike.inspection.layers import quantizable_layers
from hetspike.networks.spikformer import Spikformer
from hetspike.packed.checkpoint import load_trained, trained_bytes
from hetspike.packed.container import LENGTH, opened, sealed
from hetspike.packed.packing import load_packed, pack, read
from hetspike.quantization.quantizer import Choice, quantize

SIZE = {"width": 8, "depth": 1, "heads": 1, "mlp_ratio": 1, "pools": [False] * 4}
NETWORK = {"architecture": "spikformer", **SIZE}


def files() -> tuple[bytes, bytes]:
    """A trained network, and what is packed of it."""
    torch.manual_seed(0)
    model = Spikformer(2, **SIZE)
    assignment = dict.fromkeys(quantizable_layers(model), Choice("uniform", 2))
    assignment["head"] = Choice("pot", 3)
    model = quantize(model, assignment)
    about = {"classes": 2, "network": NETWORK, "assignment": assignment}
    packed = pack(model, torch.ones(1, 1, 2, 4, 4), network=NETWORK, classes=2, seed=1)
    return trained_bytes(model, about), packed


TRAINED, PACKED = files()
LOADS = {"trained": (load_trained, TRAINED), "packed": (load_packed, PACKED)}


def told(load: Any, data: bytes) -> str:
    with pytest.raises(UserError) as error:
        load(data)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500
    return str(error.value)


def resealed(data: bytes, **said: Any) -> bytes:
    """The file with other words in its header, under a seal that fits."""
    header = opened(data)
    del header["digest"]
    return sealed(load(data), header | said)


def opening(header: Any, content: bytes = b"") -> bytes:
    """A safetensors file with a header of one's own."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(LENGTH, "little") + text + content


@pytest.mark.parametrize("kind", LOADS)
def test_no_bit_changes_unseen(kind, tried):
    load_one, data = LOADS[kind]
    places = range(0, 8 * len(data), 8 * len(data) // 3000 | 1)  # odd: all bits of bytes in turn
    for place in places:
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        told(load_one, bytes(damaged))
    tried(f"a {kind} network's file", "one bit flipped", refused=len(places))


@pytest.mark.parametrize("kind", LOADS)
def test_a_seal_that_fits_does_not_help_a_wrong_header(kind, tried):
    load_one, data = LOADS[kind]
    load_one(resealed(data))  # what is said as it was is read
    odd = [
        None,
        -1,
        0,
        10**30,
        1.5,
        "x",
        "\n",
        "x" * 10**5,
        [],
        [[]],
        {},
        {"": None},
        [None] * 10**5,
    ]
    header = opened(data)
    keys = [key for key in header if key not in ("digest", "about", "traits", "agreement")]
    same = [(key, value) for key in keys for value in odd if header[key] == value]
    for key in keys:
        for value in odd:
            if (key, value) not in same and (key, value) != ("version", "x"):
                told(load_one, resealed(data, **{key: value}))
    tried(f"a {kind} network's file", "a header of wrong values", refused=len(keys) * len(odd) - 1)
    for key in header.keys() - {"digest", "network", "classes"}:
        said = {name: each for name, each in header.items() if name not in (key, "digest")}
        told(load_one, sealed(load(data), said))
    assert "unknown key 'colour'" in told(load_one, resealed(data, colour="red"))


WRONG: dict[str, dict[str, Any]] = {
    "3 heads do not divide width 8": {"network": NETWORK | {"heads": 3}},
    "network.width": {"network": NETWORK | {"width": 2**20}},
    "network.mlp_ratio": {"network": NETWORK | {"mlp_ratio": 10**9}},
    "no architecture 'resnet'": {"network": NETWORK | {"architecture": "resnet"}},
    "network.depth": {"network": NETWORK | {"depth": 10**9}},
    "classes": {"classes": 10**12},
}


@pytest.mark.parametrize("kind", LOADS)
@pytest.mark.parametrize("message", WRONG)
def test_a_network_beyond_all_measure_is_refused_by_its_number(kind, message):
    load_one, data = LOADS[kind]
    assert message in told(load_one, resealed(data, **WRONG[message]))


@pytest.mark.parametrize("kind", LOADS)
def test_nothing_is_allocated_because_a_header_says_so(kind):
    load_one, data = LOADS[kind]
    most = NETWORK | {"width": 2**12, "depth": 100, "mlp_ratio": 64}  # terabytes
    told(load_one, resealed(data, network=most))
    told(load_one, resealed(data, classes=2**17))


def with_layer(*stored: Any) -> bytes:
    return resealed(PACKED, layers=opened(PACKED)["layers"] | {"head": stored})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (with_layer("pot", 3, [2, 9]), "layer head is not stored in the file as its header states"),
        (with_layer("pot", 3, [3, 8]), "layer head is not stored in the file"),
        (with_layer("pot", 3, [10**9, 10**9]), "layer head is not stored in the file"),
        (with_layer("pot", 3, [8, 2]), "layer head is not stored in the file"),
        (with_layer("pot", 3, [2, 2, 4]), "the packed network is not the one to unpack into"),
        (with_layer("pot", 3, []), "layers.head.2"),
        (with_layer("pot", 3, [2, -8]), "layers.head.2.1"),
        (with_layer("pot", 30, [2, 8]), "layer head has 30 bits, which pot does not come in"),
        (with_layer("apot", 3, [2, 8]), "layer head has 3 bits, which apot does not"),
        (with_layer("log", 3, [2, 8]), "layer head has the scheme 'log', unknown here"),
        (resealed(PACKED, folded=["patch"]), "a batch norm patch, which is another module"),
        (resealed(PACKED, folded=["nowhere"]), "a layer nowhere, which this network lacks"),
        (resealed(PACKED, folded=[]), "is not the one to unpack into: Missing key"),
        (resealed(PACKED, traits=[]), "this network has a module patch.stages.0.0"),
        (resealed(PACKED, about=[]), "key 'about'"),
        (resealed(PACKED, agreement=[1, -1]), "key 'agreement.1'"),
    ],
)
def test_a_packed_header_that_does_not_fit_is_refused(data, message):
    assert message in told(load_packed, data)


@pytest.mark.parametrize(
    "changed",
    [
        {"head": ["binary", 1]},
        {},
    ],
)
def test_a_trained_header_that_does_not_fit_is_refused(changed):
    message = told(load_trained, resealed(TRAINED, assignment=changed))
    assert message.startswith("the file does not hold the network that its header describes")


def test_a_number_that_is_not_finite_is_refused_by_the_layers_name(tried):
    for load_one, data in LOADS.values():
        for name, each in load(data).items():
            if each.is_floating_point():
                tensors = load(data)
                tensors[name].view(-1)[-1] = float("nan")
                damaged = unchecked_seal(save(tensors, {"hetspike": json.dumps(opened(data))}))
                layer = name.rpartition(".")[0]
                assert f"layer {layer} has a number in its" in told(load_one, damaged)
                tried("a network's file", "a number that is not finite", refused=1)


def unchecked_seal(data: bytes) -> bytes:
    """The file under a seal that fits, which `sealed` itself would not have given it."""
    blank = data.replace(opened(data)["digest"].encode(), b"0" * 64, 1)
    return blank.replace(b"0" * 64, hashlib.sha256(blank).hexdigest().encode(), 1)


def digest(text: str) -> str:
    return json.dumps({"format": 3, "digest": text})


TENSOR = {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}
OURS = {"__metadata__": {"hetspike": "{}"}}
DEEP = b"[" * 10**5 + b"]" * 10**5
PLACES = {
    "overlap": {"a": TENSOR, "b": TENSOR | {"data_offsets": [2, 6]}},
    "twice": {"a": TENSOR, "b": TENSOR},
    "gap": {"a": TENSOR, "b": TENSOR | {"data_offsets": [5, 9]}},
    "late": {"a": TENSOR | {"data_offsets": [2, 6]}},
    "negative": {"a": TENSOR | {"data_offsets": [-4, 0]}, "b": TENSOR},
    "backwards": {"a": TENSOR | {"data_offsets": [4, 0]}},
    "beyond": {"a": TENSOR | {"data_offsets": [0, 10**18], "shape": [10**18]}},
    "short": {"a": TENSOR | {"shape": [3]}},
    "negative shape": {"a": TENSOR | {"shape": [-2, -2]}},
    "half": {"a": TENSOR | {"shape": [4.0]}},
    "true": {"a": TENSOR | {"shape": [4, True]}},
    "type": {"a": TENSOR | {"dtype": "C64"}},
    "no type": {"a": {"shape": [4], "data_offsets": [0, 4]}},
    "three ends": {"a": TENSOR | {"data_offsets": [0, 2, 4]}},
    "no object": {"a": 7},
    "no tensor": {"a": None},
}


def test_tensors_that_do_not_lie_one_behind_the_other_are_refused(tried):
    assert opened(opening({**OURS, "a": TENSOR}, bytes(4))) == {}
    once = json.dumps({**OURS, "a": TENSOR}).encode()
    for twice in (once[:-1] + b"," + once[1:], once.replace(b"{}", b'{\\"b\\":1,\\"b\\":1}')):
        assert "get it again" in told(opened, opening(twice, bytes(4)))
    for name, header in PLACES.items():
        ends = [each["data_offsets"][-1] for each in header.values() if isinstance(each, dict)]
        content = bytes(min(10, max([4, *ends])))
        assert "get it again" in told(opened, opening({**OURS, **header}, content)), name
    tried("a network's file", "tensors in wrong places", refused=len(PLACES))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'\xff\xff\xff\xff\xff\xff\xff\x7f{"a": 1}', "cut short"),
        (opening(b"{}" + b" " * 2**24), "a header of 16777218 bytes"),
        (opening(b'{"a":1,"a":2}'), "damaged"),
        (opening(b"\xff\xfe{}"), "damaged"),
        (opening(DEEP), "damaged"),
        (opening(b'{"a":' + DEEP + b"}"), "damaged"),
        (opening({"__metadata__": {"hetspike": DEEP.decode()}}), "damaged"),
        (opening({"__metadata__": {"hetspike": '{"format": 3, "format": 3}'}}), "damaged"),
        (opening({"__metadata__": {"hetspike": '{"a": NaN}'}}), "damaged"),
        (opening({"__metadata__": {"hetspike": "9" * 10**5}}), "damaged"),
        (opening({"__metadata__": {"hetspike": 7}}), "none of hetspike"),
        (opening({"__metadata__": [1]}), "none of hetspike"),
        (opening({"__metadata__": {"hetspike": digest("é" * 64)}}), "damaged"),
        (opening({"__metadata__": {"hetspike": digest("\ud800" * 64)}}), "damaged"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", LOADS)
def test_a_header_that_is_none_is_refused(kind, data, message):
    assert message in told(LOADS[kind][0], data)


def test_what_json_cannot_say_is_not_written():
    model = nn.Linear(2, 2)
    deep: list = []
    for _ in range(30):
        deep = [deep]
    for about in ({"a": {1, 2}}, {"a": float("nan")}, {"a": torch.ones(1)}, {"a": deep}):
        with pytest.raises(UserError):
            pack(model, torch.ones(1, 2), **about)
    with pytest.raises(UserError, match="the header has an entry 'layers' of its own"):
        pack(model, torch.ones(1, 2), layers=3)


def test_an_older_file_is_told_apart():
    old = json.dumps({"format": 1, "layers": {}, "folded": [], "digest": "0" * 64})
    trained = json.dumps({"classes": 3, "network": NETWORK, "assignment": {}})
    for load_one in (read, load_packed, load_trained):
        for text in (old, trained):
            message = told(load_one, save({"x": torch.ones(3)}, {"hetspike": text}))
            assert "as hetspike '0.2.0 or before' writes them, not of format 3" in message
