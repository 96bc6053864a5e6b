"""Every operation that a network executes is counted, is free, or is named: by hand, one by one."""

from collections.abc import Callable

import pytest
import torch
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn
from torch.nn import functional

from hetspike.inspection.watch import Watch


class Does(nn.Module):
    """A module that does as it is told with its parts and its input."""

    def __init__(self, does: Callable, **parts: object) -> None:
        super().__init__()
        self.does = does
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.does(self, x)


def watched(model: nn.Module, x: Tensor) -> Watch:
    with torch.no_grad(), Watch(model.eval()) as seen:
        model(x)
    return seen


def weighed(seen: Watch) -> dict[str, tuple[int, int, int, int]]:
    """Module -> macs, acs, dense, fan_in."""
    return {
        name: (each.macs, each.acs, each.dense, each.fan_in) for name, each in seen.weighed.items()
    }


def multiplied(seen: Watch) -> dict[str, tuple[int, int]]:
    return {name: (each.macs, each.acs) for name, each in seen.multiplied.items()}


def ones(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.ones(shape))


# one 0, one 2, all others 1: of 4 x 3 values ten are spikes and one is weighed
X = torch.ones(4, 3)
X[0, 0], X[1, 1] = 0, 2
# the same as a picture with two channels
PICTURE = X.view(1, 1, 4, 3).repeat(1, 2, 1, 1)

# what is done, the parts that it takes, and who meets weights: macs, acs, dense, fan_in
SYNAPSES = {
    "linear": (lambda m, x: m.f(x), {"f": nn.Linear(3, 5)}, {"f": (5, 50, 60, 3)}),
    "linear without bias": (
        *(lambda m, x: m.f(x), {"f": nn.Linear(3, 5, bias=False)}),
        {"f": (5, 50, 60, 3)},
    ),
    "a layer's weight, used by another": (
        *(lambda m, x: functional.linear(x, m.f.weight), {"f": nn.Linear(3, 5)}),
        {"f": (5, 50, 60, 3)},
    ),
    "a parameter": (
        *(lambda m, x: x @ m.w, {"w": ones(3, 5)}),
        {"": (5, 50, 60, 3)},
    ),
    "a parameter from the left": (
        *(lambda m, x: m.w @ x, {"w": ones(5, 4)}),
        {"": (5, 50, 60, 4)},
    ),
    "made from a parameter": (
        *(lambda m, x: x @ (m.f.w.abs() + 1).t(), {"f": Does(lambda m, x: x, w=ones(5, 3))}),
        {"f": (5, 50, 60, 3)},
    ),
    "made from nothing": (lambda m, x: x @ torch.full((3, 5), 2.0), {}, {"": (5, 50, 60, 3)}),
    "a buffer": (lambda m, x: x @ m.w, {"w": nn.Buffer(torch.ones(3, 5))}, {"": (5, 50, 60, 3)}),
    "an attribute": (
        *(lambda m, x: x @ m.w[0], {"w": [torch.ones(3, 5)]}),
        {"": (5, 50, 60, 3)},
    ),
    "weight norm": (
        lambda m, x: m.f(x),
        {"f": nn.utils.parametrizations.weight_norm(nn.Linear(3, 5))},
        {"f": (5, 50, 60, 3)},
    ),
    "a sum of two": (
        lambda m, x: functional.linear(x, m.f.weight + m.b @ m.a),
        {"f": nn.Linear(3, 5), "a": ones(1, 3), "b": ones(5, 1)},
        {"f": (5, 50, 60, 3)},
    ),
    "einsum": (
        *(lambda m, x: torch.einsum("ik,jk->ij", x, m.w), {"w": ones(5, 3)}),
        {"": (5, 50, 60, 3)},
    ),
    "einsum in batches": (
        *(lambda m, x: torch.einsum("ik,hkj->hij", x, m.w), {"w": ones(2, 3, 5)}),
        {"": (10, 100, 120, 3)},
    ),
    "bmm": (
        *(lambda m, x: x.expand(2, 4, 3).bmm(m.w), {"w": ones(2, 3, 5)}),
        {"": (10, 100, 120, 3)},
    ),
    "baddbmm": (
        lambda m, x: torch.baddbmm(torch.zeros(1), x.expand(2, 4, 3), m.w),
        {"w": ones(2, 3, 5)},
        {"": (10, 100, 120, 3)},
    ),
    "addmm": (
        *(lambda m, x: torch.addmm(m.b, x, m.w), {"w": ones(3, 5), "b": ones(5)}),
        {"": (5, 50, 60, 3)},
    ),
    "matrix and vector": (lambda m, x: m.w @ x[0], {"w": ones(5, 3)}, {"": (0, 10, 15, 3)}),
    "two vectors": (lambda m, x: m.w.dot(x[1]), {"w": ones(3)}, {"": (1, 2, 3, 3)}),
    "constants alone": (lambda m, x: x + m.f(PICTURE)[0, 0], {"f": nn.Conv2d(2, 5, 1)}, {}),
    "element by element": (lambda m, x: x * m.w, {"w": ones(4, 3)}, {"": (1, 10, 12, 1)}),
    "divided element by element": (lambda m, x: x / m.w, {"w": ones(4, 3)}, {"": (1, 10, 12, 1)}),
    "parallel neurons": (
        *(lambda m, x: m.f(x), {"f": neuron.PSN(4)}),  # over time by a 4 x 4 matrix
        {"f": (4, 40, 48, 4)},
    ),
}


