# The test split, read by no other rule: once for each network.


rule evaluate:
    input:
        code=code("workflow/scripts/evaluate_test.py"),
        test=SHARED / "frames/{dataset}/test.npz",
        events=SHARED / "events/{dataset}/test.npz",
        linear=SHARED / "linear/{dataset}.npz",
        networks=[SHARED / f"networks/{{dataset}}/{{seed}}/{cell}.safetensors" for cell in CELLS],
    output:
        predictions=RESULTS / "evaluation/{dataset}/{seed}/predictions.csv",
        layers=RESULTS / "evaluation/{dataset}/{seed}/layers.csv",
    log:
        RESULTS / "logs/evaluate/{dataset}-{seed}.log",
    conda:
        "../../environment.yml"
    params:
        cells=list(CELLS),
    script:
        "../scripts/evaluate_test.py"
