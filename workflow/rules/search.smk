# Which scheme and how many bits for each layer, from the float network and training data.


rule search:
    input:
        code=code("workflow/scripts/search_assignment.py"),
        train=SHARED / "frames/{dataset}/train.zip",
        validation=SHARED / "frames/{dataset}/validation.zip",
        float_network=rules.train_float.output.selected,
    output:
        SHARED / "searches/{dataset}/{seed}/{cell}.json",
    log:
        SHARED / "logs/search/{dataset}-{seed}-{cell}.log",
    conda:
        "../../environment.yml"
    resources:
        gpu=int(GPU),
    params:
        search=search_call,
        boundary_layers=STUDY.boundary_layers,
    script:
        "../scripts/search_assignment.py"