@pytest.mark.parametrize("name", SYNAPSES)
def test_what_meets_weights_by_hand(name):
    does, parts, expected = SYNAPSES[name]
    seen = watched(Does(does, **parts), X)
    assert weighed(seen) == expected
    assert not seen.multiplied and not seen.uncounted


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        # every value meets five weights
        (nn.Conv2d(2, 5, 1), (2 * 5, 20 * 5, 24 * 5, 2)),
        (nn.Conv2d(2, 4, 1, groups=2), (2 * 2, 20 * 2, 24 * 2, 1)),
        (nn.ConvTranspose2d(2, 5, 2, stride=2), (2 * 20, 20 * 20, 24 * 20, 8)),
        # 4 x 3 places; the 0 has four of nine taps, the 2 in the second row and column all nine,
        # and all of them together 10 * 7: three times 4 and three times 3, less the borders
        (nn.Conv2d(2, 5, 3, padding=1), (2 * 45, 2 * 5 * (70 - 4 - 9), 24 * 45, 18)),
        (nn.ConvTranspose2d(2, 5, 3, padding=1), (2 * 45, 2 * 5 * (70 - 4 - 9), 24 * 45, 18)),
        # without the border each of 2 x 1 windows sees nine places: four of them the 2, one the 0
        (nn.Conv2d(2, 5, 3), (2 * 2 * 5, 2 * 5 * (18 - 2 - 1), 2 * 5 * 18, 18)),
    ],
)
def test_convolutions_by_hand(module, expected):
    seen = watched(Does(lambda m, x: m.f(x), f=module), PICTURE)
    assert weighed(seen) == {"f": expected}
    # the same by a function, with a weight that is no layer's
    kernel = module.weight.detach().clone()
    how = {"stride": module.stride, "padding": module.padding, "groups": module.groups}
    kind = nn.ConvTranspose2d
    by_hand = functional.conv_transpose2d if isinstance(module, kind) else functional.conv2d
    seen = watched(Does(lambda m, x: by_hand(x, kernel, **how)), PICTURE)
    assert weighed(seen) == {"": expected}


def test_other_numbers_of_axes_by_hand():
    line, volume = PICTURE.flatten(2), PICTURE[:, :, None]
    assert weighed(watched(Does(lambda m, x: m.f(x), f=nn.Conv1d(2, 5, 1)), line)) == {
        "f": (10, 100, 120, 2)
    }
    # over a depth of one, two of three taps lie beyond the border
    conv = nn.Conv3d(2, 5, (3, 1, 1), padding=(1, 0, 0))
    assert weighed(watched(Does(lambda m, x: m.f(x), f=conv), volume)) == {"f": (10, 100, 360, 6)}


