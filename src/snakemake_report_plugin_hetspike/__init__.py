"""Makes Snakemake read configurations and profiles as data, where its own readers run Python.

Snakemake reads what `--configfile` names, and profiles, before the Snakefile, by a template engine
(YTE). It imports every installed package whose name begins like this one's before it looks at its
command line: so these readers stand in for its own, whatever is given there. Nothing is reported.
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
    """For `--configfile` and the directive `configfile:`."""
    try:
        return read_mapping(path)
    except UserError as error:
        sys.exit(f"hetspike: {error}")


def parse_config(entries: Sequence[str] | None) -> dict[str, Any]:
    """For `--config`."""
    try:
        return overrides(entries or ())
    except UserError as error:
        sys.exit(f"hetspike: {error}")


def process_yaml(document: IO[str] | str, *_: Any, **__: Any) -> Any:
    """For profiles, and wherever else Snakemake expects a template."""
    try:
        return parse(document, "YAML") if isinstance(document, str) else read(document.name)
    except UserError as error:
        sys.exit(f"hetspike: {error}")


configfile._load_configfile = load_configfile
snakemake.cli.parse_config = parse_config
yte.process_yaml = process_yaml
