"""The stand-in sim-orbit-cifar10: images of CIFAR-10 that move as the images of CIFAR10-DVS did.

The images come from CIFAR-10's binary archive [Krizhevsky 2009]: in data_batch_1.bin to
data_batch_5.bin an image is a byte for its class, then 32x32 bytes of red, of green and of blue.
A recording is simulated when it is read, in four steps: the image is enlarged to a screen of
512x512 points, its values become the luminance of each point, each pixel of the sensor sees the
mean of some points, and `simulator` makes events of what the pixels see. The image moves by whole
points, so that the view of each position is a slice of one array.
"""

import re
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hetspike.data.events.archives import Archive
from hetspike.data.events.catalogue import located
from hetspike.data.events.protocols import (
    IMAGES,
    Item,
    Protocol,
    Share,
    check_protocol,
    deal_images,
)
from hetspike.data.events.recorded_images import CIFAR_CLASSES
from hetspike.data.events.recordings import Splits
from hetspike.data.events.simulator import simulate
from hetspike.errors import UserError
from hetspike.settings import Folder, Seed

ARCHIVE = "cifar-10-binary.tar.gz"
BATCH = re.compile(r"cifar-10-batches-bin/data_batch_(?P<batch>[1-5])\.bin", re.ASCII)
IN_BATCH = 10_000  # images, as published
SIDE = 32  # pixels of an image along each side
RECORD = 1 + 3 * SIDE * SIDE  # bytes
PER_CLASS = 1000  # images of a class in CIFAR10-DVS

# lengths in points of the screen
SCREEN = 512
ENLARGED = SCREEN // SIDE  # side of an image's pixel
RADIUS = ENLARGED  # from the middle of the path to its corners
STEP = 4  # between two rendered images, along both axes; a finer step changes hardly an event
LOOPS = 6
DURATION = 1_200_000  # [us]

GAMMA = 2.2  # of the screen
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of red, green and blue light [ITU-R BT.709]
STRAY = 0.15  # room light on the screen, relative to the screen's white


def orbit_cifar10(
    *,
    folder: Folder,
    protocol: Protocol,
    protocol_seed: Seed | None = None,
    validation: Share,
    seed: Seed,
    per_class: Annotated[int, Field(gt=0, le=PER_CLASS)] = PER_CLASS,
    size: Literal[128, 64, 32] = 128,
) -> Splits:
    """Images of CIFAR-10 in repeated closed-loop smooth motion; 1.2 s, groups are images.

    folder         folder of cifar-10-binary.tar.gz, as published
    protocol       as for `recorded_images.cifar10_dvs`, by the order of images in the archive.
                   first90: the last tenth of each class is test; tebn: the first tenth;
                   random: a tenth that is drawn with protocol_seed
    protocol_seed  for `random` only
    validation     fraction of the training recordings that become validation recordings
    seed           of the thresholds of pixels and of the noise
    per_class      largest number of images of each class; the first of the archive are taken
    size           pixels of the sensor along each side

    The same as in CIFAR10-DVS [Li et al. 2017]: 1,000 images of each of the 10 classes, enlarged
    to 512x512 on a screen, in repeated closed-loop smooth motion before a still sensor of 128x128;
    the splits; and about the duration, which is 1.15 to 1.46 s there [SpikingJelly's authors].

    Our choices:
    - The images are the first of each class in the batches. The images of CIFAR10-DVS are not
      known here.
    - The path is a square that stands on a corner, with four straight legs along the diagonals. A
      corner is 1 pixel of the image from the middle. The image moves along the path six times, at
      constant speed.
    - The image fills the view. Where it moves away, its outermost pixels are repeated.
    - Each colour channel is enlarged with cubic splines. A gamma of 2.2 turns values into light.
      Grey is the luminance of the light, not the mean of the values.
    - The stray light is set so that a recording has about 200,000 events.
    - The refresh of a screen and the blur of a lens are left out.
    - Every recording has its own sensor, of the default `simulator.Pixel`.

    A recording depends only on the seed, the size, its image and the image's place in the archive.
    Raises UserError for an archive that is missing, damaged or not CIFAR-10's, for a protocol_seed
    that is missing or not allowed, and for a split that would be empty.
    """
    check_protocol("sim-orbit-cifar10", protocol, protocol_seed)
    path = located(folder) / ARCHIVE
    items = _first_images(path, per_class, size, seed)
    return deal_images(
        items, str(path), protocol, protocol_seed, validation, (size, size), CIFAR_CLASSES
    )


