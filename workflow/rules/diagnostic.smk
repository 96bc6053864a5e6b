# Beside the study, and feeding nothing back into it: what choosing an epoch by the test split would
# have claimed. `snakemake best_epoch` trains the float networks once more for it.


rule watch_test:
    input:
        **{split: kept(f"frames/{{dataset}}/{split}.zip") for split in SPLITS},
        code=code("workflow/scripts/watch_test.py"),
        history=kept(f"{NETWORK}/{FLOAT}.csv"),
    output:
        epochs=RESULTS / "diagnostic/{dataset}-{seed}.csv",
    log:
        RESULTS / "logs/watch_test/{dataset}-{seed}.log",
    conda:
        "../../environment.yml"
    resources:
        gpu=int(GPU),
    params:
        network=network,
        recipe=float_recipe,
        augmentation=augmentation,
    script:
        "../scripts/job.py"


rule best_epoch:
    input:
        code=code("workflow/scripts/compare_epochs.py"),
        epochs=expand(rules.watch_test.output.epochs, dataset=DATASETS, seed=STUDY.seeds),
    output:
        csv=RESULTS / "diagnostic/best-epoch.csv",
        markdown=RESULTS / "diagnostic/best-epoch.md",
    log:
        RESULTS / "logs/best_epoch.log",
    conda:
        "../../environment.yml"
    script:
        "../scripts/job.py"
