# Float baselines from scratch, and quantized networks from them. Test frames never enter here.


rule linear:
    input:
        code=code("workflow/scripts/train_linear.py"),
        train=SHARED / "frames/{dataset}/train.zip",
        validation=SHARED / "frames/{dataset}/validation.zip",
    output:
        SHARED / "linear/{dataset}.npz",
    log:
        SHARED / "logs/linear/{dataset}.log",
    conda:
        "../../environment.yml"
    script:
        "../scripts/train_linear.py"


rule train_float:
    input:
        code=code("workflow/scripts/train_float.py"),
        train=SHARED / "frames/{dataset}/train.zip",
        validation=SHARED / "frames/{dataset}/validation.zip",
    output:
        network=SHARED / f"networks/{{dataset}}/{{seed}}/{FLOAT}.safetensors",
        selected=SHARED / f"networks/{{dataset}}/{{seed}}/selected/{FLOAT}.safetensors",
        history=SHARED / f"networks/{{dataset}}/{{seed}}/{FLOAT}.csv",
    log:
        SHARED / "logs/train_float/{dataset}-{seed}.log",
    conda:
        "../../environment.yml"
    resources:
        gpu=int(GPU),
    params:
        network=network,
        recipe=float_recipe,
        augmentation=augmentation,
    script:
        "../scripts/train_float.py"


rule quantize:
    input:
        unpack(searched_assignment),
        code=code("workflow/scripts/train_quantized.py"),
        train=SHARED / "frames/{dataset}/train.zip",
        validation=SHARED / "frames/{dataset}/validation.zip",
        float_network=rules.train_float.output.selected,
    output:
        network=SHARED / "networks/{dataset}/{seed}/{cell}.safetensors",
        selected=SHARED / "networks/{dataset}/{seed}/selected/{cell}.safetensors",
        history=SHARED / "networks/{dataset}/{seed}/{cell}.csv",
    log:
        SHARED / "logs/quantize/{dataset}-{seed}-{cell}.log",
    conda:
        "../../environment.yml"
    resources:
        gpu=int(GPU),
    params:
        choice=single_choice,
        boundary_layers=STUDY.boundary_layers,
        recipe=STUDY.qat.model_dump(),
        augmentation=augmentation,
        distillation=distillation_of,
    script:
        "../scripts/train_quantized.py"


ruleorder: train_float > quantize
