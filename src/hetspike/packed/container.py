"""The container of trained and packed networks: a safetensors file with a digest.

The metadata of the file contains our header, as JSON under the key `hetspike`. Its first entry,
`digest`, is the SHA-256 of the whole file with 64 zeros in the place of the digest, so that a
change of any bit is detected. The lengths in the header are compared with the length of the file
before a tensor is read, so that a wrong header cannot allocate memory.
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

LENGTH = 8  # bytes of the length of the header in safetensors
KEY, METADATA = "hetspike", "__metadata__"
TYPES = {
    **{"BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16},
    **{"I32": torch.int32, "I64": torch.int64, "F16": torch.float16, "BF16": torch.bfloat16},
    **{"F32": torch.float32, "F64": torch.float64},
}
LARGEST_FILE = 2**28  # bytes; the paper's network in float has ten million
LONGEST_HEADER = 2**24  # bytes; the header of that network has six thousand
DEEPEST = 16  # levels of nested lists and objects in a header
ZEROS = "0" * hashlib.sha256().digest_size * 2
FOREIGN = "not a safetensors file, or a damaged one: get it again"


def sealed(tensors: dict[str, Tensor], header: dict[str, Any]) -> bytes:
    """Return the bytes of a file with these tensors and this header.

    Raises UserError for values that a file cannot contain, such as numbers that are not finite.
    """
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or tensor.dtype not in TYPES.values():
            raise UserError(f"{name} is no tensor of numbers, and a file holds nothing else")
    check_finite(tensors)
    try:
        text = json.dumps({"digest": ZEROS, **header}, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"an entry of the header is not JSON: {error}") from None
    # safetensors refuses tensors that share memory
    copies = {
        name: tensor.clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    data = save(copies, {KEY: text})
    opened(data)  # raises if the file could not be read again
    return data.replace(ZEROS.encode(), _digest(data).encode(), 1)


def check_seal(data: bytes, digest: Any) -> None:
    """Raise UserError unless the digest in the header of a file is that of the file."""
    stored = digest if isinstance(digest, str) and len(digest) == len(ZEROS) else ZEROS
    # the digest is the first entry of the header, so its first occurrence is replaced
    if _digest(data.replace(stored.encode(errors="replace"), ZEROS.encode(), 1)) != digest:
        raise UserError("the file is damaged (its checksum differs): get it again")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tensors_of(data: bytes) -> dict[str, Tensor]:
    """Return the tensors of a file. Raises UserError if a number is not finite."""
    try:
        tensors = load(data)
    except SafetensorError:
        raise UserError(FOREIGN) from None
    check_finite(tensors)
    return tensors


def check_finite(tensors: dict[str, Tensor]) -> None:
    """Raise UserError if a number is not finite; the message names the layer."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            layer, _, part = name.rpartition(".")
            raise UserError(
                f"layer {layer or 'without a name'} has a number in its {part} that is not finite, "
                "as trainings leave that diverge: train it again"
            )


def opened(data: bytes) -> dict[str, Any]:
    """Return the header of a file, without a check of its digest.

    Raises UserError for files of other kinds, and if the header does not fit the bytes after it.
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
    """Parse a JSON object. Raises UserError for a repeated key and for too many levels."""
    try:
        content = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise UserError(FOREIGN) from None
    if not isinstance(content, dict):
        raise UserError(FOREIGN)
    level: list[Any] = [content]
    for _ in range(DEEPEST):
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [each for part in inner for each in part if isinstance(each, dict | list)]
    if level:
        raise UserError(FOREIGN)
    return content


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(content := dict(pairs)) < len(pairs):
        raise ValueError("a key occurs twice")
    return content


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _check_places(header: dict[str, Any], size: int) -> None:
    """Raise UserError unless the tensors fill `size` bytes without gaps and overlaps."""
    places = [(0, 0)]
    try:
        for tensor in header.values():
            start, end = tensor["data_offsets"]
            numbers = [start, end, *tensor["shape"]]
            if not all(type(number) is int and number >= 0 for number in numbers):
                raise UserError(FOREIGN)
            if end - start != prod(tensor["shape"]) * TYPES[tensor["dtype"]].itemsize:
                raise UserError(FOREIGN)
            places.append((start, end))
    except (ValueError, LookupError, TypeError):
        raise UserError(FOREIGN) from None
    expected = max(end for _, end in places)
    if expected != size:
        raise UserError(
            f"the file is cut short or damaged: it holds {size} bytes of tensors, its header "
            f"promises {expected}; get it again"
        )
    if any(end != start for (_, end), (start, _) in pairwise(sorted(places))):
        raise UserError(FOREIGN)
