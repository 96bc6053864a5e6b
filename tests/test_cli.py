"""The command line as a user meets it: files in, files and lines out, mistakes in one line."""

import json
import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from projects import COMMAND, hetspike
from torch import nn
from trained_files import CLASSES, NETWORK, SIZE, write_frames, write_trained

from hetspike.api import check_counts, run
from hetspike.cli import _read_frames, main
from hetspike.data.samples import Samples
from hetspike.inspection.inference import logits_of
from hetspike.inspection.layers import quantizable_layers
from hetspike.networks.spikformer import Spikformer
from hetspike.packed.checkpoint import load_trained
from hetspike.packed.packing import load_packed, pack, read
from hetspike.quantization.quantizer import Choice, quantize


@pytest.fixture(scope="module")
def shipped(tmp_path_factory) -> Path:
    """A folder with a trained network, frames, and what `hetspike pack` made of them."""
    folder = tmp_path_factory.mktemp("shipped")
    write_trained(folder / "trained.safetensors", head=Choice("pot", 4))
    write_frames(folder / "frames.npz")
    done = hetspike("pack", "trained.safetensors", "net", "--frames", "frames.npz", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_a_packed_file_is_what_the_function_makes(shipped):
    model, about = load_trained((shipped / "trained.safetensors").read_bytes())
    frames = torch.from_numpy(np.load(shipped / "frames.npz")["frames"])
    example = frames[:8].transpose(0, 1).float()
    data = (shipped / "net").read_bytes()
    assert data == pack(model, example, network=about["network"], classes=about["classes"])
    assert read(data).assignment["head"] == Choice("pot", 4)


def test_inspect_by_hand(shipped):
    done = hetspike("inspect", "net", cwd=shipped)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert "classes: 3" in done.stdout and f"network: {json.dumps(NETWORK)}" in done.stdout
    # 2 channels of 2x3x3 weights: 36 of 3 bits are 14 bytes, two scales and biases 8
    assert ["patch.stages.0.0", "uniform", "3", "36", "4", "22"] in lines
    # 48 weights of 4 bits are 24 bytes, three scales and biases 12
    assert ["head", "pot", "4", "48", "6", "36"] in lines
    weights = {
        name: layer.weight.numel()
        for name, layer in quantizable_layers(Spikformer(CLASSES, **SIZE)).items()
    }
    total = sum(weights.values())
    bits = (3 * total + 48) / total
    assert f"effective bits  {bits:.2f}," in done.stdout
    assert f"compression     {32 / bits:.1f}x," in done.stdout
    # channels of the stages 2, 4, 8, 16 and of the position 16; q, k, v, projection, fc1, fc2; head
    numbers = 2 * (2 + 4 + 8 + 16 + 16 + 4 * 16 + 64 + 16 + 3)
    model_bits = (3 * total + 48 + 16 * numbers) / (total + numbers)
    assert f"model bits      {model_bits:.2f}," in done.stdout
    assert f"packed bytes    {(shipped / 'net').stat().st_size:,}," in done.stdout


def test_inspect_shows_layers_in_float(tmp_path, capsys):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    quantized = quantize(model, {"0": Choice("uniform", 2)})
    (tmp_path / "net").write_bytes(pack(quantized, torch.ones(1, 4), made_by="a test"))
    main(["inspect", str(tmp_path / "net")])
    printed = capsys.readouterr().out
    lines = [line.split() for line in printed.splitlines()]
    assert 'made_by: "a test"' in printed
    assert ["0", "uniform", "2", "12", "6", "15"] in lines  # 3 bytes of codes, 6 numbers of 2
    assert ["1.weight", "float", "32", "6", "0", "24"] in lines
    assert ["1.bias", "float", "32", "0", "2", "8"] in lines
    # 12 weights of 2 bits, 6 numbers of 16, and 8 of 32
    assert f"model bits      {(24 + 96 + 256) / 26:.2f}," in printed


def test_run_says_what_the_engine_does(shipped):
    done = hetspike("run", "net", "frames.npz", cwd=shipped)
    assert (done.returncode, done.stderr) == (0, "")
    data = (shipped / "net").read_bytes()
    arrays = {
        name: torch.from_numpy(each) for name, each in np.load(shipped / "frames.npz").items()
    }
    classes, operations = run(data, arrays["frames"])
    simulated = logits_of(load_packed(data)[0], Samples(**arrays)).argmax(1)
    assert len(set(classes.tolist())) > 1
    share = 100 * (classes == arrays["labels"]).sum().item() / 12
    same = 100 * (classes == simulated).sum().item() / 12
    additions = sum(count.additions for count in operations)
    shifts = sum(count.shifts for count in operations)
    assert f"accuracy    {share:.1f} %" in done.stdout
    assert f"agreement   {same:.1f} % with" in done.stdout
    assert f"additions       {additions:,.0f} a recording" in done.stdout
    assert f"shifts          {shifts:,.0f} a recording" in done.stdout and shifts > 0


def test_run_without_labels_has_no_accuracy(shipped, tmp_path, capsys):
    np.savez(tmp_path / "bare.npz", frames=np.load(shipped / "frames.npz")["frames"])
    main(["run", str(shipped / "net"), str(tmp_path / "bare.npz")])
    printed = capsys.readouterr().out
    assert "agreement" in printed and "accuracy" not in printed


@pytest.fixture(scope="module")
def broken(shipped) -> Path:
    """The same folder with files that are wrong."""
    data = (shipped / "net").read_bytes()
    (shipped / "damaged").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    (shipped / "short").write_bytes(data[:-10])
    (shipped / "empty").write_bytes(b"")
    (shipped / "text").write_text("not a network")
    frames = np.load(shipped / "frames.npz")["frames"]
    np.savez(shipped / "other.npz", images=frames)
    np.savez(shipped / "mono.npz", frames=frames[:, :, :1])
    np.savez(shipped / "halves.npz", frames=frames / 2)
    np.savez(shipped / "labels.npz", frames=frames, labels=np.zeros(5, dtype=int))
    np.savez(shipped / "objects.npz", frames=np.array([None]))
    np.save(shipped / "array.npy", frames)
    np.savez(shipped / "complex.npz", frames=frames.astype(np.complex64))
    np.savez(shipped / "words.npz", frames=frames.astype("U1"))
    np.savez(shipped / "dates.npz", frames=frames.astype("M8[s]"))
    np.savez(shipped / "long.npz", frames=frames.astype(np.longdouble))
    np.savez(shipped / "nan.npz", frames=frames * np.nan)
    # what the array says of itself, and what there is of it
    shape = (10**6, 10, 2, 200, 2000)
    for name, said in {
        "bomb": f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}",
        "liar": "{'descr': '|u1', 'fortran_order': False, 'shape': (1000, 10, 2, 100, 100), }",
        "beyond": "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 10, 2, 9, 10**30), }",
        "deep": "(" * 5000,
    }.items():
        with zipfile.ZipFile(shipped / f"{name}.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            header = said.encode().ljust(9000)
            size = len(header).to_bytes(2, "little")
            archive.writestr("frames.npy", b"\x93NUMPY\1\0" + size + header + bytes(1000))
    with zipfile.ZipFile(shipped / "bomb.zip", "w") as archive:
        about = {"shape": [10**6, 10, 2, 200, 2000], "labels": [], "classes": ["a"]}
        archive.writestr("about.json", json.dumps(about))
    os.mkfifo(shipped / "pipe")
    with (shipped / "huge").open("wb") as file:
        file.truncate(2**40)  # no disk is as full as that
    archive = (shipped / "frames.npz").read_bytes()
    (shipped / "half.npz").write_bytes(archive[: len(archive) // 2])
    (shipped / "folder").mkdir()
    return shipped


TRAINED = "trained.safetensors"
MISTAKES = {
    "inspect nowhere": "nowhere: No such file or directory: name a file that can be read",
    "inspect folder": "folder: Is a directory: name a file that can be read",
    "inspect damaged": "damaged: the file is damaged (its checksum differs",
    "inspect short": "short: the file is cut short or damaged",
    "inspect empty": "empty: not a safetensors file",
    "inspect text": "text: not a safetensors file",
    f"inspect {TRAINED}": f"{TRAINED}: no packed network, but a trained one: pack it",
    "run damaged frames.npz": "damaged: the file is damaged",
    f"run {TRAINED} frames.npz": f"{TRAINED}: no packed network",
    "run net nowhere.npz": "nowhere.npz: No such file or directory: name a file that can be read",
    "run net net": "net: no frames, or damaged: give an npz with frames [R, T, 2, H, W]",
    "run net empty": "empty: no frames, or damaged",
    "run net array.npy": "array.npy: no frames, or damaged",
    "run net half.npz": "half.npz: no frames, or damaged",
    "run net other.npz": "other.npz: no frames, or damaged",
    "run net objects.npz": "objects.npz: frames of type object: give whole numbers",
    "run net complex.npz": "complex.npz: frames of type complex64: give whole numbers",
    "run net words.npz": "words.npz: frames of type <U1: give whole numbers",
    "run net dates.npz": "dates.npz: frames of type datetime64[s]: give whole numbers",
    "run net long.npz": "long.npz: frames of type",
    "run net nan.npz": "nan.npz: frames are no event counts: give whole numbers",
    "run net bomb.npz": "bomb.npz: frames of 8,000,000,000,000 bytes, more than 2,147,483,648",
    "run net liar.npz": "liar.npz: no frames, or damaged",
    "run net beyond.npz": "beyond.npz: no frames, or damaged",
    "run net deep.npz": "deep.npz: no frames, or damaged",
    "run net bomb.zip": "bomb.zip holds no frames",
    "run net pipe": "pipe: no regular file: name one that can be read",
    "run net folder": "folder: Is a directory: name a file that can be read",
    "run /dev/zero frames.npz": "/dev/zero: no regular file: name one that can be read",
    "inspect pipe": "pipe: no regular file: name one that can be read",
    "inspect /dev/zero": "/dev/zero: no regular file: name one that can be read",
    "inspect huge": "huge: 1,099,511,627,776 bytes, more than the 268,435,456 of a network",
    "inspect \udcff": "\udcff: No such file or directory: name a file that can be read",
    f"pack {TRAINED} /dev/null --frames frames.npz": "/dev/null: no regular file: name another",
    f"pack {TRAINED} pipe --frames frames.npz": "pipe: no regular file: name another to write",
    f"pack {TRAINED} . --frames frames.npz": ".: Is a directory: name a file that can be written",
    f"pack pipe out --frames {TRAINED}": "pipe: no regular file: name one that can be read",
    "run net mono.npz": "mono.npz: frames of shape [12, 3, 1, 8, 8]: the network takes [R, T, 2, H",
    "run net halves.npz": "halves.npz: frames are no event counts: give whole numbers",
    "run net labels.npz": "labels.npz: [5] labels for 12 recordings: give one each",
    "pack nowhere out --frames frames.npz": "nowhere: No such file or directory",
    "pack text out --frames frames.npz": "text: not a safetensors file",
    "pack net out --frames frames.npz": "net: no trained network",
    f"pack {TRAINED} out --frames mono.npz": "mono.npz: frames of shape",
    f"pack {TRAINED} nowhere/out --frames frames.npz": "nowhere/out: No such file or directory",
    f"pack {TRAINED} folder --frames frames.npz": "folder: Is a directory: name a file that can be",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_ends_in_one_line_and_leaves_nothing_behind(
    broken, line, monkeypatch, capsys, tried
):
    monkeypatch.chdir(broken)
    before = sorted(broken.iterdir())
    with pytest.raises(SystemExit) as end:  # with a text it goes to stderr, and the exit code is 1
        main(line.split())
    message = str(end.value.code)
    assert message.startswith(f"hetspike: {MISTAKES[line]}") and "\n" not in message
    assert capsys.readouterr().out == ""
    assert sorted(broken.iterdir()) == before
    tried("`hetspike pack`, `inspect` and `run`", "a wrong file or name", refused=1)


@pytest.mark.parametrize("dtype", ["?", "i1", "<u2", ">u2", ">i4", "u4", "u8", "i8", "f2", ">f8"])
def test_counts_of_every_type_are_the_same_counts(shipped, tmp_path, dtype):
    frames = np.load(shipped / "frames.npz")["frames"]
    frames = frames > 0 if dtype == "?" else frames
    np.savez(tmp_path / "as.npz", frames=frames.astype(dtype), labels=np.zeros(12, dtype))
    found, labels = _read_frames(tmp_path / "as.npz")
    check_counts(found, Spikformer(CLASSES, **SIZE))
    assert torch.equal(found.float(), torch.from_numpy(frames).float())
    assert labels is not None and labels.shape == (12,)


def test_words_that_a_terminal_cannot_show_are_escaped(shipped, tmp_path):
    done = subprocess.run(
        [COMMAND, "pack", shipped / TRAINED, b"\xff", "--frames", shipped / "frames.npz"],
        cwd=tmp_path,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"\\udcff: ")


def test_an_output_that_is_full_ends_in_one_line(shipped):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [COMMAND, "inspect", "net"], cwd=shipped, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (1, "hetspike: No space left on device\n")


def test_a_mistake_has_exit_code_1_and_no_traceback(broken):
    done = hetspike("pack", TRAINED, "folder", "--frames", "frames.npz", cwd=broken)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "hetspike: folder: Is a directory: name a file that can be written\n"


def test_a_file_that_stands_is_replaced_only_by_a_whole_one(broken, monkeypatch, capsys):
    monkeypatch.chdir(broken)
    old, rest = Path("old"), ["old", "--frames", "frames.npz"]
    old.write_text("old")
    with pytest.raises(SystemExit):
        main(["pack", "text", *rest])
    assert old.read_text() == "old"
    main(["pack", TRAINED, *rest])
    assert old.read_bytes() == Path("net").read_bytes()
    told = capsys.readouterr().out
    assert told.startswith(f"old: {old.stat().st_size:,} bytes, 3.0")
    same, recordings = read(old.read_bytes()).header.agreement
    assert 0 < same <= recordings == 8
    assert f"\nagrees with the trained network on {same} of 8 example recordings\n" in told


def test_a_full_disk_leaves_the_old_file_alone(broken, monkeypatch):
    monkeypatch.chdir(broken)
    Path("kept").write_text("old")
    before = sorted(broken.iterdir())

    def half(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(SystemExit, match=r"^hetspike: kept: No space left on device: name a file"):
        main(["pack", TRAINED, "kept", "--frames", "frames.npz"])
    assert Path("kept").read_text() == "old" and sorted(broken.iterdir()) == before


def test_integers_refuse_layers_in_float(tmp_path):
    torch.manual_seed(0)
    model = Spikformer(CLASSES, **SIZE)
    frames = write_frames(tmp_path / "frames.npz")
    data = pack(model, frames[:2].transpose(0, 1).float(), network=NETWORK, classes=CLASSES)
    (tmp_path / "float").write_bytes(data)
    with pytest.raises(SystemExit, match=r"float: layer patch\.stages\.0\.0 is in float"):
        main(["run", str(tmp_path / "float"), str(tmp_path / "frames.npz")])


def test_a_reader_who_has_seen_enough_is_no_error(shipped):
    command = [COMMAND, "inspect", "net"]
    with subprocess.Popen(
        command, cwd=shipped, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.close()  # as `| head` does, long before the first line
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_help_names_the_commands(tmp_path):
    done = hetspike("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert all(f"\n    {name} " in done.stdout for name in ("pack", "inspect", "run"))
