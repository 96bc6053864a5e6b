"""All tables of a study, each as csv, Markdown and LaTeX, and its metrics for `dvc metrics`."""

import pandas as pd
from jobs import job, write_json, write_text
from machine import machine_class
from reading import read_json, read_table

from hetspike.documents import read
from hetspike.inspection.effort import training_passes
from hetspike.names import FLOAT_TUNED
from hetspike.results.claims import claims_table, paper_table, parse_claims
from hetspike.results.cost_tables import by_network, layer_table, mean_and_range
from hetspike.results.present import SUMMARY, load
from hetspike.results.present.columns import Measured
from hetspike.results.present.forms import to_csv, to_data, to_latex, to_markdown
from hetspike.results.tables import describe_datasets, metrics, results_table

with job(snakemake) as say:
    claims = parse_claims(read(snakemake.input.claims), snakemake.input.claims)
    predictions, layers, networks, events = (
        pd.concat(map(read_table, snakemake.input[name]), ignore_index=True)
        for name in ("predictions", "layers", "networks", "events")
    )
    cells = pd.DataFrame(snakemake.params.cells).rename(columns={"name": "cell"})
    recordings = events.pivot(index="dataset", columns="split", values="recordings")
    qat = {
        dataset: training_passes(snakemake.params.qat, splits["train"], splits["validation"])
        for dataset, splits in recordings.to_dict("index").items()
    }
    efforts = pd.DataFrame(
        [
            (dataset, cell, read_json(path, "passes")["passes"] / qat[dataset])
            for (dataset, _, cell), path in zip(
                snakemake.params.searched, snakemake.input.searches, strict=True
            )
        ],
        columns=["dataset", "cell", "qat_runs"],
    )
    paper = paper_table(claims)
    layers = layer_table(layers)
    spent = mean_and_range(by_network(layers, networks, reference=FLOAT_TUNED))
    results = results_table(predictions, spent, cells, paper)
    described = describe_datasets(events, snakemake.params.steps, paper)
    verdicts = claims_table(claims, results)
    measured = Measured(
        predictions=predictions,
        layers=layers,
        networks=networks,
        cells=cells,
        efforts=efforts,
        described=described,
        spent=spent,
        results=results,
        claims=claims,
        verdicts=verdicts,
    )

    def named(table):
        """Datasets with their protocol: claims and the paper's numbers know them without."""
        return table.replace({"dataset": snakemake.params.labels})

    pages = {}
    for name in snakemake.params.tables:
        base, form = f"{snakemake.params.folder}/{name}", load(name)
        table = named(form.rows(measured))
        shown, caption = form.shown(table), form.caption(table)
        pages[name] = to_data(shown, caption)
        if name != SUMMARY:
            write_text(f"{base}.csv", to_csv(table))
        write_text(f"{base}.md", to_markdown(shown, caption))
        write_text(f"{base}.tex", to_latex(shown, caption, f"tab:{name}"))
    write_json(snakemake.output.shown, pages)
    write_text(snakemake.output.layers, to_csv(named(layers)))
    write_text(snakemake.output.events, to_csv(named(events)))
    write_json(snakemake.output.metrics, metrics(named(results)))
    write_json(snakemake.output.machine, machine_class(snakemake.params.kernels))
    say(", ".join(f"{n} {verdict}" for verdict, n in verdicts["verdict"].value_counts().items()))
