# Networks as files to ship, and the test split, which no other rule of the study reads.


rule pack:
    input:
        code=code("workflow/scripts/pack_networks.py"),
        validation=kept("frames/{dataset}/validation.zip"),
        networks=kept_of_rows(f"{NETWORK}/{{row}}.safetensors"),
        selected=kept_of_rows(f"{NETWORK}/selected/{{row}}.safetensors"),
        histories=kept_of_rows(f"{NETWORK}/{{row}}.csv"),
    output:
        networks=[RESULTS / f"packed/{{dataset}}/{{seed}}/{row}.safetensors" for row in ROWS],
        selected=[
            RESULTS / f"packed/{{dataset}}/{{seed}}/selected/{row}.safetensors" for row in ROWS
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
        cells=list(ROWS),
    script:
        "../scripts/evaluate_test.py"
