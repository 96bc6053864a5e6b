"""The space of a search, and the best assignment within a budget by integer programming."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, milp
from torch import nn

from hetspike.errors import UserError
from hetspike.inspection.layers import quantizable_layers
from hetspike.quantization.quantizer import Choice

LARGEST_SCORE = 1e4  # largest magnitude of a score in the integer programme
USED_UP = 0.05  # effective bits of a budget that may be unused, so that rows have equal bits


@dataclass(frozen=True)
class Space:
    """L layers to search, and K candidates for each.

    weights     layer -> number of weights, for each searched layer in the order of the network
    fixed       layers that are quantized but not searched; they use a part of a budget
    """

    weights: Mapping[str, int]
    candidates: tuple[Choice, ...]
    fixed: Mapping[str, Choice]
    fixed_weights: int
    fixed_bits: int  # stored bits of the fixed layers, sum(n b)

    @classmethod
    def of(
        cls,
        model: nn.Module,
        candidates: tuple[Choice, ...],
        boundary: Mapping[str, Choice | None],
    ) -> "Space":
        """Make the space of a model; layers in `boundary` are not searched (None: float).

        Raises UserError if there is no layer or candidate to search.
        """
        sizes = {name: layer.weight.numel() for name, layer in quantizable_layers(model).items()}
        fixed = {name: choice for name, choice in boundary.items() if choice}
        space = cls(
            weights={name: n for name, n in sizes.items() if name not in boundary},
            candidates=candidates,
            fixed=fixed,
            fixed_weights=sum(sizes[name] for name in fixed),
            fixed_bits=sum(sizes[name] * choice.bits for name, choice in fixed.items()),
        )
        if not space.weights:
            raise UserError("no layer is left to search: take another network or `boundary_layers`")
        if not candidates:
            raise UserError("no candidates: name schemes and widths")
        return space

    def check(self, budget: float) -> None:
        """Raise UserError if every assignment exceeds a budget, or the widest is below it."""
        widths = [choice.bits for choice in self.candidates]
        searched = sum(self.weights.values())
        lowest, highest = (
            (extreme(widths) * searched + self.fixed_bits) / self.total for extreme in (min, max)
        )
        if not lowest <= budget <= highest:
            raise UserError(
                f"budget {budget:g} is out of reach: the candidates allow {lowest:.4g} to "
                f"{highest:.4g} effective bits; change `budgets` or `candidates`"
            )

    @property
    def total(self) -> int:
        """Return the number of quantized weights."""
        return sum(self.weights.values()) + self.fixed_weights

    def effective_bits(self, assignment: Mapping[str, Choice]) -> float:
        """Return the effective bits of an assignment of this space."""
        searched = sum(n * assignment[name].bits for name, n in self.weights.items())
        return (searched + self.fixed_bits) / self.total

    def best(self, scores: NDArray[np.float64], budget: float) -> dict[str, Choice]:
        """Return the assignment with the highest total of scores [L, K] that uses up a budget.

        budget  effective bits, one that `check` lets pass

        It solves an integer programme: maximise sum x_lk scores_lk subject to one candidate per
        layer and budget - USED_UP <= sum n_l b_k x_lk / sum n <= budget. If the sizes of the layers
        allow no such assignment, there is no lower bound.

        Raises UserError if a score is not finite.
        """
        if not (finite := np.isfinite(scores)).all():
            layer, candidate = np.argwhere(~finite)[0]
            name, choice = [*self.weights][layer], self.candidates[candidate]
            raise UserError(
                f"layer '{name}' at {choice.scheme} {choice.bits} bits has the score "
                f"{scores[layer, candidate]}: train the network again"
            )
        # the tolerances of the solver HiGHS are absolute, so scores are scaled to one size
        gains = scores / (np.abs(scores).max() or 1.0) * LARGEST_SCORE
        widths = [choice.bits for choice in self.candidates]
        stored = np.outer(list(self.weights.values()), widths)  # [L, K] bits
        one_per_layer = LinearConstraint(np.kron(np.eye(len(stored)), np.ones(len(widths))), 1, 1)
        most = np.floor(budget * self.total + 1e-6) - self.fixed_bits
        for least in (most - USED_UP * self.total, 0):
            limit = most
            while limit >= least:
                solution = milp(
                    -gains.ravel(),
                    integrality=1,
                    bounds=(0, 1),
                    constraints=[
                        one_per_layer,
                        LinearConstraint(stored.ravel()[None], least, limit),
                    ],
                    options={"mip_rel_gap": 0},
                )
                if not solution.success:
                    break
                chosen = solution.x.reshape(scores.shape).argmax(1)
                over = stored[np.arange(len(stored)), chosen].sum() - most
                if over <= 0:
                    searched = (self.candidates[k] for k in chosen)
                    return {**self.fixed, **dict(zip(self.weights, searched, strict=True))}
                limit -= over  # the solver's tolerance allowed some bits too many
        raise AssertionError("feasible, as `check` tells")
