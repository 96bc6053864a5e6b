# Which scheme and how many bits for each layer, from the float network and training data.


rule scores:
    input:
        code=code("workflow/scripts/score_candidates.py"),
        train=kept("frames/{dataset}/train.zip"),
        float_network=kept(f"{NETWORK}/{FLOAT}.safetensors"),
    output:
        scores=RESULTS / "scores/{dataset}/{seed}/{search}-{draw}.npz",
    log:
        RESULTS / "logs/scores/{dataset}-{seed}-{search}-{draw}.log",
    conda:
        "../../environment.yml"
    resources:
        gpu=int(GPU),
    params:
        search=scoring_call,
        boundary_layers=STUDY.boundary_layers,
    script:
        "../scripts/job.py"


rule search:
    input:
        unpack(scores),
        code=code("workflow/scripts/search_assignment.py"),
        train=kept("frames/{dataset}/train.zip"),
        float_network=kept(f"{NETWORK}/{FLOAT}.safetensors"),
    output:
        search=RESULTS / "searches/{dataset}/{seed}/{row}.json",
        settings=RESULTS / record_of("searches"),
    log:
        RESULTS / "logs/search/{dataset}-{seed}-{row}.log",
    conda:
        "../../environment.yml"
    resources:
        gpu=int(GPU),
    params:
        search=search_call,
        boundary_layers=STUDY.boundary_layers,
        made_by=made_by("searches"),
    script:
        "../scripts/job.py"
