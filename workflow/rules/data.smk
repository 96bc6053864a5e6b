# Recordings of every dataset, simulated or read, as events and as frames.


localrules:
    fetch,
    keep,
    check,


rule fetch:
    output:
        archive=f"{RAW}/{{archive}}",
    log:
        RESULTS / "logs/fetch/{archive}.log",
    wildcard_constraints:
        archive=one_of(name for name in ARCHIVES if not (RAW / name).exists()),
    conda:
        "../../environment.yml"
    script:
        "../scripts/fetch_archive.py"


# One that lies there, fetched or put there by hand, as published or a part: even when everything is
# forced, Snakemake must not delete it to make it anew. The same script as above, lest it reruns.
rule keep:
    output:
        kept=update(f"{RAW}/{{archive}}"),
    log:
        RESULTS / "logs/keep/{archive}.log",
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
        md5=f"{RAW}/{{archive}}.md5",
    log:
        RESULTS / "logs/check/{archive}.log",
    wildcard_constraints:
        archive=one_of(ARCHIVES),
    conda:
        "../../environment.yml"
    script:
        "../scripts/fetch_archive.py"


rule events:
    input:
        unpack(frozen_samples),
        code=code_of_dataset("workflow/scripts/make_events.py"),
        archives=archives,
    output:
        **{split: RESULTS / f"events/{{dataset}}/{split}.npz" for split in SPLITS},
        samples=RESULTS / "events/{dataset}/samples.csv",
        settings=RESULTS / record_of("events"),
    log:
        RESULTS / "logs/events/{dataset}.log",
    conda:
        "../../environment.yml"
    params:
        source=source,
        made_by=made_by("events"),  # other kernels make all anew, and all starts here
    script:
        "../scripts/job.py"


rule frames:
    input:
        **{split: kept(f"events/{{dataset}}/{split}.npz") for split in SPLITS},
        samples=kept("events/{dataset}/samples.csv"),
        code=code_of_dataset("workflow/scripts/make_frames.py"),
    output:
        **{split: RESULTS / f"frames/{{dataset}}/{split}.zip" for split in SPLITS},
        table=RESULTS / "frames/{dataset}/events.csv",
        settings=RESULTS / record_of("frames"),
    log:
        RESULTS / "logs/frames/{dataset}.log",
    conda:
        "../../environment.yml"
    params:
        source=source,
        framing=framing,
        made_by=made_by("frames"),
    script:
        "../scripts/job.py"
