"""One archive of recordings: fetched, kept as it is, or checked against the md5 of its pointer."""

from pathlib import Path

from fetching import fetch, patience
from jobs import job

from hetspike.atomic import beside

with job(snakemake) as say:
    archive = Path(snakemake.input.get("archive", snakemake.output[0]))
    if snakemake.rule == "keep":
        say("kept as it is")
    else:
        md5 = fetch(archive, patience=patience(), say=say)
        if snakemake.rule == "check":
            with beside(snakemake.output[0]) as part:
                part.write_text(f"{md5}  {archive.name}\n")
