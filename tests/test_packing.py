"""Packed files against codes worked out by hand, folding worked out apart, and every damage."""

import io
import json
import math
import pickle
import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save
from torch import nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

from hetspike.errors import UserError
from hetspike.inspection.layers import quantizable_layers
from hetspike.networks.spikformer import Spikformer
from hetspike.packed import packing
from hetspike.packed.codes import from_bits, to_bits
from hetspike.packed.folding import BatchNorm, batch_norms_after
from hetspike.packed.packing import Packed, pack, read, unpack
from hetspike.quantization.levels import SCHEMES, Scheme, uniform
from hetspike.quantization.quantizer import Choice, Quantizer, freeze, quantize

CHOICES = [Choice(name, bits) for name, scheme in SCHEMES.items() for bits in scheme.widths]
MIXED = [("uniform", 2), ("pot", 4), ("binary", 1), ("apot", 4), ("uniform", 8), ("pot", 3)]


SIZE = {"width": 16, "depth": 1, "heads": 2, "mlp_ratio": 2, "pools": [True, True, True, False]}
NETWORK = {"architecture": "spikformer", **SIZE}


def mixed(model: nn.Module) -> dict[str, Choice]:
    """The schemes of MIXED in turn, layer by layer."""
    names = quantizable_layers(model)
    return {name: Choice(*MIXED[i % len(MIXED)]) for i, name in enumerate(names)}


def disturb(model: nn.Module) -> nn.Module:
    """The model with batch norms as a training may leave them, and large weights."""
    for module in model.modules():
        if isinstance(module, BatchNorm):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                sign = torch.where(torch.rand(module.num_features) < 0.2, -1, 1)
                module.weight.data.uniform_(0.5, 2).mul_(sign)
                module.bias.data.uniform_(0, 0.8)
        elif isinstance(module, nn.Conv1d | nn.Conv2d):
            module.weight.data.mul_(3)
    return model.eval()


def spikformer() -> Spikformer:
    torch.manual_seed(0)
    model = Spikformer(3, width=16, depth=1, heads=2, mlp_ratio=2, pools=(True, True, True, False))
    disturb(model)
    return model


def frames_of_events(seed: int = 1) -> torch.Tensor:
    torch.manual_seed(seed)
    return torch.poisson(torch.full((4, 2, 2, 16, 16), 1.5))


def tiny(channels: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, channels, 1), nn.BatchNorm2d(channels), nn.ReLU(), nn.Flatten()]
    return disturb(nn.Sequential(*layers, nn.Linear(4 * channels, 2)))


X = torch.linspace(-1, 2, 16).view(2, 2, 2, 2)
TINY = quantize(tiny(), {"0": Choice("pot", 3), "4": Choice("uniform", 3)})
FILE = pack(TINY, X, row="pot-3")


