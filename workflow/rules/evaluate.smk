# Networks as files to ship, and the test split, which no other rule of the study reads.


rule pack:
    input:
        code=code("workflow/scripts/pack_network.py"),
        validation=kept("frames/{dataset}/validation.zip"),
        network=kept(f"{NETWORK}/{{row}}.safetensors"),
        selected=kept(f"{NETWORK}/selected/{{row}}.safetensors"),
        history=kept(f"{NETWORK}/{{row}}.csv"),
    output:
        network=RESULTS / "packed/{dataset}/{seed}/{row}.safetensors",
        selected=RESULTS / "packed/{dataset}/{seed}/selected/{row}.safetensors",
    log:
        RESULTS / "logs/pack/{dataset}-{seed}-{row}.log",
    conda:
        "../../environment.yml"
    params:
        configuration=configuration,
    script:
        "../scripts/job.py"


rule evaluate:
    input:
        code=code("workflow/scripts/evaluate_test.py"),
        test=kept("frames/{dataset}/test.zip"),
        events=kept("events/{dataset}/test.npz"),
        network=rules.pack.output.network,
        selected=rules.pack.output.selected,
    output:
        predictions=RESULTS / "evaluation/{dataset}/{seed}/{row}/predictions.csv",
        layers=RESULTS / "evaluation/{dataset}/{seed}/{row}/layers.csv",
        networks=RESULTS / "evaluation/{dataset}/{seed}/{row}/networks.csv",
        spikes=RESULTS / "evaluation/{dataset}/{seed}/{row}/spikes.npz",
    log:
        RESULTS / "logs/evaluate/{dataset}-{seed}-{row}.log",
    conda:
        "../../environment.yml"
    script:
        "../scripts/job.py"


rule evaluate_linear:
    input:
        code=code("workflow/scripts/evaluate_linear.py"),
        test=kept("frames/{dataset}/test.zip"),
        events=kept("events/{dataset}/test.npz"),
        linear=kept("linear/{dataset}.npz"),
    output:
        predictions=RESULTS / "evaluation/{dataset}/linear.csv",
    log:
        RESULTS / "logs/evaluate_linear/{dataset}.log",
    conda:
        "../../environment.yml"
    script:
        "../scripts/job.py"
