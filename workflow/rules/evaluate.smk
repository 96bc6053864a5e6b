# Networks as files to ship, and the test split, which no other rule of the study reads.


rule pack:
    input:
        code=code("workflow/scripts/pack_networks.py"),
        validation=kept("frames/{dataset}/validation.zip"),
        networks=kept_of_cells(f"{NETWORK}/{{cell}}.safetensors"),
        selected=kept_of_cells(f"{NETWORK}/selected/{{cell}}.safetensors"),
        histories=kept_of_cells(f"{NETWORK}/{{cell}}.csv"),
    output:
        networks=[RESULTS / f"packed/{{dataset}}/{{seed}}/{cell}.safetensors" for cell in CELLS],
        selected=[
            RESULTS / f"packed/{{dataset}}/{{seed}}/selected/{cell}.safetensors" for cell in CELLS
        ],
    log:
        RESULTS / "logs/pack/{dataset}-{seed}.log",
    conda:
        "../../environment.yml"
    params:
        configurations=configurations,
    script:
        "../scripts/pack_networks.py"


rule evaluate:
    input:
        code=code("workflow/scripts/evaluate_test.py"),
        test=kept("frames/{dataset}/test.zip"),
        events=kept("events/{dataset}/test.npz"),
        linear=kept("linear/{dataset}.npz"),
        networks=rules.pack.output.networks,
        selected=rules.pack.output.selected,
    output:
        predictions=RESULTS / "evaluation/{dataset}/{seed}/predictions.csv",
        layers=RESULTS / "evaluation/{dataset}/{seed}/layers.csv",
        networks=RESULTS / "evaluation/{dataset}/{seed}/networks.csv",
    log:
        RESULTS / "logs/evaluate/{dataset}-{seed}.log",
    conda:
        "../../environment.yml"
    params:
        cells=list(CELLS),
    script:
        "../scripts/evaluate_test.py"