def _first_images(path: Path, per_class: int, size: int, seed: int) -> list[Item]:
    """List the first images of each class, in the order of the batches, as recordings to make."""
    items: list[Item] = []
    room = dict.fromkeys(range(len(CIFAR_CLASSES)), per_class)
    with Archive(path) as archive:
        for member in archive.matching(BATCH):
            records = _records(archive.read(member.string), f"{path}: {member.string!r}")
            for index, (label, *_) in enumerate(records[:, :1].tolist()):
                if not room[label]:
                    continue
                room[label] -= 1
                name = f"{member.string.rpartition('/')[2]}[{index}]"
                group = label * IMAGES + (int(member["batch"]) - 1) * IN_BATCH + index
                image = records[index, 1:].reshape(3, SIDE, SIDE)
                items.append(Item(name, label, group, partial(_record, image, size, seed, group)))
    return items


def _records(content: bytes, where: str) -> NDArray[np.uint8]:
    """Return the records of a batch [N, RECORD]. Raises UserError if the batch is damaged."""
    count, rest = divmod(len(content), RECORD)
    if rest or not 0 < count <= IN_BATCH:
        raise UserError(
            f"{where} has {len(content)} bytes, not 1 to {IN_BATCH} images of {RECORD}: fetch the "
            "archive again"
        )
    records = np.frombuffer(content, np.uint8).reshape(count, RECORD)
    if records[:, 0].max() >= len(CIFAR_CLASSES):
        raise UserError(
            f"{where} has an image of class {records[:, 0].max()}, but classes are 0 to "
            f"{len(CIFAR_CLASSES) - 1}: fetch the archive again"
        )
    return records


def _record(image: NDArray[np.uint8], size: int, seed: int, group: int) -> NDArray[np.void]:
    """Simulate the events [E] of one image [3, SIDE, SIDE] that moves along the path."""
    movie = _views(_screen(image), size)
    times = np.linspace(0, DURATION, len(movie))
    (events,) = simulate(movie[None], times, [np.random.SeedSequence(seed, spawn_key=(group,))])
    return events


def _screen(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the luminance of the screen and of a border of RADIUS points around it."""
    from scipy import ndimage

    luminance = np.full((SCREEN + 2 * RADIUS, SCREEN + 2 * RADIUS), STRAY, dtype=np.float32)
    for share, channel in zip(LUMINANCE, image, strict=True):
        values = np.pad(channel.astype(np.float32) / 255, RADIUS // ENLARGED, mode="edge")
        for zoom in ((ENLARGED, 1), (1, ENLARGED)):  # one axis at a time is much faster
            values = ndimage.zoom(values, zoom, order=3, mode="nearest", grid_mode=True)
        luminance += share * np.clip(values, 0, 1) ** GAMMA
    return luminance


def _views(screen: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return the luminance at each pixel [S, size, size], for S positions along the path."""
    from scipy import ndimage

    pitch = SCREEN // size
    # each point becomes the mean of the pitch x pitch points to its right and below
    seen = ndimage.uniform_filter(screen, pitch, origin=-(pitch // 2))
    places = RADIUS + np.concatenate([np.tile(_loop(), (LOOPS, 1)), _loop()[:1]])
    return np.stack([seen[y : y + SCREEN : pitch, x : x + SCREEN : pitch] for x, y in places])


def _loop() -> NDArray[np.int64]:
    """Return the positions [S, 2] of one turn along the path, without the return to the first."""
    corners = RADIUS * np.array([(1, 0), (0, 1), (-1, 0), (0, -1), (1, 0)])
    steps = RADIUS // STEP
    return np.concatenate(
        [
            start + (end - start) * np.arange(steps)[:, None] // steps
            for start, end in pairwise(corners)
        ]
    )
