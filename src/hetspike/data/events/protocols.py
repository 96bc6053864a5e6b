"""Protocols: how recordings are dealt to training, validation and test."""

from collections.abc import Callable, Sequence
from math import floor
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hetspike.data.events.recordings import SPLITS, OnDemand, Splits
from hetspike.errors import UserError

# validation's part of the training recordings
Share = Annotated[float, Field(gt=0, lt=1)]

# which tenth of each class is test: the last one, the first one, or one that is drawn
Protocol = Literal["first90", "tebn", "random"]

IMAGES = 100_000  # beyond every number of an image: image i of class c is group c * IMAGES + i


class Item(NamedTuple):
    """A recording before it is read, or made."""

    name: str
    label: int
    group: int
    read: Callable[[], NDArray[np.void]]


def check_protocol(dataset: str, protocol: Protocol, protocol_seed: int | None) -> None:
    """Raise UserError for a seed that is missing, or that the protocol does not take."""
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
    """Deal images, in order of class and number, to the splits class by class.

    Validation takes evenly spaced ones of the training recordings of each class. Raises UserError,
    naming `where`, for an image that is there twice and for a split that is left empty.
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
    """Put each item into the split that `parts` names. Raises UserError for an empty split."""

    def one(split: str) -> OnDemand:
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

    return {split: one(split) for split in SPLITS}


def rounded(part: float, count: int) -> int:
    """Return a part of `count`, halves rounded up."""
    return floor(part * count + 0.5)


def evenly(count: int, chosen: int) -> NDArray[np.bool_]:
    """Choose evenly spaced indices below `count`."""
    mask = np.zeros(count, bool)
    mask[np.arange(chosen) * count // max(chosen, 1)] = True
    return mask
