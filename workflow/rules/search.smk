# Which scheme and how many bits for each layer, from the float network and training data.


rule search:
    input:
        code=code("workflow/scripts/search_assignment.py"),
        train=RESULTS / "frames/{dataset}/train.npz",
        validation=RESULTS / "frames/{dataset}/validation.npz",
        float_network=rules.train_float.output.network,
    output:
        RESULTS / "assignments/{dataset}/{seed}/{cell}.json",
    log:
        RESULTS / "logs/search/{dataset}-{seed}-{cell}.log",
    conda:
        "../../environment.yml"
    params:
        search=search_of,
        boundary_layers=STUDY.boundary_layers,
        candidates=STUDY.candidates,
    script:
        "../scripts/search_assignment.py"