# products of X with itself: every pair of a 2 and a 2 is a multiplication, of a 1 and anything not
PRODUCTS = {
    "element by element": (lambda x: x * x, (1, 10)),
    "in place": (lambda x: x.clone().mul_(x), (1, 10)),
    "with an addition": (lambda x: torch.addcmul(x, x, x), (1, 10)),
    "broadcast": (lambda x: x * x[1], (1, 10)),
    "with truth values": (lambda x: x * (x > 0), (0, 11)),
    # a row with the 0 meets itself in 2 x 2 pairs, the three others in 3 x 3
    "matmul": (lambda x: x.t() @ x, (1, 30)),
    "einsum": (lambda x: torch.einsum("ni,nj->ij", x, x), (1, 30)),
    "bmm": (lambda x: x.t()[None] @ x[None], (1, 30)),
    "baddbmm": (lambda x: torch.baddbmm(torch.zeros(1), x.t()[None], x[None]), (1, 30)),
    "addbmm": (lambda x: torch.addbmm(torch.zeros(1), x.t()[None], x[None]), (1, 30)),
    "addmm": (lambda x: torch.addmm(torch.zeros(1), x.t(), x), (1, 30)),
    "dot": (lambda x: x[1].dot(x[1]), (1, 2)),
    "matrix and vector": (lambda x: x @ x[1], (1, 10)),
    "outer": (lambda x: torch.outer(x[1], x[1]), (1, 8)),
    # two windows of eight values each: one on itself, one whose 0 lies in the kernel alone
    "convolution": (lambda x: functional.conv1d(x[None], x[None, :, :2]), (1, 6 + 7)),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_of_activations_by_hand(name):
    does, expected = PRODUCTS[name]
    seen = watched(Does(lambda m, x: does(x)), X)
    assert multiplied(seen) == {"": expected}
    assert not seen.weighed and not seen.uncounted


def test_attention_of_spike_driven_transformers_is_counted_element_by_element():
    """(q * k).sum, a mask that holds back v [Yao 2023]; q, k and v here are the spikes of X."""

    def attend(m: nn.Module, x: Tensor) -> Tensor:
        q = k = v = (x > 0).float()  # eleven of twelve
        return v * (torch.cumsum(q * k, 0)[-1:] > 3)  # 3, 4 and 4 of 4: two columns

    seen = watched(Does(lambda m, x: m.attention(x), attention=Does(attend)), X)
    assert multiplied(seen) == {"attention": (0, 11 + 8)}
    assert not seen.uncounted


def test_multihead_attention_by_hand():
    x = torch.ones(2, 4, 6)  # [B, N, D]
    x[0, 0, 0] = 0
    seen = watched(
        Does(lambda m, x: m.a(x, x, x)[0], a=nn.MultiheadAttention(6, 2, batch_first=True)), x
    )
    # 47 ones on 3 * 6 weights; then every value is some fraction; two heads of 3 channels, 4 x 4
    # tokens of two recordings, once for the weights and once for the values
    assert weighed(seen) == {"a": (0, 47 * 18, 48 * 18, 6), "a.out_proj": (48 * 6, 0, 48 * 6, 6)}
    assert multiplied(seen) == {"a": (2 * (2 * 2 * 4 * 4 * 3), 0)}
    assert {operation.removeprefix("safe_") for _, operation in seen.uncounted} == {"softmax"}
    without_weights = watched(
        Does(lambda m, x: m.a(x, x, x, need_weights=False)[0], a=seen._model.a), x
    )
    assert multiplied(without_weights) == multiplied(seen)
    assert weighed(without_weights) == weighed(seen)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_in_one_call_is_taken_apart(causal):
    x = torch.full((1, 2, 4, 3), 0.5)
    seen = watched(
        Does(lambda m, x: functional.scaled_dot_product_attention(x, x, x, is_causal=causal)), x
    )
    tokens = 4 * 5 / 2 if causal else 16  # tokens that see each other
    # the first token sees itself alone, with a weight of 1: an addition
    assert multiplied(seen) == {"": (2 * 3 * (16 + tokens - causal), 2 * 3 * causal)}
    assert list(seen.uncounted) == [("", "safe_softmax")]


FREE = {
    "a number": lambda m, x: 0.25 * x / 3 + x.mul(torch.tensor(2.0)) * m.scale,
    "a number for each channel": lambda m, x: x * m.gain / m.gain + m.gain,
    "batch norm": lambda m, x: m.norm(x),
    "pools": lambda m, x: (
        functional.max_pool1d(x[None], 2)
        + functional.avg_pool1d(x[None], 2)
        + functional.adaptive_avg_pool1d(x[None], 1)
    ),
    "sums": lambda m, x: x.cumsum(0) + x.mean(0) + x.sum(0, keepdim=True) - x,
    "comparisons": lambda m, x: torch.where(x > 0, x.relu().clamp(0, 1), x.amax(0).round().abs()),
    "moves": lambda m, x: torch.cat([x.t().flip(0).roll(1, 0), x[[0, 1]].t()], 1).repeat(1, 2),
    "state that is written to": lambda m, x: torch.zeros(4, 3).copy_(x).add_(x).neg_(),
    "constants": lambda m, x: x + (m.gain.exp() * m.gain).softmax(0) @ torch.ones(3, 3),
    "neurons": lambda m, x: m.neurons(x),
}


@pytest.mark.parametrize("name", FREE)
def test_what_is_free_is_neither_counted_nor_named(name):
    parts = {
        "scale": ones(1),
        "gain": ones(3),
        "norm": nn.BatchNorm1d(3),
        "neurons": nn.Sequential(
            *(kind(step_mode="m") for kind in (neuron.LIFNode, neuron.ParametricLIFNode)),
            neuron.IFNode(step_mode="m", v_reset=None),
        ),
    }
    seen = watched(Does(FREE[name], **parts), X)
    assert (seen.weighed, seen.multiplied, seen.uncounted) == ({}, {}, {})
    assert bool(seen.neurons) == (name == "neurons")


UNKNOWN = {
    "softmax": lambda x: x.softmax(0),
    "log_softmax": lambda x: x.log_softmax(0),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "elu": functional.elu,
    "hardswish": functional.hardswish,
    "exp": torch.exp,
    "log1p": torch.log1p,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "reciprocal": torch.reciprocal,
    "pow": torch.square,
    "div": lambda x: x / (x + 1),
    "addcdiv": lambda x: torch.addcdiv(x, x, x + 1),
    "lerp": lambda x: torch.lerp(x, x, x),
    "prod": lambda x: x.prod(),
    "cumprod": lambda x: x.cumprod(0),
    "var": lambda x: x.var(),
    "std": lambda x: x.std(),
    "linalg_vector_norm": lambda x: x.norm(),
    "native_layer_norm": lambda x: functional.layer_norm(x, (3,)),
    "native_group_norm": lambda x: functional.group_norm(x, 1),
    "native_batch_norm": lambda x: functional.instance_norm(x[None]),
    "cdist_forward": lambda x: torch.cdist(x, x),
    "fft_r2c": torch.fft.fft,
    "upsample_linear1d": lambda x: functional.interpolate(x[None], scale_factor=2.0, mode="linear"),
    "grid_sampler_2d": lambda x: functional.grid_sample(
        x[None, None], torch.zeros(1, 1, 1, 2), align_corners=False
    ),
    "scatter_reduce": lambda x: x.scatter_reduce(0, (x > 2).long(), x, "prod"),
    "addr": lambda x: torch.addr(x, x[:, 0], x[0]),
    "remainder": lambda x: x % 2,
    "mul": lambda x: torch.view_as_complex(x[:, :2].contiguous()) ** 1 * 1j,
    "mkldnn_rnn_layer": lambda x: nn.LSTM(3, 2)(x)[0],
    "trilinear": lambda x: nn.Bilinear(3, 3, 2)(x, x),
    "rand_like": torch.rand_like,
}


def test_any_other_operation_is_named(tried):
    named = 0
    for operation, does in UNKNOWN.items():
        model = Does(lambda m, x: m.part(x), part=Does(lambda m, x, does=does: does(x)))
        seen = watched(model, X)
        assert ("part", operation) in seen.uncounted, operation
        named += 1
    tried("measure", "an operation whose cost is not known", right=named)


def test_the_order_is_that_of_execution():
    model = Does(
        lambda m, x: m.first(m.last(m.middle(m.first(x)))),
        **{name: nn.Linear(3, 3) for name in ("last", "middle", "first")},
    )
    seen = watched(model, X)
    assert list(seen.weighed) == ["first", "middle", "last"]
    assert {name: each.last for name, each in seen.weighed.items()} == {
        "first": 4, "middle": 2, "last": 3,
    }  # fmt: skip
    assert seen.weighed["first"].dense == 2 * 12 * 3  # both times


def test_layers_that_share_a_weight_are_told_apart():
    shared = Does(lambda m, x: m.a(m.b(x)), a=nn.Linear(3, 3), b=nn.Linear(3, 3))
    shared.b.weight = shared.a.weight
    assert list(weighed(watched(shared, X))) == ["b", "a"]


def test_a_state_that_keeps_activations_keeps_them_from_batch_to_batch():
    """A buffer that an activation was written to is one; a product with it is none with weights."""

    def step(m: nn.Module, x: Tensor) -> Tensor:
        y = x * m.state
        m.state.copy_(x)
        return y

    model = Does(step, state=nn.Buffer(torch.ones(4, 3)))
    with torch.no_grad(), Watch(model) as seen:
        model(X)
        assert list(seen.weighed) == [""] and not seen.multiplied
        model(X)
    assert multiplied(seen) == {"": (1, 10)}


def test_a_pass_that_is_watched_computes_the_same_and_leaves_nothing_behind():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.MultiheadAttention(8, 2)).eval()
    fast = torch.backends.mha.get_fastpath_enabled()
    linear = model[0]
    with torch.no_grad():
        plain = linear(X)
        with Watch(linear):
            assert not torch.backends.mha.get_fastpath_enabled()
            assert torch.equal(linear(X), plain)
        with pytest.raises(RuntimeError), Watch(linear):
            linear(torch.ones(2, 2))
    assert torch.backends.mha.get_fastpath_enabled() == fast
    assert not linear._forward_hooks and not linear._forward_pre_hooks


