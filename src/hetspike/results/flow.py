"""Which rule of a workflow takes what which other makes, drawn from top to bottom.

networkx leaves out what other edges imply, grandalf finds the places [Sugiyama 1981]. An arrow over
several layers passes each at a place of its own, so that it crosses no box.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import networkx as nx
from grandalf.graphs import Edge as Line
from grandalf.graphs import Vertex, graph_core
from grandalf.layouts import SugiyamaLayout, VertexViewer

Edge = tuple[str, str]  # of rules: what makes, what takes

SWEEPS = 10
BOX_WIDTH, BOX_HEIGHT = 108.0, 30.0  # pixels
BESIDE, BELOW = 20.0, 32.0  # pixels between boxes
EDGE = 1.0  # half of a box's line, and what rounding takes


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


def reduced(edges: Iterable[Edge]) -> list[Edge]:
    """The edges that no chain of others implies, in an order that does not depend on theirs.

    >>> reduced([("a", "b"), ("b", "c"), ("a", "c")])
    [('a', 'b'), ('b', 'c')]
    """
    return sorted(nx.transitive_reduction(nx.DiGraph(edges)).edges)


def _path(places: list[tuple[float, float]]) -> str:
    """An SVG path through places [x, y]: straight through their layers, curved between layers."""
    x, y = places[0]
    path = f"M{x:.1f},{y + BOX_HEIGHT / 2:.1f}"
    for (x, y), (next_x, next_y) in pairwise(places):
        top, half = next_y - BOX_HEIGHT / 2, (y + next_y) / 2
        path += f" V{y + BOX_HEIGHT / 2:.1f}"
        path += f" C{x:.1f},{half:.1f} {next_x:.1f},{half:.1f} {next_x:.1f},{top:.1f}"
    return path


def drawing(edges: Iterable[Edge]) -> Drawing:
    """The rules as boxes and what one takes from another as arrows, without those implied.

    edges  of one workflow: each rule is joined to each other, be it over others
    """
    kept = reduced(edges)
    rules = {rule: Vertex(rule) for rule in sorted({rule for edge in kept for rule in edge})}
    for vertex in rules.values():
        vertex.view = VertexViewer(BOX_WIDTH, BOX_HEIGHT)
    lines = [Line(rules[maker], rules[taker]) for maker, taker in kept]
    # not its Graph, which collects edges in a set: another order in every run
    layout = SugiyamaLayout(graph_core([*rules.values()], lines))
    layout.xspace, layout.yspace = BESIDE, BELOW
    layout.init_all()
    layout.draw(SWEEPS)
    left = min(place.view.xy[0] for place in layout.grx) - BOX_WIDTH / 2 - EDGE
    middle = {
        place: (place.view.xy[0] - left, place.view.xy[1] + EDGE)  # those that arrows pass, too
        for place in layout.grx
    }
    passed = [layout.ctrls.get(line, dict(enumerate(line.v))) for line in lines]  # layer -> place
    boxes = [Box(rule, *middle[vertex]) for rule, vertex in rules.items()]
    boxes.sort(key=lambda box: (box.y, box.x))
    return Drawing(
        boxes=boxes,
        arrows=[
            _path([middle[by_layer[each]] for each in sorted(by_layer)]) for by_layer in passed
        ],
        takes={box.name: [maker for maker, taker in kept if taker == box.name] for box in boxes},
        width=BOX_WIDTH / 2 + EDGE + max(x for x, _ in middle.values()),
        height=BOX_HEIGHT / 2 + EDGE + max(y for _, y in middle.values()),
    )