def answers(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(x)


def same(found: Packed, wanted: Packed) -> bool:
    """Whether two files hold the same."""
    return (
        found.about == wanted.about
        and found.assignment == wanted.assignment
        and all(
            torch.equal(a, b)
            for name, layer in wanted.layers.items()
            for a, b in zip(found.layers[name][1:], layer[1:], strict=True)
        )
        and found.others.keys() == wanted.others.keys()
        and all(torch.equal(found.others[name], each) for name, each in wanted.others.items())
    )


def refusal(data: bytes) -> str:
    """What the user is told about a file; one line."""
    with pytest.raises(UserError) as error:
        read(data)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_bits_by_hand():
    negative = torch.tensor([[False, True], [True, False]])
    # 0 11 | 1 01 | 1 00 | 0 10 -> 01110110 0010(0000)
    packed = to_bits(negative, torch.tensor([[3, 1], [0, 2]]), 3)
    assert packed.tolist() == [0b01110110, 0b00100000]
    signs, indices = from_bits(packed, [2, 2], 3)
    assert signs.tolist() == negative.tolist()
    assert indices.tolist() == [[3, 1], [0, 2]]


@given(st.sampled_from(CHOICES), st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_bits_come_back(choice, shape, data):
    count = math.prod(shape)
    magnitudes = len(SCHEMES[choice.scheme].levels(choice.bits).magnitudes)
    signs = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    indices = data.draw(st.lists(st.integers(0, magnitudes - 1), min_size=count, max_size=count))
    negative, index = torch.tensor(signs).view(shape), torch.tensor(indices).view(shape)
    packed = to_bits(negative, index, choice.bits)
    assert packed.dtype == torch.uint8
    assert len(packed) == -(-count * choice.bits // 8)
    found_negative, found_index = from_bits(packed, shape, choice.bits)
    assert torch.equal(found_negative, negative)
    assert torch.equal(found_index, index)


@pytest.mark.parametrize(
    ("choice", "weights", "codes"),
    [
        (Choice("binary", 1), [0.1, -9.0, 0.0, -0.3], ["0", "1", "0", "1"]),
        (Choice("uniform", 3), [0.0, 2.0, -4.2, 99.0], ["000", "001", "110", "011"]),
        # scale 2: levels 0, 0.5, 1, 2 have the codes 0, 1, 2, 3
        (Choice("pot", 3), [0.1, -0.5, 1.2, -2.0], ["000", "101", "010", "111"]),
        # magnitudes 0, 1/8, 1/4, 3/8, 1/2, 3/4, 1, 5/4 times 2
        (Choice("apot", 4), [0.25, -0.75, 1.5, -9.0], ["0001", "1011", "0101", "1111"]),
    ],
)
def test_codes_by_hand(choice, weights, codes):
    quantizer = Quantizer(torch.ones(1, 1), choice)
    quantizer.log_scale.data.fill_(math.log(2))
    packed = to_bits(*quantizer.codes(torch.tensor([weights])), choice.bits)
    expected = "".join(codes).ljust(8 * len(packed), "0")
    assert "".join(f"{byte:08b}" for byte in packed.tolist()) == expected


def test_folding_by_hand():
    # gain -6 / sqrt(4) = -3, shift -3 (1 - 3) + 0.5 = 6.5; the scale 2 becomes -6
    model = nn.Sequential(nn.Conv1d(1, 1, 1), nn.BatchNorm1d(1, eps=0)).eval()
    model[0].weight.data.fill_(2), model[0].bias.data.fill_(1)
    model[1].running_mean.fill_(3), model[1].running_var.fill_(4)
    model[1].weight.data.fill_(-6), model[1].bias.data.fill_(0.5)
    model = quantize(model, {"0": Choice("uniform", 2)})
    model[0].parametrizations["weight"][0].log_scale.data.fill_(math.log(2))
    packed = read(pack(model, torch.ones(1, 1, 4)))
    assert packed.layers["0"].scale.tolist() == [-6]
    assert packed.layers["0"].bias.tolist() == [6.5]
    assert packed.layers["0"].weight.tolist() == [[[-6]]]
    assert packed.about["folded"] == ["1"]
    assert packed.others == {}


def folded_apart(model: nn.Module) -> nn.Module:
    """A Spikformer with its batch norms in float16 scales and biases, worked out on its own."""
    plain = freeze(model)
    units = [*plain.patch.stages, plain.patch.position]
    for block in plain.blocks:
        attention = block.attention
        units += [attention.q, attention.k, attention.v, attention.projection, block.fc1, block.fc2]
    names = {module: name for name, module in plain.named_modules()}
    for unit in units:
        if not isinstance(unit, nn.Sequential):
            continue  # a pool
        conv, norm = unit[0], unit[1]
        quantizer = model.get_submodule(names[conv]).parametrizations["weight"][0]
        spread = (norm.running_var.double() + norm.eps).sqrt()
        gain = norm.weight.detach().double() / spread
        bias = norm.bias.detach().double() - gain * norm.running_mean.double()
        conv.weight = nn.Parameter(on_levels(conv.weight.detach(), quantizer, gain))
        conv.bias = nn.Parameter(bias.half().float())
        unit[1] = nn.Identity()
    head = plain.head
    quantizer = model.head.parametrizations["weight"][0]
    head.weight = nn.Parameter(on_levels(head.weight.detach(), quantizer, torch.ones(3)))
    head.bias = nn.Parameter(head.bias.detach().half().float())
    return plain


def on_levels(weight: torch.Tensor, quantizer: Quantizer, gain: torch.Tensor) -> torch.Tensor:
    """float16(gain * scale) times the level that each quantized weight lies on."""
    magnitudes = SCHEMES[quantizer.choice.scheme].levels(quantizer.choice.bits).magnitudes
    levels = torch.tensor([sign * each for each in magnitudes for sign in (1, -1)])
    scale = quantizer.log_scale.detach().exp()
    ratio = weight.flatten(1) / scale[:, None]
    nearest = levels[(ratio[..., None] - levels).abs().argmin(-1)]
    assert torch.allclose(nearest, ratio, atol=1e-6)
    return ((gain * scale).half().float()[:, None] * nearest).view_as(weight)


def test_a_packed_spikformer_is_the_folded_one_bit_by_bit():
    model = quantize(spikformer(), mixed(spikformer()))
    data = pack(model, frames_of_events())
    x = frames_of_events(2)
    wanted = answers(folded_apart(model), x)
    found = unpack(data, into=spikformer())
    assert torch.equal(answers(found, x), wanted)
    assert torch.equal(answers(unpack(data, into=model), x), wanted)
    assert not torch.equal(wanted[0], wanted[1])  # the network does look at its input
    # what is unpacked has no quantizers and no batch norms, and can be packed again
    again = unpack(pack(found, x), into=found)
    assert torch.equal(answers(again, x), wanted)


def test_a_packed_network_answers_as_the_trained_one():
    model = quantize(spikformer(), mixed(spikformer()))
    x = frames_of_events(2)
    found = answers(unpack(pack(model, x), into=spikformer()), x)
    wanted = answers(freeze(model), x)
    assert torch.allclose(found, wanted, rtol=0.05, atol=0.02)
    assert not torch.equal(found, wanted)  # 16-bit numbers do round


def test_packing_leaves_the_model_as_it_was():
    model = quantize(spikformer(), mixed(spikformer())).train()
    before = {name: each.clone() for name, each in model.state_dict().items()}
    pack(model, frames_of_events())
    assert model.training
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("assignment", [{}, {"0": Choice("uniform", 8), "2": Choice("pot", 4)}])
def test_batch_norm_folds(bias, affine, assignment):
    torch.manual_seed(0)
    first = [nn.Conv1d(3, 4, 2, bias=bias), nn.BatchNorm1d(4, affine=affine)]
    model = disturb(nn.Sequential(*first, nn.Conv1d(4, 5, 1, bias=bias), nn.BatchNorm1d(5)))
    model[3].weight.data[0] = -1.5
    model = quantize(model, assignment)
    x = torch.randn(2, 3, 6)
    data = pack(model, x)
    assert read(data).about["folded"] == ["1", "3"]
    wanted, found = answers(freeze(model), x), answers(unpack(data, into=model), x)
    rounding = 2.0**-9 if assignment else 1e-6
    assert torch.allclose(found, wanted, rtol=0, atol=rounding * float(wanted.abs().max()))


def test_a_float_network_keeps_its_logits():
    model, x = spikformer(), frames_of_events()
    data = pack(model, x)
    packed = read(data)
    assert packed.layers == {}
    assert packed.has_float_weights
    assert not any("running" in name for name in packed.others)
    assert torch.allclose(answers(unpack(data, into=model), x), answers(model, x), atol=1e-5)


def test_layers_left_in_float_are_kept_in_float():
    model = quantize(tiny(), {"0": Choice("binary", 1)})
    packed = read(pack(model, X))
    assert packed.assignment == {"0": ("binary", 1)}
    assert packed.has_float_weights
    assert packed.others.keys() == {"4.weight", "4.bias"}
    assert torch.equal(packed.others["4.weight"], model[4].weight)
    assert not read(FILE).has_float_weights


def test_a_batch_norm_that_follows_no_layer_is_kept():
    model = nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1), nn.ReLU(), nn.BatchNorm2d(2))
    model = quantize(disturb(model), {"1": Choice("uniform", 8)})
    data = pack(model, X)
    assert read(data).about["folded"] == []
    assert torch.allclose(
        answers(unpack(data, into=model), X), answers(freeze(model), X), rtol=0.01, atol=0.01
    )


def test_a_batch_norm_over_another_axis_is_kept():
    # features [B, 4, 5]: the norm is over the 4 places, the layer has 5 outputs
    model = disturb(nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(4)))
    x = torch.randn(2, 4, 3)
    assert batch_norms_after(model, x) == {}
    model = quantize(model, {"0": Choice("uniform", 8)})
    found = answers(unpack(pack(model, x), into=model), x)
    assert torch.allclose(found, answers(freeze(model), x), atol=0.01)


