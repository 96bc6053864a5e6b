"""The command line: pack a trained network, inspect the packed file, run it on integers."""

import argparse
import errno
import io
import json
import logging
import os
import stat
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hetspike.api import check_counts, run
from hetspike.atomic import beside
from hetspike.cost.sizes import NUMBER_BITS, compression, effective_bits, model_bits
from hetspike.data.events.archives import DAMAGED
from hetspike.data.samples import Samples, StoredFrames
from hetspike.errors import UserError, during
from hetspike.inspection.inference import accuracy, logits_of
from hetspike.names import FLOAT
from hetspike.packed.checkpoint import load_trained
from hetspike.packed.codes import size_of
from hetspike.packed.container import LARGEST_FILE
from hetspike.packed.packing import EXAMPLES, Packed, load_packed, pack, read

FRAMES = "frames [R, T, 2, H, W] of event counts and, if known, labels [R]"
NPY_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
UNKNOWN_TO_TORCH = {"b1": np.uint8, "u2": np.int32, "u4": np.int64, "u8": np.float64}
LARGEST_FRAMES = 2**31  # bytes of an array, far more than the test split of any stand-in


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command. A user's mistake ends it with one line on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog="hetspike", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("pack", help="write a trained network to a packed file")
    command.add_argument("network", type=Path, help="results/<study>/networks/.../*.safetensors")
    command.add_argument("out", type=Path, help="the packed file to write")
    command.add_argument(
        "--frames",
        type=Path,
        required=True,
        help=f"recordings to fold and check the network on: npz with {FRAMES}, or a study's zip",
    )
    command.set_defaults(do=lambda given: _pack(given.network, given.out, given.frames))

    command = commands.add_parser("inspect", help="print the header and the sizes of a packed file")
    command.add_argument("file", type=Path)
    command.set_defaults(do=lambda given: _inspect(given.file))

    command = commands.add_parser("run", help="run a packed Spikformer on integers")
    command.add_argument("file", type=Path)
    command.add_argument("frames", type=Path, help=f"npz with {FRAMES}, or a study's zip")
    command.set_defaults(do=lambda given: _run(given.file, given.frames))

    given = parser.parse_args(arguments)
    # it warns where there is no GPU, and none is needed
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name may not be valid text
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        given.do(given)
        sys.stdout.flush()
    except UserError as error:
        sys.exit(" ".join(f"hetspike: {error}".splitlines()))
    except MemoryError:
        sys.exit("hetspike: there is not enough memory: give fewer or smaller recordings")
    except OSError as error:  # printing failed: errors of files are UserErrors
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # a reader of the output, for example `head`, may end early
        sys.exit(1 if isinstance(error, BrokenPipeError) else f"hetspike: {error.strerror}")


def _pack(network: Path, out: Path, frames: Path) -> None:
    data = _content(network)
    with during(str(network)):
        model, about = load_trained(data)
    counts, _ = _read_frames(frames)
    with during(str(frames)):
        check_counts(counts, model)
    example = counts[:EXAMPLES].transpose(0, 1).float()
    with during(str(network)):
        packed = pack(model, example, network=about["network"], classes=about["classes"])
    _write(out, packed)
    content = read(packed)
    print(f"{out}: {len(packed):,} bytes, {effective_bits(stored(content)):.2f} effective bits")
    print(agreement(content))


def _inspect(file: Path) -> None:
    data = _content(file)
    with during(str(file)):
        packed = read(data)
    for key, value in packed.about.items():
        if key not in ("layers", "folded", "traits", "agreement"):
            print(f"{key}: {json.dumps(value)}")
    print(agreement(packed))
    table = stored(packed)
    print()
    print(table.drop(columns="number_bits").to_string(index=False))
    print()
    print(f"effective bits  {effective_bits(table):.2f}, quantized weights only")
    print(f"compression     {compression(table):.1f}x, 32 / effective bits")
    print(f"model bits      {model_bits(table):.2f}, all stored numbers")
    print(f"packed bytes    {len(data):,}, header included")


def _run(file: Path, frames: Path) -> None:
    data = _content(file)
    with during(str(file)):
        network, _ = load_packed(data)
    counts, labels = _read_frames(frames)
    with during(str(frames)):
        check_counts(counts, network)
    with during(str(file)):
        classes, operations = run(data, counts)
    simulated = logits_of(network, Samples(counts, torch.zeros(len(counts))))
    print(f"{len(counts)} recordings, on integers from the frames to the classes")
    if labels is not None:
        correct = (classes == labels).double().mean()
        print(f"accuracy    {100 * correct:.1f} %")
    print(f"agreement   {100 * accuracy(simulated, classes):.1f} % with the float simulation")
    for name in ("multiplications", "shifts", "additions"):
        total = sum(getattr(count, name) for count in operations)
        print(f"{name:<16}{total:,.0f} a recording")


