"""Frozen sample lists in data/splits/, and their checksums. Run by hand:

python workflow/scripts/freeze_samples.py                         those of CIFAR10-DVS
python workflow/scripts/freeze_samples.py n-caltech101 first90    one, from archives in data/raw
"""

import hashlib
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from hetspike.atomic import beside
from hetspike.data.events import DATASETS
from hetspike.data.events.recorded_images import CIFAR_ARCHIVE, CIFAR_CLASSES
from hetspike.data.events.sample_lists import dealt, freeze
from hetspike.errors import UserError
from hetspike.names import protocol_of

SPLITS = Path("data/splits")


def write_list(dataset: str, folder: str, **protocol: Any) -> None:
    splits = DATASETS[dataset](folder=folder, validation=0.1, **protocol)
    (SPLITS / dataset).mkdir(parents=True, exist_ok=True)
    with beside(SPLITS / dataset / f"{protocol_of(protocol)}.csv") as part:
        part.write_text(freeze(dealt(splits)))


def write_cifar10_dvs() -> None:
    """The names of the published archive are known, and the reader deals names: no event needed."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(Path(folder) / CIFAR_ARCHIVE, "w") as archive:
            for kind in CIFAR_CLASSES:
                with archive.open(f"{kind}.zip", "w") as file, zipfile.ZipFile(file, "w") as inner:
                    for number in range(1000):
                        inner.writestr(f"{kind}/cifar10_{kind}_{number}.aedat4", b"")
        for protocol in ("first90", "tebn"):
            write_list("cifar10-dvs", folder, protocol=protocol)
        write_list("cifar10-dvs", folder, protocol="random", protocol_seed=0)


match sys.argv[1:]:
    case []:
        write_cifar10_dvs()
    case [("n-caltech101" | "dvs-gesture") as dataset, protocol]:
        try:
            write_list(dataset, "data/raw", protocol=protocol)
        except UserError as error:
            sys.exit(f"hetspike: {error}")
    case _:
        sys.exit(__doc__)
sums = [
    f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(SPLITS).as_posix()}\n"
    for path in sorted(SPLITS.glob("*/*.csv"))
]
with beside(SPLITS / "SHA256SUMS") as part:
    part.write_text("".join(sums))
