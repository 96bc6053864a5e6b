"""What operations and accesses cost, from energy.toml, which names the sources."""

import tomllib
from importlib.resources import files

CONSTANTS = tomllib.loads(files("hetspike.cost").joinpath("energy.toml").read_text())
