# Recordings of every dataset, simulated or read, as events and as frames.


rule events:
    input:
        code=code("workflow/scripts/make_events.py"),
        archives=archives,
    output:
        **{split: RESULTS / f"events/{{dataset}}/{split}.npz" for split in SPLITS},
        table=RESULTS / "events/{dataset}/events.csv",
    log:
        RESULTS / "logs/events/{dataset}.log",
    conda:
        "../../environment.yml"
    params:
        source=source,
    script:
        "../scripts/make_events.py"


rule frames:
    input:
        **{split: RESULTS / f"events/{{dataset}}/{split}.npz" for split in SPLITS},
        code=code("workflow/scripts/make_frames.py"),
    output:
        **{split: RESULTS / f"frames/{{dataset}}/{split}.npz" for split in SPLITS},
    log:
        RESULTS / "logs/frames/{dataset}.log",
    conda:
        "../../environment.yml"
    params:
        framing=framing,
    script:
        "../scripts/make_frames.py"
