"""Show what moved against the published results of a study; exit with 1 where it may not have.

On the class of machine that published them every file is held, elsewhere the numbers are.

Run by `make drift` and, for another study than the default one, `make drift STUDY=smoke`.
"""

import hashlib
import json
import os
import sys
from io import BytesIO
from pathlib import Path

import pandas as pd
from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from dvc.repo import Repo

from hetspike.atomic import REMEDY, check
from hetspike.documents import read
from hetspike.errors import UserError
from hetspike.results.drift import EXACT, Move, Tolerances, moves
from hetspike.settings import checked

TOLERANCES = "config/tolerances.yaml"
SHOWN = 40  # the worst; nobody reads a thousand


def published_files(folder: Path) -> dict[str, bytes]:
    """What the last commit publishes under a folder, from the store in this repository."""
    try:
        committed = DVCFileSystem(rev="HEAD")
        names = committed.find(str(folder))
        found = {name: committed.read_bytes(name) for name in names}
        md5s = {name: committed.info(name)["md5"] for name in names}
    except (DvcException, OSError) as error:
        raise UserError(f"published results cannot be read: {error}: use a git clone") from None
    for name, content in found.items():
        if hashlib.md5(content).hexdigest() != md5s[name]:
            raise UserError(f"published {name} is damaged: {_remedy(committed.repo, md5s[name])}")
    return found


def _remedy(repo: Repo, md5: str) -> str:
    """What to do about a file of the store that is not what its name says."""
    cached, stored = (
        os.path.relpath(store.oid_to_path(md5))
        for store in (repo.cache.local, repo.cloud.get_remote_odb())
    )
    if os.path.exists(cached):  # what DVC reads first
        return f"delete {cached}, `git checkout {stored}` and `dvc fetch`"
    return f"`git checkout {stored}`"


def found_files(published: dict[str, bytes]) -> dict[str, bytes]:
    """What the study left under the names of published files, as its jobs wrote it."""
    found = {name: Path(name).read_bytes() for name in published if Path(name).is_file()}
    for name, content in found.items():
        if content != published[name]:  # what is as published may have come without a seal
            check(name)
    return found


def tables(files: dict[str, bytes]) -> dict[str, pd.DataFrame]:
    """The numbers among the files, by the names of their tables."""
    found = {}
    for name, content in files.items():
        try:
            if name.endswith(".csv"):
                found[Path(name).stem] = pd.read_csv(BytesIO(content))
        except ValueError:
            raise UserError(f"{name} is no table of a study: {REMEDY}") from None
    return found


def tolerances(published: dict[str, bytes], found: dict[str, bytes], folder: Path) -> Tolerances:
    """How far numbers may lie apart: not at all where both are of one class of machine."""
    machine = f"{folder}/machine.json"
    if found.get(machine) == published.get(machine, b""):
        print("\nPublished from this class of machine: nothing may move.")
        return EXACT
    where = json.loads(published.get(machine, b'{"class": "not recorded"}'))
    print(f"\nPublished from another class of machine ({', '.join(where.values())}): ", end="")
    print(f"tolerances of {TOLERANCES}.")
    return checked(Tolerances, read(TOLERANCES), TOLERANCES).of(folder.name)


def shown(moved: list[Move]) -> str:
    table = pd.DataFrame(moved[:SHOWN], columns=Move._fields)
    for column in ("moved", "allowed"):
        table[column] = [f"{value:.3g}" for value in table[column]]
    table.insert(0, "", ["BEYOND" if move.beyond else "within" for move in moved[:SHOWN]])
    more = f"\n... and {len(moved) - SHOWN} more" if len(moved) > SHOWN else ""
    return table.to_string(index=False) + more


def main(study: str) -> None:
    folder = Path("results") / study
    published = published_files(folder)
    if not published:
        raise UserError(f"nothing of a study '{study}' is published: run it, then `make publish`")
    found = found_files(published)
    if not found:
        raise UserError(f"{folder} holds no results: run the study first")
    if found == published:
        print(f"{study}: nothing moved, all {len(found)} files are as published")
        return
    numbers = tables(published), tables(found)
    differ = [name for name, content in published.items() if found.get(name) != content]
    print("Other than published:", *differ, sep="\n    ")
    limits = tolerances(published, found, folder)
    moved = moves(*numbers, limits)
    beyond = sum(move.beyond for move in moved)
    if moved:
        print(shown(moved))
    print(
        f"{study}: {len(differ)} files differ, {len(moved)} values moved, "
        f"{beyond} beyond their tolerance",
        flush=True,
    )
    sys.exit(1 if beyond or limits is EXACT else 0)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except UserError as error:
        sys.exit(f"hetspike: drift: {error}")
