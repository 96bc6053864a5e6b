# Names that every rule file uses, and the only functions of the workflow.

import ast
import atexit
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from itertools import product
from pathlib import Path

from snakemake.common import configfile

from hetspike.documents import read_mapping
from hetspike.errors import UserError
from hetspike.data.events import DATASETS as KNOWN_DATASETS
from hetspike.data.events import catalogue
from hetspike.atomic import ending, intact
from hetspike.names import FLOAT, labelled, protocol_of, search_of
from hetspike.results import figures, present
from hetspike.search import SEARCHES
from hetspike.study.instructions import PORTABLE
from hetspike.study.study import parse_study

# One thread a job and parallelism between jobs: results do not depend on --cores.
for library in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{library}_NUM_THREADS"] = "1"
# Huge pages for tensors: some per cent of the time of a training, and not a bit of its result.
os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
os.environ.setdefault("TORCH_LOGS", "-torch._library.triton")  # silence: no GPU is no news

STARTED = time.time()

# Relative, like all file names: a study that is moved with its project stays up to date.
PROJECT = Path(os.path.relpath(workflow.basedir))
ROOTS = [PROJECT / "src", PROJECT / "workflow/scripts"]
DATA = [
    path
    for path in ROOTS[0].rglob("*.*")
    if path.suffix not in (".py", ".pyc", ".typed")
    and path.is_file()
    and ".egg-info" not in str(path)
]


def check_writable(folder):
    existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise UserError(
            f"{existing.absolute()} is not a folder that can be written to: make it one, "
            "results go there"
        )


def check_read_as_data():
    """That no configuration has been run as a program, and none is left unheard."""
    if configfile._load_configfile.__module__ != "snakemake_report_plugin_hetspike":
        raise UserError(
            "Snakemake found no plugin of hetspike, without which it runs Python in "
            "configurations: set up with `make setup`, or `pip install --no-deps -e .`"
        )
    for option, *others in (("--configfile", "--configfiles"), ("--config", "-C")):
        given = [each.partition("=")[0] for each in sys.argv]
        if sum(given.count(name) for name in (option, *others)) > 1:
            raise UserError(
                f"{option} is given twice, of which Snakemake hears the last: name all after one"
            )


def check_shares():
    """That the study whose files are shared is one that there is."""
    places = PROJECT / f"config/{STUDY.shares}.yaml", Path("results") / STUDY.shares
    if not any(map(Path.exists, places)):
        raise UserError(
            f"configuration: shares: there is neither {' nor '.join(map(str, places))}: name a "
            "study that is there"
        )


try:
    check_read_as_data()
    STUDY = parse_study(config)
    if STUDY.shares:
        check_shares()
    RESULTS = Path("results") / STUDY.study
    check_writable(RESULTS)
except UserError as error:
    sys.exit(f"hetspike: {error}")

if STUDY.kernels == "portable":
    os.environ |= PORTABLE

DATASETS = list(STUDY.datasets)
# One job at a time has it, whatever --cores is: see profiles/default. Not asked of torch, whose
# import would cost every job two seconds.
GPU = STUDY.device == "gpu-if-present" and any(map(shutil.which, ["nvidia-smi", "rocm-smi"]))
LABELS = {name: labelled(name, plan.source) for name, plan in STUDY.datasets.items()}
ROWS = {row.name: row for row in STUDY.rows}
SEARCHED = [row.name for row in STUDY.rows if row.searched and not row.repeated]
# tables that a study may have no rows for
POSSIBLE = {
    "ablations": any(row.against for row in STUDY.rows),
    "effort": STUDY.longer is not None,
}
TABLES = [name for name in present.MODULES if POSSIBLE.get(name, True)]
FIGURES = [
    each
    for name in figures.MODULES
    for each in expand(
        name,
        dataset=DATASETS,
        # those among other candidates are drawn with the search that they vary
        search=[row for row in STUDY.searches if search_of(row, STUDY.searches) == (row, "")],
    )
]
SPLITS = ["train", "validation", "test"]

FROZEN = Path("data/splits")
RAW = Path("data/raw")
POINTERS = [
    path.relative_to(RAW) for pattern in ("*.dvc", "[!.]*/*.dvc") for path in RAW.glob(pattern)
]
ARCHIVES = sorted(str(path.with_suffix("")) for path in POINTERS)


