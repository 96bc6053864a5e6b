# What a study may take from another one, as `shares` in its configuration says, and where it lies.

from hetspike.study.sharing import Job, offered

# What other studies may take, by kind: what a job of it leaves in the folder of a study.
NETWORK = "networks/{dataset}/{seed}"
MADE = {
    "events": [
        *(f"events/{{dataset}}/{split}.npz" for split in SPLITS),
        "events/{dataset}/samples.csv",
    ],
    "frames": [
        *(f"frames/{{dataset}}/{split}.zip" for split in SPLITS),
        "frames/{dataset}/events.csv",
    ],
    "linear": ["linear/{dataset}.npz"],
    "searches": ["searches/{dataset}/{seed}/{row}.json"],
    "networks": [
        *(f"{NETWORK}/{name}.safetensors" for name in ("{row}", "selected/{row}")),
        f"{NETWORK}/{{row}}.csv",
    ],
}


def settings_of(kind, dataset, row=FLOAT):
    """The settings that make what a job of a kind leaves."""
    match kind:
        case "events":
            made_by = STUDY.recordings_made_by(dataset)
        case "frames" | "linear":
            made_by = STUDY.frames_made_by(dataset)
        case "searches":
            made_by = STUDY.search_made_by(dataset, ROWS[row])
        case "networks":
            made_by = STUDY.network_made_by(dataset, ROWS[row])
    return {"kernels": STUDY.kernels} | made_by


def made_by(kind):
    """The settings of a job of a kind, as its parameter."""
    return lambda wildcards: settings_of(kind, wildcards.dataset, wildcards.get("row", FLOAT))


def record_of(kind):
    """Where a job of a kind says which settings made its files."""
    one = "{dataset}/{seed}/{row}" if kind in ("searches", "networks") else "{dataset}"
    return f"settings/{kind}/{one}.json"


def shareable():
    """Every job of the study whose files another one may have."""
    rows = {"searches": SEARCHED, "networks": ROWS}
    for kind, files in MADE.items():
        seeds = STUDY.seeds if kind in rows else [0]
        for dataset, seed, row in product(DATASETS, seeds, rows.get(kind, [FLOAT])):
            values = {"dataset": dataset, "seed": seed, "row": row}
            device = "cpu" if STUDY.device == "cpu" and kind in rows else None
            yield Job(
                record_of(kind).format(**values),
                tuple(file.format(**values) for file in files),
                settings_of(kind, dataset, row),
                device,
            )


try:
    OTHER = Path("results") / (STUDY.shares or STUDY.study)
    TAKEN = offered(OTHER, shareable()) if OTHER != RESULTS else set()
except UserError as error:
    sys.exit(f"hetspike: {error}")


def home(file):
    """A file of this study, or of the one that it shares: that is read and never written."""
    return str((OTHER if file in TAKEN else RESULTS) / file)


def kept(file):
    """The same for a name with wildcards, as an input."""
    return lambda wildcards: home(file.format(**wildcards))


def homes(file, **values):
    """The same for every value of the wildcards, as `expand` orders them."""
    return [home(each) for each in expand(file, **values)]