def test_what_is_done_with_logits_is_not_the_networks():
    linear = nn.Linear(3, 5)
    with torch.no_grad(), Watch(linear) as seen:
        logits = linear(X)
        assert (logits * logits).exp().isfinite().all()
    assert list(seen.weighed) == [""] and not seen.multiplied and not seen.uncounted


def test_neurons_are_seen_by_their_spikes():
    model = Does(lambda m, x: m.n(x), n=neuron.IFNode(step_mode="m"))
    seen = watched(model, X)
    # threshold 1 from rest: each 1 and the 2 fires at once, the 0 does not
    assert (seen.neurons["n"].values, seen.neurons["n"].active) == (12, 11)


def test_a_linear_layer_inside_of_neurons_is_counted():
    class Gated(neuron.LIFNode):
        def __init__(self) -> None:
            super().__init__(step_mode="m")
            self.gate = layer.Linear(3, 3, bias=False, step_mode="m")

        def multi_step_forward(self, x: Tensor) -> Tensor:
            return super().multi_step_forward(x * self.gate(x).sigmoid())

    seen = watched(Does(lambda m, x: m.n(x), n=Gated()), X)
    assert weighed(seen) == {"n.gate": (3, 30, 36, 3)}
    assert not seen.multiplied and not seen.uncounted