def one_of(names):
    """What a wildcard may be; no name, nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    dataset=one_of(DATASETS),
    seed=r"\d+",
    row=one_of(ROWS),
    search=one_of(STUDY.searches),
    draw=r"\d+",


@cache
def imported(file):
    """The modules that a file imports, and the data of the package that it names.

    settings.py and study.py are left out: what they say reaches a job as its params.
    """
    text = Path(file).read_text()
    found = [str(path) for path in DATA if path.name in text]
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for path in (root / name.replace(".", "/") for name in names for root in ROOTS):
            for module in (path.with_suffix(".py"), path / "__init__.py"):
                if module.is_file() and module.stem not in ("settings", "study"):
                    found.append(str(module))
    if "import_module" in text:  # a package that loads its modules by their names
        found += map(str, Path(file).parent.glob("*.py"))
    return found


def code(file, without=frozenset()):
    """A script and what it reaches through its imports: editing any of it reruns its rule.

    without  modules that are passed over, with what only they reach
    """
    found, files = set(), [file]
    while files:  # not by recursion: a package and its modules may import each other
        new = {*imported(files.pop())} - found - without
        found |= new
        files += [each for each in new if each.endswith(".py")]
    return [file, *sorted(found - {file})]  # the script first: job.py runs its `main`


def code_of_datasets(file, names):
    """The same where these datasets are made or read: how others are is no part of it."""
    modules = {
        name: str(ROOTS[0].joinpath(*make.__module__.split(".")).with_suffix(".py"))
        for name, make in KNOWN_DATASETS.items()
    }
    return code(file, without=frozenset(modules.values()) - {modules[name] for name in names})


def code_of_dataset(file):
    """The same for the dataset of a job."""
    return lambda wildcards: code_of_datasets(file, [wildcards.dataset])


def source(wildcards):
    return STUDY.datasets[wildcards.dataset].source


def framing(wildcards):
    return STUDY.datasets[wildcards.dataset].framing.model_dump()


def float_recipe(wildcards):
    row = wildcards.get("row", FLOAT)
    return STUDY.float_training_of(wildcards.dataset, ROWS[row].times).model_dump()


def augmentation(wildcards):
    plan = STUDY.datasets[wildcards.dataset].augmentation
    return plan.model_dump() if plan else None


def network(wildcards):
    return STUDY.datasets[wildcards.dataset].network.model_dump()


def archives(wildcards):
    """The files of a recorded dataset: a changed one is read again, a missing one fetched.

    One whose date alone changed is not: of large files Snakemake compares no more than that.
    """
    plan = source(wildcards)
    if "folder" not in plan:
        return []
    folder = catalogue.located(plan["folder"])
    protocol = catalogue.ARCHIVES.get(plan.get("protocol"), [])
    names = catalogue.ARCHIVES.get(wildcards.dataset, protocol)
    files = [folder / name for name in names]
    if wildcards.dataset == "cifar10-dvs" and not files[0].exists():
        if (folder / "airplane.zip").exists():  # one archive a class, as first published
            files = folder.glob("*.zip")
    known = {RAW / name for name in ARCHIVES}
    found = [file for file in files if file.exists() or known & {file, file.with_suffix("")}]
    before = archives_before(wildcards.dataset)
    return [
        ancient(name) if file.is_file() and before.get(name) == ending(file) else name
        for name, file in sorted((str(file), file) for file in found)
    ]


def archives_before(dataset):
    """How the archives ended that the recordings of a dataset were read from."""
    try:
        return json.loads(intact(RESULTS / f"settings/events/{dataset}.json"))["archives"]
    except (UserError, ValueError, LookupError):
        return {}  # what is not known to be the same is read again


def frozen_samples(wildcards):
    """The list of samples that the protocol of a recorded dataset stands for, where it is known."""
    path = FROZEN / wildcards.dataset / f"{protocol_of(source(wildcards))}.csv"
    return {"frozen": path, "sums": FROZEN / "SHA256SUMS"} if path.exists() else {}


def single_choice(wildcards):
    """(scheme, bits) of a row that has one for all layers."""
    row = ROWS[wildcards.row]
    return (row.method, row.setting) if row.method in STUDY.schemes else None


def searched_assignment(wildcards):
    """The file with the assignment of a row whose layers were searched."""
    searched = ROWS[wildcards.row].plain
    if searched not in SEARCHED:
        return {}
    return {"search": home(f"searches/{wildcards.dataset}/{wildcards.seed}/{searched}.json")}


def scoring_of(search, draw):
    """What the scores of a draw of a search come from."""
    plan = STUDY.searches[search]
    return {
        "name": plan.search,
        "candidates": STUDY.candidates_of(search),
        "draw": draw,
        "settings": plan.settings,
    }


def scoring_call(wildcards):
    """The same for a job."""
    return scoring_of(wildcards.search, int(wildcards.draw))


def search_call(wildcards):
    """What the search of a row is called with."""
    row = ROWS[wildcards.row]
    return scoring_of(row.method, row.draw) | {"budget": row.setting}


def scores(wildcards):
    """The scores that the search of a row chooses by, where one run of it serves all budgets."""
    row = ROWS[wildcards.row]
    if SEARCHES[STUDY.searches[row.method].search].needs_budget:
        return {}
    found = f"scores/{wildcards.dataset}/{wildcards.seed}/{row.method}-{row.draw}.npz"
    return {"scores": RESULTS / found}


def qat_recipe(wildcards):
    return STUDY.qat_of(ROWS[wildcards.row]).model_dump()


def distillation_of(wildcards):
    """How a row learns from the float network, if it does."""
    plan = STUDY.distillation
    return plan.model_dump(exclude={"rows"}) if ROWS[wildcards.row].distilled else None


def configuration(wildcards):
    """The fingerprint of the settings that made a network."""
    return STUDY.fingerprint(wildcards.dataset, ROWS[wildcards.row])


def evaluated(table):
    """What every network's evaluation says in a table."""
    files = rules.evaluate.output[table]
    return expand(files, dataset=DATASETS, seed=STUDY.seeds, row=ROWS)


