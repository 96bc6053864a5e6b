"""Networks as NIR graphs, which neuromorphic simulators and chips read.

NIR [Pedersen 2024, arXiv 2311.14641] knows convolutions, linear layers, integrate-and-fire neurons
with a hard reset, average pools, and sums of what arrives at a node. SpikingJelly translates. It
drops without a word what looks like such a sum and is none, so the network is searched for that
first, and the graph is read back and compared at the end.

NIR stores weights as floats: they lie on their levels, but scheme and bits are not in the graph.
"""

import operator

import torch
from spikingjelly.activation_based import base, layer, neuron
from torch import Tensor, fx, nn

from hetspike.errors import UserError, provided_by
from hetspike.quantization.quantizer import freeze

with provided_by("nir"):
    import nir
    from nirtorch.torch_tracer import NIRTorchTracer
    from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir

EXPRESSIBLE = {
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.AvgPool2d, nn.Flatten),
    *(layer.Linear, layer.Conv1d, layer.Conv2d, layer.AvgPool2d, layer.Flatten),
    *(neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode, neuron.CUBALIFNode),
}
SILENT = (nn.Identity, nn.ModuleList)  # nothing that a signal passes


def to_nir(model: nn.Module, example: Tensor, dt: float = 1e-4) -> nir.NIRGraph:
    """Export a network, or a part of one, whose batch norms are folded, as an NIR graph.

    model    as `packed.packing.unpack` leaves it
    example  its input, [T, B, ...] where the layers are in SpikingJelly's multi-step mode
    dt       duration of a time step [s]; NIR counts in seconds

    Write it with `nir.write`. Raises UserError, with the modules, for what NIR cannot express.
    """
    model = freeze(model).eval()
    traced = _traced(model)
    if problems := _problems(traced):
        raise UserError(
            f"NIR cannot express {', '.join(problems)}: export a part of the network without "
            "them; batch norms are folded by packing and unpacking"
        )
    try:
        graph = export_to_nir(traced, example, dt=dt)
        read_back = import_from_nir(graph, dt=dt, step_mode=_step_mode(model))
    except (NotImplementedError, ValueError) as error:
        raise UserError(f"NIR cannot express this network: {error}") from None
    with torch.no_grad():
        wanted, (found, _) = traced(example), read_back(example)
    if (wanted - found).abs().mean() > 0.01 * wanted.abs().mean():
        raise UserError("the NIR graph, read back, does not answer as the network: export a part")
    return graph


def _traced(model: nn.Module) -> fx.GraphModule:
    """The network as a graph of calls, without the identities that folding has left."""
    tracer = NIRTorchTracer((base.StepModule,))
    try:
        graph = tracer.trace(model)
    except Exception as error:  # whatever a foreign forward raises on a stand-in for its input
        leaves = {
            name: each
            for name, each in model.named_modules()
            if tracer.is_leaf_module(each, name) and not isinstance(each, SILENT)
        }
        problems = [f"{name} ({what})" for name in leaves if (what := _inexpressible(leaves[name]))]
        raise UserError(
            f"NIR cannot express {', '.join(['the forward of the network', *problems])}: {error}"
        ) from None
    traced = fx.GraphModule(tracer.root, graph)
    for node in graph.nodes:
        if node.op == "call_module" and type(_module(traced, node)) is nn.Identity:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    traced.recompile()
    return traced


def _module(traced: fx.GraphModule, node: fx.Node) -> nn.Module:
    return traced.get_submodule(str(node.target))


def _problems(traced: fx.GraphModule) -> list[str]:
    """What NIR cannot express, 'module (what)' in the order of the network, each once."""
    problems: dict[str, None] = {}
    for node in traced.graph.nodes:
        match node.op:
            case "call_module":
                place, what = node.target, _inexpressible(_module(traced, node))
            case "call_function" | "call_method":
                # the module whose forward calls it; the outermost has no name
                stack = list(node.meta.get("nn_module_stack", ()))
                place = stack[-1] if stack else "the network's own forward"
                name = getattr(node.target, "__name__", node.target)
                what = None if _is_residual(node) else name
            case _:
                continue
        if what:
            problems[f"{place} ({what})"] = None
    return list(problems)


def _inexpressible(module: nn.Module) -> str | None:
    """What about a module NIR cannot express; None where it can."""
    if type(module) not in EXPRESSIBLE:
        return type(module).__name__
    if isinstance(module, neuron.BaseNode) and module.v_reset is None:
        return "soft reset"
    if isinstance(module, nn.Conv1d | nn.Conv2d) and module.groups > 1:
        return "groups"
    return None


def _is_residual(node: fx.Node) -> bool:
    """Whether a call is an addition of two signals on their way to a layer.

    At the network's end NIR has two edges into the output, which readers return as two outputs.
    """
    return (
        node.target is operator.add
        and len(node.all_input_nodes) == len(node.args)
        and all(each.op != "get_attr" for each in node.all_input_nodes)
        and all(user.op != "output" for user in node.users)
    )


def _step_mode(model: nn.Module) -> str:
    """Multi-step or single-step, as the network's layers are."""
    modes = {each.step_mode for each in model.modules() if isinstance(each, base.StepModule)}
    return "m" if "m" in modes else "s"
