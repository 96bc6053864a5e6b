"""Benchmarks that do not run with the others, at a tiny size."""

import io
import json
import os
import re
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import torch
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


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"),
    reason="no x86-64 server: that an older one gives the same bits is not checked",
)
def test_the_instructions_of_an_older_processor_give_the_same_bits():
    script = [sys.executable, str(ROOT / "benchmarks/portable.py"), "--recordings=22", "--rounds=1"]
    run = subprocess.run([*script, "--json"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    fastest, portable, haswell = json.loads(run.stdout)
    assert portable["instructions"] == "portable" and len(portable["digests"]) == 1
    assert haswell["instructions"] == "portable, Haswell"
    assert haswell["digests"] == portable["digests"]
    assert all(each["seconds"] > 0 for each in (fastest, portable, haswell))