def rule_edges(wildcards, input):
    """Which rule takes from which, (maker, taker), in this run.

    A parameter made of `input` is one that Snakemake does not rerun a job for.
    """
    jobs = workflow.dag.dependencies.items()
    return sorted({(maker.rule.name, job.rule.name) for job, makers in jobs for maker in makers})


def hasten_jobs():
    """Have the jobs of this machine start at once, and without imports of their own."""
    if not workflow.local_exec:
        return
    # Snakemake looks for jobs once more a second after each look, to keep to its limit of jobs a
    # second: after a hundred jobs that takes half a core. Here the cores are the limit.
    workflow.scheduler.job_rate_limiter = None
    if len([*workflow.dag.needrun_jobs()]) >= 10:  # for fewer the server's start does not pay
        start_job_server()


def start_job_server():
    """Start the server that jobs are forked from (see job_server.py); it ends with this process."""
    folder = tempfile.TemporaryDirectory(prefix="hetspike-")
    atexit.register(folder.cleanup)
    address = f"{folder.name}/jobs"
    networks = [plan.network.model_dump() for plan in STUDY.datasets.values()]
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(address)
        except OSError:  # no place for a socket, as in a path that is too long
            return
        listener.listen()
        server = [sys.executable, PROJECT / "workflow/scripts/job_server.py"]
        subprocess.Popen(  # it ends when its standard input does, with this process
            [*server, str(listener.fileno()), json.dumps(networks)],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
    os.environ |= {"HETSPIKE_JOB_SERVER": address}


def show_estimate():
    """What the jobs that a dry run has listed take on this machine: no others, so not what is done."""
    from hetspike.study.estimate import Job, estimate

    dag = workflow.dag
    if dag is None or any(dag.needrun_jobs()):  # it ended early
        return
    listed = [
        Job(job.rule.name, *map(job.wildcards_dict.get, ["dataset", "row", "search"], [""] * 3))
        for job in dag.needrun_jobs(exclude_finished=False)
    ]
    workers = workflow.resource_settings.cores or 1
    try:
        table = estimate(STUDY, listed, workers)
    except UserError as error:
        print(f"hetspike: {error}", file=sys.stderr, flush=True)
        return
    if table.empty:
        print(f"{STUDY.study} on this machine: nothing is left to train or to test", flush=True)
        return
    device = "a GPU" if table["device"].eq("cuda").any() else f"{workers} cores"
    print(
        f"{STUDY.study} on this machine, {device}: about {table['hours'].sum():,.1f} hours, "
        f"{table['memory_gb'].fillna(0).max():.1f} GB of memory for the batch of a training, "
        f"{table['disk_gb'].sum():.1f} GB of disk for frames",
        table.drop(columns="device").round(1).to_string(index=False, na_rep="unknown"),
        sep="\n",
        flush=True,
    )


def show_results():
    """The summary, the verdicts on what was run, and where everything lies."""
    tables = RESULTS / "tables"
    if not (tables / "summary.md").exists():
        return  # only targets before the tables were asked for
    claims = (tables / "claims.md").read_text().splitlines()
    heading, rule, *rows = [line for line in claims if line.startswith("|")]
    judged = [row for row in rows if "| not run" not in row]
    print("", (tables / "summary.md").read_text(), sep="\n")
    if judged:
        print("Claims of the paper, on the data of this study:", "", heading, rule, sep="\n")
        print(*judged, "", sep="\n")
    print(f"Claims that need other data or rows (not run): {len(rows) - len(judged)}")
    print(
        f"Tables, figures and logs: {RESULTS.resolve()}, all on one page: report.html", flush=True
    )


def show_errors():
    """What was wrong, once more, below all that Snakemake says about a failed job."""
    for log in sorted(RESULTS.rglob("logs/**/*.log")):
        last = log.read_text().splitlines()[-1:]
        if log.stat().st_mtime >= STARTED and last and last[0].startswith("hetspike: "):
            print(last[0], file=sys.stderr, flush=True)
