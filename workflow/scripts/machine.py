"""The class of machine that computes: within it, and only there, floats agree to the last bit."""

import platform
from pathlib import Path

import torch


def machine_class() -> dict[str, str]:
    """What the kernels and the mathematical functions of this machine depend on."""
    processor = {}
    for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        processor[key.strip()] = value.strip()
    named = [processor.get(key, "") for key in ("vendor_id", "cpu family", "model")]
    return {
        "system": " ".join([platform.machine(), *platform.libc_ver()]),
        "processor": " ".join(named).strip(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
