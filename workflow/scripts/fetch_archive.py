"""One archive of recordings, in its place and with the md5 of its pointer."""

import os
from pathlib import Path

from fetching import fetch
from jobs import job, write_text

with job(snakemake) as say:
    archive, (output,) = Path(snakemake.params.archive), snakemake.output
    md5 = fetch(archive, patience=float(os.environ.get("HETSPIKE_PATIENCE", 60)), say=say)
    if output != str(archive):  # the note that it was checked
        write_text(output, f"{md5}  {archive.name}\n")
