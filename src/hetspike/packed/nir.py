"""Export of networks as NIR graphs, which neuromorphic simulators and chips read.

NIR [Pedersen 2024, arXiv 2311.14641] has convolutions, linear layers, integrate-and-fire neurons
with a hard reset, average pools, and sums of the inputs of a node. SpikingJelly makes the graph. It
silently drops some operations that it takes for such sums. So the network is first checked for
them, and the finished graph is read back and its outputs are compared.

NIR stores weights as floats. They have the values of their levels, but the graph does not contain
scheme and bits.
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
SILENT = (nn.Identity, nn.ModuleList)  # modules without an operation


def to_nir(model: nn.Module, example: Tensor, dt: float = 1e-4) -> nir.NIRGraph:
    """Export a network, or a part of one, with folded batch norms as an NIR graph.

    model    as `packed.packing.unpack` returns it
    example  its input; [T, B, ...] if the layers are in SpikingJelly's multi-step mode
    dt       duration of a time step [s]; time constants of NIR are in seconds

    `nir.write` writes the graph to a file. Raises UserError if NIR cannot express a module; the
    message names it.
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
        expected, (output, _) = traced(example), read_back(example)
    if (expected - output).abs().mean() > 0.01 * expected.abs().mean():
        raise UserError("the NIR graph, read back, does not answer as the network: export a part")
    return graph


def _traced(model: nn.Module) -> fx.GraphModule:
    """Trace the network as a graph of calls, without the identities that folding leaves."""
    tracer = NIRTorchTracer((base.StepModule,))
    try:
        graph = tracer.trace(model)
    except Exception as error:  # a user's forward may raise anything for the tracer's proxies
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
    """List what NIR cannot express as 'module (problem)', in the order of the network."""
    problems: dict[str, None] = {}
    for node in traced.graph.nodes:
        match node.op:
            case "call_module":
                place, what = node.target, _inexpressible(_module(traced, node))
            case "call_function" | "call_method":
                # the module whose forward calls the function; the network itself has no name
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
    """Return what NIR cannot express about a module; None if it can express the module."""
    if type(module) not in EXPRESSIBLE:
        return type(module).__name__
    if isinstance(module, neuron.BaseNode) and module.v_reset is None:
        return "soft reset"
    if isinstance(module, nn.Conv1d | nn.Conv2d) and module.groups > 1:
        return "groups"
    return None


def _is_residual(node: fx.Node) -> bool:
    """Return whether a call adds two signals that then enter a layer.

    NIR expresses a sum as two edges into one node. A sum as the network's output is refused:
    readers of the graph return two outputs.
    """
    return (
        node.target is operator.add
        and len(node.all_input_nodes) == len(node.args)
        and all(each.op != "get_attr" for each in node.all_input_nodes)
        and all(user.op != "output" for user in node.users)
    )


def _step_mode(model: nn.Module) -> str:
    """Return the step mode of the network's layers, "m" for multi-step or "s" for single-step."""
    modes = {each.step_mode for each in model.modules() if isinstance(each, base.StepModule)}
    return "m" if "m" in modes else "s"
