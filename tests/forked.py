"""Command lines of Snakemake, each in a process of its own that is forked, not started anew.

The parent imports what Snakemake imports, and stops short of what looks for plugins and reads a
configuration: a child goes the whole way of a command line, from `snakemake.cli.main` on, in a
twentieth of the time. A line of JSON asks for a run, {"argv", "cwd", "env", "seconds"}; one answers
it, {"rc", "said"}.
"""

import atexit
import gc
import json
import os
import pkgutil
import signal
import sys
import tempfile
import tokenize
from importlib import import_module

import snakemake.cli

LATE = (  # what a child would import anew
    *("smart_open", "hetspike.documents", "hetspike.study.study", "snakemake.assets"),
    *("snakemake.report.html_reporter.data.packages", "snakemake.storage", "snakemake.workflow"),
)


def serve() -> None:
    for late in LATE:
        import_module(late)
    found = [*pkgutil.iter_modules()]  # by every look for plugins; it takes longer than all else
    pkgutil.iter_modules = lambda path=None, prefix="": iter(found)
    with open(__file__, "rb") as file:  # the expressions of the tokenizer
        list(tokenize.tokenize(file.readline))
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        asked = json.loads(line)
        with tempfile.TemporaryFile("w+", errors="backslashreplace") as output:
            child = os.fork()
            if child == 0:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                os.chdir(asked["cwd"])
                os.environ |= asked["env"]
                sys.argv = ["snakemake", *asked["argv"]]
                signal.alarm(asked["seconds"])  # kills one that hangs
                try:
                    snakemake.cli.main()
                except (
                    SystemExit
                ) as end:  # as the interpreter ends, but for clearing all that memory
                    if isinstance(end.code, str):
                        print(end.code, file=sys.stderr)
                    atexit._run_exitfuncs()
                    sys.stdout.flush()
                    os._exit(end.code if isinstance(end.code, int) else 1)
            _, status = os.waitpid(child, 0)
            output.seek(0)
            answer = {"rc": os.waitstatus_to_exitcode(status), "said": output.read()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
