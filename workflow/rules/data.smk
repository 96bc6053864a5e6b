# Recordings of every dataset, simulated or read, as events and as frames.


localrules:
    fetch,
    keep,
    check,


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
    script:
        "../scripts/fetch_archive.py"


# One that lies there, fetched or put there by hand, as published or a part: even when everything is
# forced, Snakemake must not delete it to make it anew. The same script as above, lest it reruns.
rule keep:
    output:
        update(f"{RAW}/{{archive}}"),
    log:
        SHARED / "logs/keep/{archive}.log",
    wildcard_constraints:
        archive=one_of(name for name in ARCHIVES if (RAW / name).exists()),
    conda:
        "../../environment.yml"
    script:
        "../scripts/fetch_archive.py"


# The md5 of one that has to be as published: read again when the archive changes.
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
    script:
        "../scripts/fetch_archive.py"


rule events:
    input:
        unpack(frozen_samples),
        code=code("workflow/scripts/make_events.py"),
        archives=archives,
    output:
        **{split: SHARED / f"events/{{dataset}}/{split}.npz" for split in SPLITS},
        samples=SHARED / "events/{dataset}/samples.csv",
    log:
        SHARED / "logs/events/{dataset}.log",
    conda:
        "../../environment.yml"
    params:
        source=source,
        kernels=STUDY.kernels,  # other ones make all anew, and all starts here
    script:
        "../scripts/make_events.py"


rule frames:
    input:
        **{split: SHARED / f"events/{{dataset}}/{split}.npz" for split in SPLITS},
        samples=rules.events.output.samples,
        code=code("workflow/scripts/make_frames.py"),
    output:
        **{split: SHARED / f"frames/{{dataset}}/{split}.zip" for split in SPLITS},
        table=SHARED / "frames/{dataset}/events.csv",
    log:
        SHARED / "logs/frames/{dataset}.log",
    conda:
        "../../environment.yml"
    params:
        source=source,
        framing=framing,
    script:
        "../scripts/make_frames.py"