def test_batch_norms_are_found_where_they_are_applied():
    model = spikformer()
    layers = list(quantizable_layers(model))[:-1]  # all but the classifier
    expected = {layer: layer.removesuffix("0") + "1" for layer in layers}
    assert batch_norms_after(model, frames_of_events()) == expected


def test_paper_size_file_is_as_long_as_its_bits():
    torch.manual_seed(0)
    model = Spikformer(10, width=256, depth=2)
    four = ("blocks.0.fc1.0", "blocks.1.attention.q.0", "patch.stages.0.0", "patch.stages.2.0")
    names = quantizable_layers(model)
    assignment = {n: Choice("pot", 4) if n in four else Choice("uniform", 3) for n in names}
    bits = sum(layer.weight.numel() * assignment[n].bits for n, layer in names.items())
    assert bits / 2_552_896 == pytest.approx(3.14, abs=0.015)
    data = pack(quantize(model, assignment), torch.ones(1, 1, 2, 32, 32))
    assert bits / 8 < len(data) < 1.03 * bits / 8


def test_the_header_says_what_was_handed_in():
    about = {"dataset": "sim", "seed": 3, "table": {10: [1, None], 9: (0.1, "ä")}}
    packed = read(pack(TINY, X, **about))
    assert packed.about == {
        "format": 3,
        "kind": "packed",
        "version": version("hetspike"),
        "layers": {"0": ["pot", 3, [3, 2, 1, 1]], "4": ["uniform", 3, [2, 12]]},
        "folded": ["1"],
        "agreement": [2, 2],
        "network": None,
        "classes": None,
        "traits": packed.about["traits"],  # see test_traits
        "dataset": "sim",
        "seed": 3,
        "table": {"10": [1, None], "9": [0.1, "ä"]},
    }


