"""The float baseline of one dataset and seed, from random weights."""

from jobs import Named, Say
from training import float_network, train_network


def main(
    *, input: Named, output: Named, params: Named, wildcards: Named, resources: Named, say: Say
) -> None:
    seed = int(wildcards["seed"])
    network, about = float_network(input["train"], params["network"], seed)
    train_network(network, about, input, output, params, seed=seed, gpu=resources["gpu"], say=say)
