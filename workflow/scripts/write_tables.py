"""All tables of a study, each as csv, Markdown and LaTeX, and its metrics for `dvc metrics`."""

import pandas as pd
import yaml
from jobs import job, read_json, write_json, write_text

from hetspike.claims import CAPTION, claims_table, paper_table, parse_claims
from hetspike.comparison import ablation_table, comparison_table
from hetspike.effort import training_passes
from hetspike.names import FLOAT_TUNED
from hetspike.tables import (
    ablations_caption,
    comparison_caption,
    dataset_table,
    datasets_caption,
    describe_datasets,
    metrics,
    present_ablations,
    present_comparison,
    present_datasets,
    present_results,
    present_summary,
    results_caption,
    results_table,
    summary_caption,
    to_csv,
    to_latex,
    to_markdown,
)

with job(snakemake) as say:
    with open(snakemake.input.claims) as file:
        claims = parse_claims(yaml.safe_load(file), snakemake.input.claims)
    predictions, layers, events = (
        pd.concat(map(pd.read_csv, snakemake.input[name]), ignore_index=True)
        for name in ("predictions", "layers", "events")
    )
    cells = pd.DataFrame(snakemake.params.cells).rename(columns={"name": "cell"})
    recordings = events.pivot(index="dataset", columns="split", values="recordings")
    qat = {
        dataset: training_passes(snakemake.params.qat, splits["train"], splits["validation"])
        for dataset, splits in recordings.to_dict("index").items()
    }
    efforts = pd.DataFrame(
        [
            (dataset, cell, read_json(path)["passes"] / qat[dataset])
            for (dataset, _, cell), path in zip(
                snakemake.params.searched, snakemake.input.searches, strict=True
            )
        ],
        columns=["dataset", "cell", "qat_runs"],
    )
    paper = paper_table(claims)
    results = results_table(predictions, layers, cells, paper)
    described = describe_datasets(events, snakemake.params.steps, paper)
    datasets = dataset_table(described, predictions)
    comparison = comparison_table(predictions, layers, cells, efforts, reference=FLOAT_TUNED)
    ablations = ablation_table(predictions, cells)
    verdicts = claims_table(claims, results)
    made = {  # name -> as data, for people, caption
        "results": (results, present_results(results), results_caption(results)),
        "comparison": (comparison, present_comparison(comparison), comparison_caption(comparison)),
        "ablations": (ablations, present_ablations(ablations), ablations_caption(ablations)),
        "datasets": (datasets, present_datasets(datasets), datasets_caption(datasets)),
        "claims": (verdicts, verdicts, CAPTION),
        "summary": (None, present_summary(results), summary_caption(results)),
    }
    for name in (*snakemake.params.tables, "summary"):
        table, shown, caption = made[name]
        base = f"{snakemake.params.folder}/{name}"
        if table is not None:
            write_text(f"{base}.csv", to_csv(table))
        write_text(f"{base}.md", to_markdown(shown, caption))
        write_text(f"{base}.tex", to_latex(shown, caption, f"tab:{name}"))
    write_text(snakemake.output.events, to_csv(events))
    write_json(snakemake.output.metrics, metrics(results))
    say(", ".join(f"{n} {verdict}" for verdict, n in verdicts["verdict"].value_counts().items()))
