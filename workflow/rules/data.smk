# Recordings of every dataset, simulated or read, as events and as frames.


localrules:
    fetch,
    check,


# An archive that lies there is nobody's output, so that Snakemake never deletes it to make it anew.
rule fetch:
    output:
        f"{RAW}/{{archive}}",
    log:
        SHARED / "logs/fetch/{archive}.log",
    wildcard_constraints:
        archive=one_of(name for name in ARCHIVES if not (RAW / name).exists()),
    conda:
        "../../environment.yml"
    resources:
        dvc_lock=1,
    params:
        archive=lambda wildcards: f"{RAW}/{wildcards.archive}",
    script:
        "../scripts/fetch_archive.py"


# One that was put there by hand: read again whenever it changes.
rule check:
    input:
        archive=f"{RAW}/{{archive}}",
        pointer=f"{RAW}/{{archive}}.dvc",
    output:
        f"{RAW}/{{archive}}.md5",
    log:
        SHARED / "logs/check/{archive}.log",
    wildcard_constraints:
        archive=one_of(ARCHIVES),
    conda:
        "../../environment.yml"
    params:
        archive=lambda wildcards: f"{RAW}/{wildcards.archive}",
    script:
        "../scripts/fetch_archive.py"


rule events:
    input:
        code=code("workflow/scripts/make_events.py"),
        archives=archives,
    output:
        **{split: SHARED / f"events/{{dataset}}/{split}.npz" for split in SPLITS},
        table=SHARED / "events/{dataset}/events.csv",
    log:
        SHARED / "logs/events/{dataset}.log",
    conda:
        "../../environment.yml"
    params:
        source=source,
    script:
        "../scripts/make_events.py"


rule frames:
    input:
        **{split: SHARED / f"events/{{dataset}}/{split}.npz" for split in SPLITS},
        code=code("workflow/scripts/make_frames.py"),
    output:
        **{split: SHARED / f"frames/{{dataset}}/{split}.npz" for split in SPLITS},
    log:
        SHARED / "logs/frames/{dataset}.log",
    conda:
        "../../environment.yml"
    params:
        source=source,
        framing=framing,
    script:
        "../scripts/make_frames.py"
