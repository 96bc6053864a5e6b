"""The class of machine that computes: within it floats agree to the last bit."""

import platform
import re
from pathlib import Path

import numpy as np
import torch


def machine_class(kernels: str) -> dict[str, str]:
    """What the last bits depend on, beside the versions of packages; if portable, no processor."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    about = {
        "kernels": kernels,
        "system": " ".join([platform.machine(), *platform.libc_ver()]),
        "instructions": " ".join([torch.backends.cpu.get_cpu_capability(), *found]),
    }
    if kernels == "fastest":
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
        about["processor"] = " ".join(
            re.findall(r"^(?:vendor_id|cpu family|model)\s*: (.*)", first, re.MULTILINE)
        )
    return about