def test_safetensors_itself_reads_the_file(tmp_path):
    path = tmp_path / "network.safetensors"
    path.write_bytes(FILE)
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["hetspike"])["about"] == {"row": "pot-3"}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert {name: (each.dtype, tuple(each.shape)) for name, each in tensors.items()} == {
        "0.codes": (torch.uint8, (3,)),  # 6 weights of 3 bits
        "0.numbers": (torch.float16, (2, 3)),
        "4.codes": (torch.uint8, (9,)),  # 24 weights of 3 bits
        "4.numbers": (torch.float16, (2, 2)),
    }


@settings(max_examples=300)
@given(st.integers(0, len(FILE) - 1), st.integers(1, 255))
def test_a_damaged_byte_is_refused_or_changes_nothing(place, mask):
    damaged = bytearray(FILE)
    damaged[place] ^= mask
    try:
        found = read(bytes(damaged))
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert same(found, read(FILE))


def test_every_byte_of_the_tensors_is_guarded():
    content = 8 + int.from_bytes(FILE[:8], "little")
    for place in range(content, len(FILE)):
        damaged = bytearray(FILE)
        damaged[place] ^= 1
        assert "damaged" in refusal(bytes(damaged))


def test_a_file_cut_short_anywhere_is_refused():
    for length in range(len(FILE)):
        assert "get it again" in refusal(FILE[:length])
    assert "cut short or damaged" in refusal(FILE + b"\0")


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.ones(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "not a safetensors file"),
        (b"dataset,cell,seed\nsim,float,0\n" * 50, "not a safetensors file"),
        (npz(), "not a safetensors file"),
        (save({"x": torch.ones(3)}), "none of hetspike"),
        (save({"x": torch.ones(3)}, {"format": "pt"}), "none of hetspike"),
        (save({"x": torch.ones(3)}, {"hetspike": "{}"}), "as hetspike '0.2.0 or before' writes"),
        (save({"x": torch.ones(3)}, {"hetspike": '{"format": 1}'}), "not of format 3: make it"),
        (save({"x": torch.ones(3)}, {"hetspike": '{"format": 4, "version": "9.1"}'}), "'9.1'"),
        (save({"x": torch.ones(3)}, {"hetspike": "7"}), "damaged"),
        (save({"x": torch.ones(3)}, {"hetspike": '{"format": 3}'}), "damaged"),
        (b"\6\0\0\0\0\0\0\0[1, 2]", "not a safetensors file"),
        (b'\x1b\0\0\0\0\0\0\0{"a": {"data_offsets": []}}', "not a safetensors file"),
    ],
)
def test_foreign_files_are_refused(data, told):
    assert told in refusal(data)