def agreement(packed: Packed) -> str:
    """Return a line with the number of example recordings that both networks classify alike."""
    same, recordings = packed.header.agreement
    return f"agrees with the trained network on {same} of {recordings} example recordings"


def stored(packed: Packed) -> pd.DataFrame:
    """Return a table of what a file stores: one row per quantized layer and per other tensor.

    numbers  how many scales and biases, of number_bits each
    bytes    of all tensors of the row
    """
    rows = []
    for name, layer in packed.layers.items():
        weights, numbers = layer.magnitude.numel(), 2 * len(layer.scale)
        size = size_of(layer.magnitude.shape, layer.choice.bits) + numbers * NUMBER_BITS // 8
        rows.append((name, *layer.choice, weights, numbers, NUMBER_BITS, size))
    for name, each in packed.others.items():
        weights, numbers = (each.numel(), 0) if each.dim() > 1 else (0, each.numel())
        bits = 8 * each.element_size()
        rows.append((name, FLOAT, bits, weights, numbers, bits, each.nbytes))
    columns = ["layer", "scheme", "bits", "weights", "numbers", "number_bits", "bytes"]
    return pd.DataFrame(rows, columns=columns)


def _read_frames(path: Path) -> tuple[Tensor, Tensor | None]:
    """Read frames [R, T, C, H, W] in their stored type, and labels [R] or None."""
    if path.suffix == ".zip":  # frames of a study
        with _reading(path) as file:
            stored = StoredFrames(file, str(path))
        with during(str(path)):
            check_size("frames", stored.shape, np.dtype(np.uint8))
        return stored[:], stored.labels
    try:
        with _reading(path) as file, during(str(path)), zipfile.ZipFile(file) as archive:
            frames = _array(archive, "frames")
            labels = _array(archive, "labels") if "labels.npy" in archive.namelist() else None
    except UserError:
        raise
    except (*DAMAGED, LookupError, TypeError, OverflowError, SyntaxError, TokenError):
        raise UserError(f"{path}: no frames, or damaged: give an npz with {FRAMES}") from None
    if labels is not None and labels.shape != frames.shape[:1]:
        raise UserError(
            f"{path}: {list(labels.shape)} labels for {len(frames)} recordings: give one each"
        )
    return frames, labels


def _array(archive: zipfile.ZipFile, name: str) -> Tensor:
    """Read an array of an npz in a type that torch has. Its size is checked before it is read."""
    with archive.open(f"{name}.npy") as member:
        shape, _, dtype = NPY_HEADERS[np.lib.format.read_magic(member)](member)
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise UserError(f"{name} of type {dtype}: give whole numbers")
    check_size(name, shape, dtype)
    with archive.open(f"{name}.npy") as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
    known = UNKNOWN_TO_TORCH.get(dtype.str[1:], dtype.newbyteorder("="))
    return torch.from_numpy(array.astype(known))


def check_size(name: str, shape: Sequence[int], dtype: np.dtype) -> None:
    """Raise UserError for an array that is too large to be read."""
    if (size := prod(shape) * dtype.itemsize) > LARGEST_FRAMES:
        raise UserError(f"{name} of {size:,} bytes, more than {LARGEST_FRAMES:,}: give fewer")


def _at_once(name: str, flags: int) -> int:
    """Open a file; do not wait for a writer if the file is a pipe."""
    return os.open(name, flags | os.O_NONBLOCK)


@contextmanager
def _reading(path: Path) -> Iterator[IO[bytes]]:
    """Open a regular file. Pipes and devices are refused, since they may have no end."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UserError(f"{path}: no regular file: name one that can be read")
            yield file
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: name a file that can be read") from None


def _content(path: Path) -> bytes:
    with _reading(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > LARGEST_FILE:
            raise UserError(f"{path}: {size:,} bytes, more than the {LARGEST_FILE:,} of a network")
        return file.read(size)


def _write(path: Path, data: bytes) -> None:
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: no regular file: name another to write")
        with beside(path) as part:
            part.write_bytes(data)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: name a file that can be written") from None
