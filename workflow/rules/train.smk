# Float baselines from scratch, and quantized networks from them. Test frames never enter here.


rule linear:
    input:
        code=code("workflow/scripts/train_linear.py"),
        train=kept("frames/{dataset}/train.zip"),
        validation=kept("frames/{dataset}/validation.zip"),
    output:
        linear=RESULTS / "linear/{dataset}.npz",
        settings=RESULTS / record_of("linear"),
    log:
        RESULTS / "logs/linear/{dataset}.log",
    conda:
        "../../environment.yml"
    params:
        made_by=made_by("linear"),
    script:
        "../scripts/job.py"


rule train_float:
    input:
        code=code("workflow/scripts/train_float.py"),
        train=kept("frames/{dataset}/train.zip"),
        validation=kept("frames/{dataset}/validation.zip"),
    output:
        network=RESULTS / "networks/{dataset}/{seed}/{row}.safetensors",
        selected=RESULTS / "networks/{dataset}/{seed}/selected/{row}.safetensors",
        history=RESULTS / "networks/{dataset}/{seed}/{row}.csv",
        settings=RESULTS / record_of("networks"),
    log:
        RESULTS / "logs/train_float/{dataset}-{seed}-{row}.log",
    wildcard_constraints:
        row=one_of([row.name for row in STUDY.rows if row.method == FLOAT]),
    conda:
        "../../environment.yml"
    resources:
        gpu=int(GPU),
    params:
        network=network,
        recipe=float_recipe,
        augmentation=augmentation,
        made_by=made_by("networks"),
    script:
        "../scripts/job.py"


rule quantize:
    input:
        unpack(searched_assignment),
        code=code("workflow/scripts/train_quantized.py"),
        train=kept("frames/{dataset}/train.zip"),
        validation=kept("frames/{dataset}/validation.zip"),
        float_network=kept(f"{NETWORK}/{FLOAT}.safetensors"),
    output:
        network=RESULTS / "networks/{dataset}/{seed}/{row}.safetensors",
        selected=RESULTS / "networks/{dataset}/{seed}/selected/{row}.safetensors",
        history=RESULTS / "networks/{dataset}/{seed}/{row}.csv",
        settings=RESULTS / record_of("networks"),
    log:
        RESULTS / "logs/quantize/{dataset}-{seed}-{row}.log",
    conda:
        "../../environment.yml"
    resources:
        gpu=int(GPU),
    params:
        choice=single_choice,
        boundary_layers=STUDY.boundary_layers,
        recipe=qat_recipe,
        augmentation=augmentation,
        distillation=distillation_of,
        made_by=made_by("networks"),
    script:
        "../scripts/job.py"


ruleorder: train_float > quantize
