import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetspike.results.flow import BOX_HEIGHT, BOX_WIDTH, Edge, drawing, reduced

# b and c take from a, d from both, e from all
DIAMOND = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "e"), ("a", "e"), ("a", "d")]


@st.composite
def workflows(draw: st.DrawFn) -> list[Edge]:
    """Rules r0, r1, ... that take from some of those before them, and one that takes from all."""
    count = draw(st.integers(2, 9))
    pairs = [(f"r{low}", f"r{high}") for high in range(count) for low in range(high)]
    edges = draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=20, unique=True))
    return edges + [(rule, "all") for rule in sorted({rule for edge in edges for rule in edge})]


def test_what_others_imply_is_left_out():
    assert reduced(DIAMOND) == [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "e")]


@given(workflows(), st.randoms(use_true_random=False))
def test_a_drawing_does_not_depend_on_the_order_of_the_edges(edges, chance: random.Random):
    assert drawing(chance.sample(edges, len(edges))) == drawing(edges)


def points_of(path: str) -> list[tuple[float, float]]:
    """Points along an SVG path of M, C and V."""
    (x, y), points = (0.0, 0.0), []
    for part in path.replace(" C", "|C").replace(" V", "|V").split("|"):
        numbers = [float(each) for each in part[1:].replace(",", " ").split()]
        if part[0] == "M":
            x, y = numbers
            points.append((x, y))
        elif part[0] == "V":
            points += [(x, height) for height in np.linspace(y, numbers[0], 9)]
            y = numbers[0]
        else:
            corners = np.array([x, y, *numbers]).reshape(4, 2)
            for t in np.linspace(0, 1, 25):
                weights = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3]
                points.append(tuple(weights @ corners))
            x, y = numbers[-2:]
    return points


@given(workflows())
def test_boxes_and_arrows_keep_clear_of_each_other(edges):
    shown = drawing(edges)
    boxes = {box.name: box for box in shown.boxes}
    for box in shown.boxes:
        assert BOX_WIDTH / 2 <= box.x <= shown.width - BOX_WIDTH / 2
        assert BOX_HEIGHT / 2 <= box.y <= shown.height - BOX_HEIGHT / 2
        for other in shown.boxes:
            if other is not box and other.y == box.y:
                assert abs(other.x - box.x) > BOX_WIDTH
    kept = [(maker, taker) for taker, makers in shown.takes.items() for maker in makers]
    assert sorted(kept) == reduced(edges)
    for (maker, taker), arrow in zip(reduced(edges), shown.arrows, strict=True):
        points = points_of(arrow)
        start, end = boxes[maker], boxes[taker]
        assert points[0] == pytest.approx((start.x, start.y + BOX_HEIGHT / 2), abs=0.1)
        assert points[-1] == pytest.approx((end.x, end.y - BOX_HEIGHT / 2), abs=0.1)
        for box in boxes.values():
            inside = [
                abs(x - box.x) < BOX_WIDTH / 2 - 0.2 and abs(y - box.y) < BOX_HEIGHT / 2 - 0.2
                for x, y in points
            ]
            assert not any(inside), f"{maker} -> {taker} crosses {box.name}"
