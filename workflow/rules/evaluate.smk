# Networks as files to ship, and the test split, which no other rule of the study reads.


rule pack:
    input:
        code=code("workflow/scripts/pack_networks.py"),
        validation=SHARED / "frames/{dataset}/validation.zip",
        networks=[SHARED / f"networks/{{dataset}}/{{seed}}/{cell}.safetensors" for cell in CELLS],
        selected=[
            SHARED / f"networks/{{dataset}}/{{seed}}/selected/{cell}.safetensors" for cell in CELLS
        ],
        histories=[SHARED / f"networks/{{dataset}}/{{seed}}/{cell}.csv" for cell in CELLS],
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
        test=SHARED / "frames/{dataset}/test.zip",
        events=SHARED / "events/{dataset}/test.npz",
        linear=SHARED / "linear/{dataset}.npz",
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
