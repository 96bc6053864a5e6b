"""What an interrupted training left, and which training takes it."""

import os

import pytest
import torch
from torch import nn

from hetspike.atomic import sealed
from hetspike.errors import UserError
from hetspike.training.resume import fingerprint, keep, left, read_state

STATE = {"model": {"weight": torch.arange(3.0)}, "history": [(1, 0.5, 0.5, 0.5, 0.5)]}


def test_a_run_takes_what_it_left_and_no_other_one_does(tmp_path):
    file = tmp_path / "a.resume"
    assert left(file, "this") is None
    keep(file, "this", STATE)
    found = left(file, "this")
    assert found["history"] == STATE["history"]
    assert torch.equal(found["model"]["weight"], STATE["model"]["weight"])
    assert left(file, "another") is None
    keep(file, "another", STATE | {"history": []})
    assert left(file, "this") is None and left(file, "another")["history"] == []


def test_a_damaged_state_is_one_line_and_so_is_a_file_of_another_kind(tmp_path):
    file = tmp_path / "a.resume"
    keep(file, "this", STATE)
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    with pytest.raises(UserError, match=r"a\.resume is damaged .*: the training starts anew$"):
        left(file, "this")
    with sealed(file) as part:
        part.write_bytes(content[:-1])
    with pytest.raises(UserError, match=r"a\.resume holds no state of a training: delete it"):
        read_state(file)


def test_a_fingerprint_is_of_weights_settings_code_and_samples(tmp_path):
    code, samples = tmp_path / "fit.py", tmp_path / "train.zip"
    code.write_text("pass\n")
    samples.write_text("")
    network = nn.Linear(2, 2)

    def found(**settings: float) -> str:
        return fingerprint(network, {"rate": 0.1} | settings, [str(code)], [str(samples)])

    first = found()
    assert found() == first != found(rate=0.2)
    seen = {first}
    for change in (
        lambda: code.write_text("pass  # edited\n"),
        lambda: os.utime(samples, ns=(0, 0)),
        lambda: nn.init.zeros_(network.weight),
    ):
        change()
        seen.add(found())
    assert len(seen) == 4
