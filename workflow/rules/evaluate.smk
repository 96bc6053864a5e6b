# The test split, read once: no other rule takes its frames.


rule evaluate:
    input:
        code=code("workflow/scripts/evaluate_test.py"),
        test=RESULTS / "frames/{dataset}/test.npz",
        events=RESULTS / "events/{dataset}/test.npz",
        linear=RESULTS / "linear/{dataset}.npz",
        networks=[
            RESULTS / f"networks/{{dataset}}/{seed}/{cell}.safetensors" for cell, seed in NETWORKS
        ],
    output:
        predictions=RESULTS / "evaluation/{dataset}/predictions.csv",
        layers=RESULTS / "evaluation/{dataset}/layers.csv",
    log:
        RESULTS / "logs/evaluate/{dataset}.log",
    conda:
        "../../environment.yml"
    params:
        networks=NETWORKS,
    script:
        "../scripts/evaluate_test.py"
