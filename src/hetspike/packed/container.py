"""The container of networks, trained or packed: safetensors with a digest.

The header of the file says in JSON, under the key `hetspike`, what the network is. What stands
there first, `digest`, is the SHA-256 of the whole file with 64 zeros in its place, so that no bit
of it changes unseen. Nothing is allocated because a header says so: lengths are compared with the
bytes that are there before a tensor is read.
"""

import hashlib
import json
from itertools import pairwise
from math import prod
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from hetspike.errors import UserError

LENGTH = 8  # bytes in which safetensors says how long its header is
KEY, METADATA = "hetspike", "__metadata__"
TYPES = {
    **{"BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16},
    **{"I32": torch.int32, "I64": torch.int64, "F16": torch.float16, "BF16": torch.bfloat16},
    **{"F32": torch.float32, "F64": torch.float64},
}
LARGEST_FILE = 2**28  # bytes; the paper's network takes ten million in float
LONGEST_HEADER = 2**24  # bytes; that network's takes six thousand
DEEPEST = 16  # lists and objects within each other in a header
ZEROS = "0" * hashlib.sha256().digest_size * 2
FOREIGN = "not a safetensors file, or a damaged one: get it again"


def sealed(tensors: dict[str, Tensor], said: dict[str, Any]) -> bytes:
    """Return the bytes of a file of tensors and a header.

    Raises UserError for what such a file cannot hold, numbers that are not finite among it.
    """
    for name, each in tensors.items():
        if not isinstance(each, Tensor) or each.dtype not in TYPES.values():
            raise UserError(f"{name} is no tensor of numbers, and a file holds nothing else")
    check_finite(tensors)
    try:
        text = json.dumps({"digest": ZEROS, **said}, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"the header of a file cannot say this in JSON: {error}") from None
    # each tensor with memory of its own: safetensors refuses those that share it
    apart = {
        name: each.clone(memory_format=torch.contiguous_format) for name, each in tensors.items()
    }
    data = save(apart, {KEY: text})
    opened(data)  # what is written can be read
    return data.replace(ZEROS.encode(), _digest(data).encode(), 1)


def check_seal(data: bytes, digest: Any) -> None:
    """Raise UserError unless the digest that a file says is its own."""
    said = digest if isinstance(digest, str) and len(digest) == len(ZEROS) else ZEROS
    # what is said first is found first
    if _digest(data.replace(said.encode(errors="replace"), ZEROS.encode(), 1)) != digest:
        raise UserError("the file is damaged (its checksum differs): get it again")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tensors_of(data: bytes) -> dict[str, Tensor]:
    """Return the tensors of a file. Raises UserError where a number is not finite."""
    try:
        tensors = load(data)
    except SafetensorError:
        raise UserError(FOREIGN) from None
    check_finite(tensors)
    return tensors


def check_finite(tensors: dict[str, Tensor]) -> None:
    """Raise UserError that names the layer of a number which is not finite."""
    for name, each in tensors.items():
        if each.is_floating_point() and not each.isfinite().all():
            layer, _, part = name.rpartition(".")
            raise UserError(
                f"layer {layer or 'without a name'} has a number in its {part} that is not finite, "
                "as trainings leave that diverge: train it again"
            )


def opened(data: bytes) -> dict[str, Any]:
    """Return the header of a file, before its digest is checked.

    Raises UserError for other files, and where the header and the bytes behind it do not fit.
    """
    length = int.from_bytes(data[:LENGTH], "little")
    if not 0 < length <= len(data) - LENGTH:
        raise UserError("not a safetensors file, or one that is cut short: get it again")
    if length > LONGEST_HEADER:
        raise UserError(f"a header of {length} bytes, and no network needs {LONGEST_HEADER}")
    header = _parsed(data[LENGTH : LENGTH + length])
    metadata = header.pop(METADATA, {})
    _check_places(header, len(data) - LENGTH - length)
    if not isinstance(metadata, dict) or not isinstance(metadata.get(KEY), str):
        raise UserError(f"a safetensors file, but none of hetspike: no '{KEY}' in it")
    return _parsed(metadata[KEY])


def _parsed(text: bytes | str) -> dict[str, Any]:
    """A JSON object in which no key stands twice and nothing lies too deep."""
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise UserError(FOREIGN) from None
    if not isinstance(found, dict):
        raise UserError(FOREIGN)
    level: list[Any] = [found]
    for _ in range(DEEPEST):
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [each for part in inner for each in part if isinstance(each, dict | list)]
    if level:
        raise UserError(FOREIGN)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _check_places(header: dict[str, Any], there: int) -> None:
    """Raise UserError unless the tensors lie one behind the other in so many bytes."""
    ends = [(0, 0)]
    try:
        for each in header.values():
            start, end = each["data_offsets"]
            numbers = [start, end, *each["shape"]]
            if not all(type(number) is int and number >= 0 for number in numbers):
                raise UserError(FOREIGN)
            if end - start != prod(each["shape"]) * TYPES[each["dtype"]].itemsize:
                raise UserError(FOREIGN)
            ends.append((start, end))
    except (ValueError, LookupError, TypeError):
        raise UserError(FOREIGN) from None
    promised = max(end for _, end in ends)
    if promised != there:
        raise UserError(
            f"the file is cut short or damaged: it holds {there} bytes of tensors, its header "
            f"promises {promised}; get it again"
        )
    if any(end != start for (_, end), (start, _) in pairwise(sorted(ends))):
        raise UserError(FOREIGN)
