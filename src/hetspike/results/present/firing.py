"""The table of firing for people; the layers stay in the csv."""

from hetspike.names import FLOAT_TUNED
from hetspike.results.firing import firing_by_network
from hetspike.results.present.columns import NETWORK, Table, spread

TABLES = {
    "firing": Table(
        lambda of: of.firing,
        NETWORK
        | {
            "Firing rate (%)": spread("rate", ".2f"),
            "Dead neurons (%)": spread("dead", ".2f"),
            "Distance of distributions (pp)": spread("distance", ".2f"),
            "Change of a neuron (pp)": spread("change", ".2f"),
        },
        "{stand_ins}How often neurons spike on the test recordings. A neuron is a channel at a "
        "position; its rate is the share of steps in which it spikes. Firing rate: mean over all "
        "neurons. Dead neurons: those that never spike. Then against "
        f"{FLOAT_TUNED} of the same seed, mean over layers: the earth mover's distance of the two "
        "distributions of rates over neurons, and how far the rate of a neuron is from that of the "
        f"same neuron, since all networks of one seed start from one float network. {FLOAT_TUNED} "
        "under another seed tells what is far: there the training is the same, and neurons do not "
        "correspond. Mean over seeds (over pairs of seeds), range in brackets; the csv has every "
        "layer.",
        firing_by_network,
    )
}
