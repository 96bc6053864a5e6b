"""One archive of recordings: fetched, kept as it is, or checked against the md5 of its pointer."""

from pathlib import Path

from fetching import fetch
from jobs import Named, Say, run

from hetspike.atomic import beside


def main(*, input: Named, output: Named, say: Say) -> None:
    if "kept" in output:
        say("kept as it is")
        return
    archive = Path(output.get("archive") or input["archive"])
    md5 = fetch(archive, say=say)
    if "md5" in output:
        with beside(output["md5"]) as part:
            part.write_text(f"{md5}  {archive.name}\n")


if "snakemake" in globals():
    run(main, snakemake)
