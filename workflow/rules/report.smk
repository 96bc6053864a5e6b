# From predictions and counts to what people read: tables, verdicts, figures, all on one page.

STAGES = [  # whose times are reported
    *("events", "frames", "linear", "train_float", "scores", "search", "quantize", "pack"),
    *("evaluate", "evaluate_linear", "tables", "figures"),
]


# It asks this run for its graph, which a job on another machine does not have.
localrules:
    report,


rule tables:
    input:
        code=code("workflow/scripts/write_tables.py"),
        claims="config/claims.yaml",
        paper="config/paper.yaml",
        linear=expand(rules.evaluate_linear.output.predictions, dataset=DATASETS),
        predictions=evaluated("predictions"),
        layers=evaluated("layers"),
        networks=evaluated("networks"),
        spikes=evaluated("spikes"),
        events=homes("frames/{dataset}/events.csv", dataset=DATASETS),
        histories=homes(f"{NETWORK}/{{row}}.csv", dataset=DATASETS, seed=STUDY.seeds, row=ROWS),
        searches=homes(
            "searches/{dataset}/{seed}/{row}.json",
            dataset=DATASETS,
            seed=STUDY.seeds,
            row=SEARCHED,
        ),
    output:
        tables=[
            RESULTS / f"tables/{table}.{form}"
            for table in TABLES
            for form in ["csv", "md", "tex"]
            if (table, form) != (present.SUMMARY, "csv")
        ],
        shown=RESULTS / "tables/shown.json",
        findings=RESULTS / "tables/findings.md",
        layers=RESULTS / "tables/layers.csv",
        events=RESULTS / "tables/events.csv",
        metrics=RESULTS / "metrics.json",
        machine=RESULTS / "machine.json",
    log:
        RESULTS / "logs/tables.log",
    conda:
        "../../environment.yml"
    params:
        kernels=STUDY.kernels,
        labels=LABELS,
        qat=STUDY.qat,
        cells=STUDY.rows,
        networks=list(product(DATASETS, STUDY.seeds, ROWS)),  # as expand orders them
        searched=list(product(DATASETS, STUDY.seeds, SEARCHED)),  # as expand orders them
        steps={name: plan.framing.steps for name, plan in STUDY.datasets.items()},
    script:
        "../scripts/job.py"


rule figures:
    input:
        code=code_of_datasets("workflow/scripts/write_figures.py", DATASETS),
        results=RESULTS / "tables/results.csv",
        energy=RESULTS / "tables/energy.csv",
        dataflows=RESULTS / "tables/dataflows.csv",
        firing=RESULTS / "tables/firing.csv",
        layers=evaluated("layers"),
        histories=homes(f"{NETWORK}/{{row}}.csv", dataset=DATASETS, seed=STUDY.seeds, row=ROWS),
        recordings=homes("events/{dataset}/train.npz", dataset=DATASETS),
    output:
        figures=expand(RESULTS / "figures/{figure}.{form}", figure=FIGURES, form=["png", "pdf"]),
    log:
        RESULTS / "logs/figures.log",
    conda:
        "../../environment.yml"
    params:
        cells=STUDY.rows,
        labels=LABELS,
        architectures={name: plan.network.architecture for name, plan in STUDY.datasets.items()},
        sources={name: plan.source for name, plan in STUDY.datasets.items()},
        networks=list(product(DATASETS, STUDY.seeds, ROWS)),  # as expand orders them
    script:
        "../scripts/job.py"


rule report:
    input:
        code=code("workflow/scripts/write_report.py"),
        shown=rules.tables.output.shown,
        figures=[path for path in rules.figures.output if path.endswith(".png")],
    output:
        page=RESULTS / "report.html",
    log:
        RESULTS / "logs/report.log",
    conda:
        "../../environment.yml"
    params:
        study=STUDY.study,
        edges=rule_edges,
        logs={
            stage: expand(
                getattr(rules, stage).log,
                dataset=DATASETS,
                seed=STUDY.seeds,
                row=ROWS,
                search=STUDY.searches,
                draw=sorted({row.draw for row in STUDY.rows}),
            )
            for stage in STAGES
        },
    script:
        "../scripts/job.py"