class Trap:
    """Whoever unpickles it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(tmp_path):
    trap = Trap(tmp_path / "sprung")
    buffer = io.BytesIO()
    torch.save(trap, buffer)
    for data in (pickle.dumps(trap, 0), pickle.dumps(trap), buffer.getvalue()):
        assert "not a safetensors file" in refusal(data)
    assert not trap.path.exists()
    pickle.loads(pickle.dumps(trap))
    assert trap.path.exists()  # the trap does work


@pytest.mark.parametrize(
    "other",
    [tiny(channels=4), nn.Sequential(nn.Conv2d(2, 3, 1)), nn.Sequential(nn.ReLU()), spikformer()],
)
def test_a_file_of_another_network_is_refused(other):
    with pytest.raises(UserError, match=r"^the packed network (has a layer|is not the one).*$"):
        unpack(FILE, into=other)


def test_a_network_with_more_layers_than_the_file_is_refused():
    with pytest.raises(UserError, match=r"is not the one to unpack into: Missing key.*5\.weight"):
        unpack(FILE, into=nn.Sequential(*tiny(), nn.Linear(2, 2)))


def test_an_unknown_scheme_is_named(monkeypatch):
    monkeypatch.setitem(SCHEMES, "half-steps", Scheme(uniform, range(2, 4)))
    data = pack(quantize(tiny(), {"0": Choice("half-steps", 3)}), X)
    assert read(data).assignment == {"0": ("half-steps", 3)}
    monkeypatch.delitem(SCHEMES, "half-steps")
    assert "scheme 'half-steps', unknown here" in refusal(data)


class Branch(nn.Module):
    """A convolution whose output goes round its batch norm as well, by so much."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)
        self.share = share

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return self.norm(x) + self.share * x


@pytest.mark.parametrize("share", [1.0, 0.01])
def test_an_output_used_twice_is_refused(share):
    torch.manual_seed(0)
    model = quantize(disturb(Branch(share)), {"conv": Choice("uniform", 4)})
    with pytest.raises(UserError, match="used by more than the batch norm"):
        pack(model, X)


def test_a_batch_norm_without_statistics_is_refused():
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2, track_running_stats=False))
    with pytest.raises(UserError, match="without running statistics"):
        pack(quantize(model, {"0": Choice("uniform", 4)}), X)


def test_a_scale_beyond_float16_is_refused():
    model = tiny()
    model[1].weight.data[1] = 1e7
    with pytest.raises(UserError, match="layer 0 has a scale or bias beyond the range of float16"):
        pack(quantize(model, {"0": Choice("uniform", 4)}), X)


def layers_of(change) -> nn.Module:
    """TINY after a change of its layers."""
    model = quantize(tiny(), {"0": Choice("pot", 3), "4": Choice("uniform", 3)})
    change(model)
    return model


