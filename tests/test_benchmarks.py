"""The script for a GPU, at its tiny size on a CPU."""

import io
import os
import re
import subprocess
import sys
import tarfile

import numpy as np
from projects import ROOT


def test_the_script_for_a_gpu_runs_without_one(tmp_path):
    slope = np.linspace(0, 255, 3072).astype(np.uint8).tobytes()
    images = b"".join(bytes([label]) + slope for label in range(3) for _ in range(10))
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as file:
        member = tarfile.TarInfo("cifar-10-batches-bin/data_batch_1.bin")
        member.size = len(images)
        file.addfile(member, io.BytesIO(images))
    script = [sys.executable, str(ROOT / "benchmarks/gpu.py"), "--seconds", "1"]
    command = [*script, "--images", str(tmp_path)]
    no_gpu = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=no_gpu)
    assert run.returncode == 0, run.stderr
    speeds = re.findall(r"^\[.*\] (.*): ([\d.]+) recordings a second", run.stdout, re.MULTILINE)
    assert {"float", "QAT at 3 bits", "float, bfloat16", "inference"} <= {
        name for name, _ in speeds
    }
    assert all(float(speed) > 0 for _, speed in speeds)
    assert "share of the copy's speed" in run.stdout
    # the time is up before the first epoch: each network is trained for one
    assert re.findall(r"(\S+), epoch 1 of 1: training", run.stdout) == ["float", "fisher-3.14"]
