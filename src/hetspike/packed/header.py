"""The header of a network's file, as pydantic models.

Every header is checked with these models before a network is built from it.
"""

from collections.abc import Mapping
from importlib import metadata
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, Field, PositiveInt, StringConstraints
from torch import Tensor

from hetspike.errors import UserError, shortened
from hetspike.networks import AnyNetwork
from hetspike.packed.container import check_seal, opened, sealed, tensors_of
from hetspike.packed.traits import Traits
from hetspike.quantization.levels import SCHEMES
from hetspike.quantization.quantizer import Choice
from hetspike.settings import Settings, checked

MOST_CLASSES, MOST_MODULES, LONGEST_NAME = 2**17, 2**14, 2**9  # of any network
SHOWN = 300  # characters of an error about a header


class Stored(NamedTuple):
    """The entry of a quantized layer in the header of a packed file."""

    scheme: str
    bits: int
    shape: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]


Layers = TypeVar("Layers", bound=Mapping[str, Choice | Stored])


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError(f"{name!r} is no name")
    return name


def _known(layers: Layers) -> Layers:
    for name, (scheme, bits, *_) in layers.items():
        if scheme not in SCHEMES:
            raise ValueError(
                f"layer {name} has the scheme '{scheme}', unknown here: use one of "
                f"{', '.join(SCHEMES)}, or the version of hetspike that wrote the file"
            )
        if bits not in SCHEMES[scheme].widths:
            raise ValueError(f"layer {name} has {bits} bits, which {scheme} does not come in")
    return layers


def _named(traits: list[Traits]) -> list[Traits]:
    for name in (name for each in traits for name in each.modules):
        _printable(name)
    return traits


Name = Annotated[str, StringConstraints(max_length=LONGEST_NAME), AfterValidator(_printable)]
Classes = Annotated[int, Field(gt=0, le=MOST_CLASSES)]
Recordings = Annotated[int, Field(ge=0)]
Many = Field(max_length=MOST_MODULES)


class Header(Settings):
    """Fields of every file."""

    wanted: ClassVar[str]  # error message for a file of another kind
    format: Literal[3] = 3
    version: Name = Field(description="of hetspike, which wrote the file")
    traits: Annotated[list[Traits], Many, AfterValidator(_named)] = Field(
        description="settings of the network's modules, from `hetspike.packed.traits`"
    )


class TrainedHeader(Header):
    """Header of a trained network with its quantizers."""

    wanted = "no trained network, but a packed one: name one of results/<study>/networks"
    kind: Literal["trained"] = "trained"
    classes: Classes
    network: AnyNetwork
    assignment: Annotated[dict[Name, Choice], Many, AfterValidator(_known)]


class PackedHeader(Header):
    """Header of a packed network."""

    wanted = "no packed network, but a trained one: pack it with `hetspike pack`"
    kind: Literal["packed"] = "packed"
    classes: Classes | None = Field(
        None, description="number of classes; None, as `network`, for a user's own network"
    )
    network: AnyNetwork | None = None
    layers: Annotated[dict[Name, Stored], Many, AfterValidator(_known)]
    folded: Annotated[list[Name], Many] = Field(description="batch norms that were folded")
    agreement: tuple[Recordings, Recordings] = Field(
        description="number of recordings of the example that the packed and the trained network "
        "classify alike, and number of all of them"
    )
    about: dict[str, Any] = Field(description="entries of the caller of `pack`")


FORMAT = Header.model_fields["format"].default
T = TypeVar("T", bound=Header)


def make_header(form: type[T], **entries: Any) -> T:
    """Make a header. Raises UserError with one line that names the wrong keys."""
    return _checked(form, {"version": metadata.version("hetspike"), **entries})


def _checked(form: type[T], entries: dict[str, Any]) -> T:
    try:
        return checked(form, entries, "header")
    except UserError as error:
        raise UserError(shortened(str(error), SHOWN)) from None


def write(header: Header, tensors: dict[str, Tensor]) -> bytes:
    """Return the bytes of a file. Raises UserError for values that a file cannot contain."""
    return sealed(tensors, header.model_dump(mode="json"))


def read_as(form: type[T], data: bytes) -> tuple[T, dict[str, Tensor]]:
    """Read the header and the tensors of a file.

    Raises UserError if the file is not one of hetspike, is of another version or kind, or is
    damaged.
    """
    entries = opened(data)
    if entries.get("format") != FORMAT:
        writer = shortened(str(entries.get("version", "0.2.0 or before")), SHOWN)
        raise UserError(
            f"a file as hetspike {writer!r} writes them, not of format {FORMAT}: make it again, or "
            "use that version"
        )
    check_seal(data, entries.pop("digest", None))
    if entries.get("kind") != form.model_fields["kind"].default:
        raise UserError(form.wanted)
    return _checked(form, entries), tensors_of(data)
