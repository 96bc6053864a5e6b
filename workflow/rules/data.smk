# Recordings of every dataset, simulated or read, as events and as frames.


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
        framing=framing,
    script:
        "../scripts/make_frames.py"
