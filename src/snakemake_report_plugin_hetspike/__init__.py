"""A plugin that makes Snakemake read configurations and profiles as data.

Before the Snakefile, Snakemake reads the files of `--configfile` and of profiles with a template
engine (YTE) that can run Python code. It also imports every installed package whose name begins
with `snakemake_report_plugin_`, before it reads its command line. So this package is imported in
time to replace the readers. It does not report anything.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import snakemake.cli
import yte
from snakemake.common import configfile
from snakemake_interface_report_plugins.reporter import ReporterBase as Reporter

from hetspike.documents import overrides, parse, read, read_mapping
from hetspike.errors import UserError

__all__ = ["Reporter"]


def load_configfile(path: str | Path, filetype: str = "Config") -> Any:
    """Read a file of `--configfile` or of the directive `configfile:`."""
    try:
        return read_mapping(path)
    except UserError as error:
        sys.exit(f"hetspike: {error}")


def parse_config(entries: Sequence[str] | None) -> dict[str, Any]:
    """Read the entries of `--config`."""
    try:
        return overrides(entries or ())
    except UserError as error:
        sys.exit(f"hetspike: {error}")


def process_yaml(document: IO[str] | str, *_: Any, **__: Any) -> Any:
    """Read a profile, or any other document that Snakemake would read as a template."""
    try:
        return parse(document, "YAML") if isinstance(document, str) else read(document.name)
    except UserError as error:
        sys.exit(f"hetspike: {error}")


configfile._load_configfile = load_configfile
snakemake.cli.parse_config = parse_config
yte.process_yaml = process_yaml
