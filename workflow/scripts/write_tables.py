"""All tables of a study, each as csv, Markdown and LaTeX, and its metrics for `dvc metrics`."""

import pandas as pd
import yaml
from jobs import job, write_json, write_text

from hetspike.claims import CAPTION, claims_table, paper_table, parse_claims
from hetspike.tables import (
    dataset_table,
    datasets_caption,
    describe_datasets,
    metrics,
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
    paper = paper_table(claims)
    results = results_table(predictions, layers, cells, paper)
    described = describe_datasets(events, snakemake.params.steps, paper)
    datasets = dataset_table(described, predictions)
    verdicts = claims_table(claims, results)
    for name, table in (("results", results), ("datasets", datasets), ("claims", verdicts)):
        write_text(f"{snakemake.params.folder}/{name}.csv", to_csv(table))
    for name, shown, caption in (
        ("summary", present_summary(results), summary_caption(results)),
        ("results", present_results(results), results_caption(results)),
        ("datasets", present_datasets(datasets), datasets_caption(datasets)),
        ("claims", verdicts, CAPTION),
    ):
        base = f"{snakemake.params.folder}/{name}"
        write_text(f"{base}.md", to_markdown(shown, caption))
        write_text(f"{base}.tex", to_latex(shown, caption, f"tab:{name}"))
    write_text(snakemake.output.events, to_csv(events))
    write_json(snakemake.output.metrics, metrics(results))
    say(", ".join(f"{n} {verdict}" for verdict, n in verdicts["verdict"].value_counts().items()))
