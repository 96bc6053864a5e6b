"""How kernels are compiled, and where their machine code is kept.

A kernel is compiled when it is first called, which takes a second or two, and kept on disk for the
next process. numba sees when the file of a kernel changes, but not when another one does that the
kernel draws from. So the folder bears a digest of all of them.
"""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numpy.typing import NDArray

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
Array = NDArray[Any]
HERE = Path(__file__).parent

log = logging.getLogger(__name__)


def _digest() -> str:
    sources = b"".join(path.read_bytes() for path in sorted(HERE.glob("*.py")))
    return hashlib.sha256(sources).hexdigest()[:16]


FOLDER = Path(numba.config.CACHE_DIR or HERE / "__pycache__") / f"kernels-{_digest()}"


def is_compiled() -> bool:
    """Return whether machine code of these kernels is kept here."""
    return any(FOLDER.rglob("*.nbc"))


def compiled(function: Kernel) -> Kernel:
    """Compile a function of arrays and numbers on its first call, with the GIL released.

    Its machine code is kept where numba is told to (NUMBA_CACHE_DIR), beside the package, or in the
    user's folder for such things; where none of them can be written it is compiled anew by every
    process.
    """
    usual, numba.config.CACHE_DIR = numba.config.CACHE_DIR, ""
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        numba.config.CACHE_DIR = str(FOLDER)
    except OSError:
        pass
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError as error:  # no folder that can be written
        log.debug("%s is not kept: %s", function.__name__, error)
        return numba.njit(**options)(function)
    finally:
        numba.config.CACHE_DIR = usual
