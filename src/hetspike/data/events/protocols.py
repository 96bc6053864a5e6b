"""Protocols: rules that assign recordings to the training, validation and test splits."""

from collections.abc import Callable, Sequence
from math import floor
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hetspike.data.events.recordings import SPLITS, OnDemand, Splits
from hetspike.errors import UserError

# fraction of the training recordings that become validation recordings
Share = Annotated[float, Field(gt=0, lt=1)]

# the tenth of each class that is test: the last, the first, or a random one
Protocol = Literal["first90", "tebn", "random"]

IMAGES = 100_000  # larger than every image number: image i of class c is group c * IMAGES + i


class Item(NamedTuple):
    """A recording that has not been read or simulated yet; `read` returns its events [E]."""

    name: str
    label: int
    group: int
    read: Callable[[], NDArray[np.void]]


def check_protocol(dataset: str, protocol: Protocol, protocol_seed: int | None) -> None:
    """Raise UserError if a protocol that needs a seed has none, or another one has a seed."""
    if (protocol == "random") != (protocol_seed is not None):
        remedy = "give it one" if protocol_seed is None else "remove it"
        raise UserError(
            f"{dataset}: protocol {protocol} with protocol_seed {protocol_seed}: {remedy}"
        )


def deal_images(
    items: Sequence[Item],
    where: str,
    protocol: Protocol,
    protocol_seed: int | None,
    validation: float,
    sensor_size: tuple[int, int],
    classes: Sequence[str],
) -> Splits:
    """Assign recordings of images, in order of class and number, to the splits.

    Each class is split on its own. Of its training recordings, evenly spaced ones become validation
    recordings. Raises UserError, with `where` in the message, for an image that occurs twice and
    for a split that would be empty.
    """
    items = sorted(items, key=lambda item: item.group)
    if len({item.group for item in items}) != len(items):
        raise UserError(f"{where} holds an image twice: use the archive as published")
    labels = np.array([item.label for item in items], dtype=np.int64)
    parts = np.full(len(items), "validation")
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        match protocol:
            case "first90":
                order = own
            case "tebn":
                order = own[::-1]
            case "random":
                order = np.random.default_rng([protocol_seed or 0, label]).permutation(own)
        rest = len(own) - len(own) // 10
        training = np.sort(order[:rest])
        parts[order[rest:]] = "test"
        parts[training[~evenly(rest, rounded(validation, rest))]] = "train"
    return on_demand(items, parts, where, sensor_size, classes)


def on_demand(
    items: Sequence[Item],
    parts: NDArray[np.str_],
    where: str,
    sensor_size: tuple[int, int],
    classes: Sequence[str],
) -> Splits:
    """Assign each item to the split that `parts` names. Raises UserError for an empty split."""

    def recordings_of(split: str) -> OnDemand:
        own = [item for item, part in zip(items, parts, strict=True) if part == split]
        if not own:
            raise UserError(
                f"{where}: {len(items)} recordings leave the {split} split empty: provide more of "
                "them, or change validation"
            )
        return OnDemand(
            names=tuple(item.name for item in own),
            read=lambda index: own[index].read(),
            labels=np.array([item.label for item in own], dtype=np.int64),
            groups=np.array([item.group for item in own], dtype=np.int64),
            sensor_size=sensor_size,
            classes=tuple(classes),
        )

    return {split: recordings_of(split) for split in SPLITS}


def rounded(part: float, count: int) -> int:
    """Return part * count as a whole number; halves are rounded up."""
    return floor(part * count + 0.5)


def evenly(count: int, chosen: int) -> NDArray[np.bool_]:
    """Return a mask [count] with `chosen` evenly spaced indices set."""
    mask = np.zeros(count, bool)
    mask[np.arange(chosen) * count // max(chosen, 1)] = True
    return mask
