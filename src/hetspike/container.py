"""What a safetensors file says in its header, from the bytes of the file.

Networks of hetspike, trained or packed, say what they are in JSON under the key `hetspike`.
"""

import json
from typing import Any

from hetspike.errors import UserError

LENGTH = 8  # bytes in which safetensors says how long its header is
KEY, METADATA = "hetspike", "__metadata__"


def opened(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and content of a safetensors file; UserError where it is none or cut short."""
    length = int.from_bytes(data[:LENGTH], "little")
    if not 0 < length <= len(data) - LENGTH:
        raise UserError("not a safetensors file, or one that is cut short: get it again")
    try:
        header = json.loads(data[LENGTH : LENGTH + length])
        tensors = [each for name, each in header.items() if name != METADATA]
        promised = max((each["data_offsets"][1] for each in tensors), default=0)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise UserError("not a safetensors file, or a damaged one: get it again") from None
    content = data[LENGTH + length :]
    if len(content) != promised:
        raise UserError(
            f"the file is cut short or damaged: it holds {len(content)} bytes of tensors, its "
            f"header promises {promised}; get it again"
        )
    return header, content


def said_by(header: dict[str, Any]) -> dict[str, Any]:
    """What the header of a file of ours says; UserError for other safetensors files."""
    try:
        return dict(json.loads(header[METADATA][KEY]))
    except KeyError:
        raise UserError(f"a safetensors file, but none of hetspike: no '{KEY}' in it") from None
    except (ValueError, TypeError):
        raise UserError("a safetensors file of hetspike, but damaged: get it again") from None
