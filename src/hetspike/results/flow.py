"""Which rule of a workflow takes what which other makes, drawn from top to bottom.

Rules stand in layers, each below all that it takes from; an arrow over several layers passes each
at a place of its own, so that it crosses no box. Places follow their neighbours' mean, sweep by
sweep [Sugiyama 1981, section 4].
"""

from collections.abc import Iterable
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from hetspike.results.spacing import moved_apart

Edge = tuple[str, str]  # of rules: what makes, what takes
Place = tuple[str, str, int]  # of an edge in a layer; of a rule, the edge from it to itself

SWEEPS = 60
COLUMN, ROW = 128.0, 62.0  # pixels between places and between layers
BOX_WIDTH, BOX_HEIGHT = 108.0, 30.0


class Box(NamedTuple):
    """A rule and the middle of its box, in pixels."""

    name: str
    x: float
    y: float


class Drawing(NamedTuple):
    """Boxes, arrows as SVG paths, and the size of the whole in pixels."""

    boxes: list[Box]
    arrows: list[str]
    takes: dict[str, list[str]]  # rule -> rules that it takes from
    width: float
    height: float


def sources(edges: Iterable[Edge]) -> dict[str, set[str]]:
    """Rule -> rules that it takes from, for every rule."""
    found: dict[str, set[str]] = {}
    for maker, taker in edges:
        found.setdefault(maker, set())
        found.setdefault(taker, set()).add(maker)
    return found


def reduced(edges: Iterable[Edge]) -> list[Edge]:
    """The edges that no chain of others implies, in an order that does not depend on theirs.

    >>> reduced([("a", "b"), ("b", "c"), ("a", "c")])
    [('a', 'b'), ('b', 'c')]
    """
    above: dict[str, set[str]] = {}  # rule -> all that it depends on
    takes = sources(edges)
    for rule in TopologicalSorter(takes).static_order():
        above[rule] = takes[rule].union(*(above[maker] for maker in takes[rule]))
    return sorted(
        (maker, taker)
        for taker, makers in takes.items()
        for maker in makers
        if not any(maker in above[other] for other in makers)
    )


def _layers(edges: list[Edge]) -> dict[str, int]:
    """Rule -> its layer: one below the lowest that it takes from."""
    takes = sources(edges)
    layers: dict[str, int] = {}
    for rule in TopologicalSorter(takes).static_order():
        layers[rule] = 1 + max((layers[maker] for maker in takes[rule]), default=-1)
    return layers


def _arranged(chains: list[list[Place]]) -> dict[Place, float]:
    """Where in its layer each place lies, a unit apart or more."""
    places = dict.fromkeys(place for chain in chains for place in chain)
    neighbours: dict[Place, list[Place]] = {place: [] for place in places}
    for chain in chains:
        for upper, lower in pairwise(chain):
            neighbours[upper].append(lower)
            neighbours[lower].append(upper)
    depth = 1 + max(layer for *_, layer in places)
    rows = [[place for place in places if place[2] == layer] for layer in range(depth)]
    at = {place: float(index) for row in rows for index, place in enumerate(row)}
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = [np.mean([at[each] for each in neighbours[place]]) for place in row]
            at |= zip(row, moved_apart(np.array(wanted), 1).tolist(), strict=True)
    return at


def _path(places: list[tuple[float, float]]) -> str:
    """An SVG path through places [x, y]: straight through their layers, curved between layers."""
    (x, y), *following = places
    path = f"M{x:.1f},{y + BOX_HEIGHT / 2:.1f}"
    for (x, y), (next_x, next_y) in pairwise(places):
        top, half = next_y - BOX_HEIGHT / 2, (y + next_y) / 2
        path += f" C{x:.1f},{half:.1f} {next_x:.1f},{half:.1f} {next_x:.1f},{top:.1f}"
        if (next_x, next_y) != following[-1]:
            path += f" V{next_y + BOX_HEIGHT / 2:.1f}"
    return path


def drawing(edges: Iterable[Edge]) -> Drawing:
    """The rules as boxes and what one takes from another as arrows, without those implied."""
    kept = reduced(edges)
    layers = _layers(kept)
    chains = [
        [
            (maker, maker, layers[maker]),
            *((maker, taker, layer) for layer in range(layers[maker] + 1, layers[taker])),
            (taker, taker, layers[taker]),
        ]
        for maker, taker in kept
    ]
    at = _arranged(chains)
    left = min(at.values())
    middle = {
        place: (
            1 + BOX_WIDTH / 2 + (each - left) * COLUMN,
            1 + BOX_HEIGHT / 2 + place[2] * ROW,
        )
        for place, each in at.items()
    }
    takes = sources(kept)
    boxes = [Box(rule, *middle[rule, rule, layer]) for rule, layer in layers.items()]
    boxes.sort(key=lambda box: (box.y, box.x))
    return Drawing(
        boxes=boxes,
        arrows=[_path([middle[place] for place in chain]) for chain in chains],
        takes={box.name: sorted(takes[box.name]) for box in boxes},
        width=1 + BOX_WIDTH / 2 + max(x for x, _ in middle.values()),
        height=1 + BOX_HEIGHT / 2 + max(y for _, y in middle.values()),
    )
