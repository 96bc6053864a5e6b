"""All tables of a study, each as csv, Markdown and LaTeX, and its metrics for `dvc metrics`."""

from itertools import groupby
from pathlib import Path

import pandas as pd
import torch
from histories import read_histories
from jobs import Named, Say, write_json, write_text
from machine import machine_class
from reading import read_json, read_table
from spike_counts import read_rates

from hetspike.cost.operations import Operation, predict_and_count
from hetspike.data.samples import Samples
from hetspike.documents import read
from hetspike.names import FLOAT_TUNED
from hetspike.networks import build, network_settings
from hetspike.results.claims import claims_table, paper_table, parse_claims
from hetspike.results.comparison import ablation_table, comparison_table, gains_of_cells
from hetspike.results.cost_tables import by_network, layer_table, mean_and_range
from hetspike.results.findings import findings, to_list
from hetspike.results.firing import firing_table
from hetspike.results.power import differences, power_table
from hetspike.results.present import load
from hetspike.results.present.columns import Measured
from hetspike.results.present.forms import to_csv, to_data, to_latex, to_markdown
from hetspike.results.tables import describe_datasets, metrics, results_table

SENSOR = (128, 128)  # pixels of DVS128, which took two of the paper's three datasets
CLASSES = 10  # of CIFAR10-DVS; they make one row of the network


def paper_size(configuration: Named) -> pd.DataFrame:
    """Operations of the untrained network of a study on a recording without an event."""
    plan = next(iter(configuration["datasets"].values()))
    network = build(network_settings(plan["network"]), CLASSES)
    frames = torch.zeros(1, plan["framing"]["steps"], 2, *SENSOR, dtype=torch.uint8)
    _, operations = predict_and_count(network, Samples(frames, torch.zeros(1)), {})
    return pd.DataFrame(operations, columns=Operation._fields)


def main(*, input: Named, output: Named, params: Named, say: Say) -> None:
    claims = parse_claims(read(input["claims"]), input["claims"])
    linear, predictions, layers, networks, events = (
        pd.concat(map(read_table, input[name]), ignore_index=True)
        for name in ("linear", "predictions", "layers", "networks", "events")
    )
    cells = pd.DataFrame(params["cells"]).rename(columns={"name": "cell"})
    recordings = events.pivot(index="dataset", columns="split", values="recordings")
    qat = {
        dataset: params["qat"].passes(splits["train"], splits["validation"])
        for dataset, splits in recordings.to_dict("index").items()
    }
    efforts = pd.DataFrame(
        [
            (dataset, cell, read_json(path, "passes")["passes"] / qat[dataset])
            for (dataset, _, cell), path in zip(params["searched"], input["searches"], strict=True)
        ],
        columns=["dataset", "cell", "qat_runs"],
    )
    spikes = dict(zip(params["networks"], input["spikes"], strict=True))
    firing = firing_table(
        lambda *network: read_rates(spikes[network]),
        *(list(dict.fromkeys(names)) for names in zip(*spikes, strict=True)),
        reference=FLOAT_TUNED,
    )
    paper = paper_table(claims)
    layers = layer_table(layers)
    spent = mean_and_range(by_network(layers, networks, reference=FLOAT_TUNED))
    comparison = comparison_table(predictions, layers, cells, efforts, reference=FLOAT_TUNED)
    ablations = ablation_table(predictions, cells)
    gains = gains_of_cells(comparison, ablations, cells)
    results = results_table(predictions, spent, cells, gains, paper)
    described = describe_datasets(events, params["steps"], paper)
    verdicts = claims_table(claims, results)
    judged = differences(predictions, layers, cells, claims, reference=FLOAT_TUNED)
    measured = Measured(
        linear=linear,
        predictions=predictions,
        layers=layers,
        networks=networks,
        cells=cells,
        comparison=comparison,
        ablations=ablations,
        firing=firing,
        histories=read_histories(input["histories"], params["networks"]),
        described=described,
        spent=spent,
        results=results,
        power=power_table(judged),
        claims=claims,
        verdicts=verdicts,
        paper_size=paper_size(read(input["paper"])),
    )

    def named(table: pd.DataFrame) -> pd.DataFrame:
        """Datasets with their protocol: claims and the paper's numbers know them without."""
        return table.replace({"dataset": params["labels"]})

    pages = {}
    for name, paths in groupby(map(Path, output["tables"]), lambda path: path.stem):
        form = load(name)
        table = named(form.rows(measured))
        shown, caption = form.shown(table), form.caption(table)
        texts = {
            ".csv": to_csv(table),
            ".md": to_markdown(shown, caption),
            ".tex": to_latex(shown, caption, f"tab:{name}"),
        }
        for path in paths:
            write_text(path, texts[path.suffix])
        pages[name] = to_data(shown, caption)
    found = findings(claims, *map(named, (verdicts, results, measured.power)))
    write_text(output["findings"], to_list(found))
    write_json(output["shown"], {"findings": [each._asdict() for each in found], "tables": pages})
    write_text(output["layers"], to_csv(named(layers)))
    write_text(output["events"], to_csv(named(events)))
    write_json(output["metrics"], metrics(named(results)))
    write_json(output["machine"], machine_class(params["kernels"]))
    say(", ".join(f"{n} {verdict}" for verdict, n in verdicts["verdict"].value_counts().items()))