class Lying(Quantizer):
    """Its codes are not what it computes with."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 1.01 * super().forward(weight)


def lie(model: nn.Module) -> None:
    model[0].parametrizations["weight"][0].__class__ = Lying


def again(model: nn.Module) -> None:
    quantizer = Quantizer(model[4].weight, Choice("uniform", 2))
    parametrize.register_parametrization(model[4], "weight", quantizer)


def log_scale(model: nn.Module, value: float) -> None:
    model[4].parametrizations["weight"][0].log_scale.data[1] = value


def original(model: nn.Module) -> None:
    model[4].parametrizations["weight"].original.data[1, 2] = math.nan


def own_tensor(model: nn.Module) -> None:
    model[4].register_buffer("codes", torch.ones(1))


NOT_PACKED = {
    "layer 4 has the parametrizations Quantizer, Quantizer": again,
    "layer 0 would compute with other numbers": lie,
    "layer 4 has a number in its weight that is not finite": original,
    "layer 0 has a number in its bias that": lambda m: m[0].bias.data.fill_(math.inf),
    "layer 1 has a number in its running_var that": lambda m: m[1].running_var.fill_(math.nan),
    "layer 1 has a number in its running_mean": lambda m: m[1].running_mean.fill_(math.inf),
    "layer 1 has a number in its weight that": lambda m: m[1].weight.data.fill_(math.nan),
    "layer 4 has a number in its log_scale that is not": lambda m: log_scale(m, math.nan),
    "layer 4 has a scale or bias beyond the range of float16": lambda m: log_scale(m, 20.0),
    "layer 4 has a tensor 'codes'": own_tensor,
    "layer 0 has the parametrizations Quantizer, _WeightNorm": lambda m: weight_norm(m[0]),
    "layer 4 has the parametrizations Quantizer, _Spectral": lambda m: spectral_norm(m[4]),
    "layer 4 has the parametrizations Quantizer, _Orth": lambda m: orthogonal(m[4]),
}


@pytest.mark.parametrize("told", NOT_PACKED)
def test_what_a_file_would_not_hold_is_refused_by_the_layers_name(told, tried):
    with pytest.raises(UserError, match=f"^{re.escape(told)}"):
        pack(layers_of(NOT_PACKED[told]), X)
    tried("`hetspike.pack`", "a layer that a file would not hold as it is", refused=1)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: weight_norm(m[0]), "layer 0 has the parametrizations _WeightNorm"),
        (lambda m: spectral_norm(m[4]), "layer 4 has the parametrizations _SpectralNorm"),
        (lambda m: weight_norm(m[1], dim=None), "layer 1 has the parametrizations _WeightNorm"),
        (lambda m: nn.utils.weight_norm(m[0]), "layer 0 computes its weight or bias"),
        (lambda m: nn.utils.spectral_norm(m[4]), "layer 4 computes its weight or bias"),
        (lambda m: prune.l1_unstructured(m[4], "weight", 0.5), "layer 4 computes its weight or"),
        (lambda m: prune.random_unstructured(m[0], "bias", 0.5), "layer 0 computes its weight"),
    ],
)
def test_weights_that_are_computed_before_each_pass_are_refused(change, told):
    model = tiny()
    change(model)
    with pytest.raises(UserError, match=f"^{told}"):
        pack(model, X)


def test_pruning_and_norms_that_were_made_final_are_packed():
    model = tiny()
    prune.l1_unstructured(model[4], "weight", 0.5)
    prune.remove(model[4], "weight")
    weight_norm(model[0])
    parametrize.remove_parametrizations(model[0], "weight")
    assert torch.allclose(answers(unpack(pack(model, X), into=tiny()), X), answers(model, X))


def test_memory_in_another_order_changes_nothing():
    model = TINY.to(memory_format=torch.channels_last)
    assert pack(model, X, row="pot-3") == FILE
    assert answers(
        unpack(pack(tiny().to(memory_format=torch.channels_last), X), into=tiny()), X
    ).any()


def test_the_file_says_on_how_many_recordings_it_agrees():
    # the first input decides for class 0 by a hair, which float16 rounds away
    model = nn.Linear(1, 2, bias=True)
    model.weight.data.fill_(1), model.bias.data.copy_(torch.tensor([1.0 + 2**-12, 1.0]))
    model = quantize(nn.Sequential(model), {"0": Choice("uniform", 2)})
    model[0].parametrizations["weight"][0].log_scale.data.copy_(
        torch.tensor([1 - 2**-9, 1.0]).log()
    )
    x = torch.tensor([[0.0], [1.0], [2.0]])
    data = pack(model, x)
    found, wanted = (answers(each, x) for each in (unpack(data, into=model), model))
    same = int((found.argmax(1) == wanted.argmax(1)).sum())
    assert read(data).header.agreement == (same, 3) and same > 0


def test_a_network_with_words_of_another_is_refused():
    with pytest.raises(UserError, match=r"^the packed network has a layer 0, which this"):
        pack(TINY, X, classes=2, network=NETWORK)
    with pytest.raises(UserError, match=r"does not hold a network"):
        pack(TINY, X, network=NETWORK)
    with pytest.raises(UserError, match=r"^header: unknown key 'network\.colour'"):
        pack(TINY, X, classes=2, network=NETWORK | {"colour": "red"})


def test_the_network_keeps_its_type_and_what_it_shares():
    into = tiny().double()
    found = unpack(FILE, into=into)
    assert all(each.dtype == torch.float64 for each in found.parameters())
    packed = read(pack(quantize(tiny(), {"0": Choice("pot", 3)}), X))
    other = packing._filled(packed, tiny())
    other[4].weight.data.zero_()
    assert packed.others["4.weight"].any()
