"""Frames on disk as samples, for all that runs networks."""

from functools import cache

import torch

from hetspike.atomic import check
from hetspike.data.samples import Samples, StoredFrames
from hetspike.errors import UserError

torch.set_num_threads(1)
# float32 means float32: of itself a GPU takes fewer bits, and another algorithm each time
torch.backends.cudnn.allow_tf32 = False
torch.backends.cudnn.deterministic = True


@cache  # gigabytes are hashed once a job
def stored_frames(path: str) -> StoredFrames:
    check(path)
    with open(path, "rb") as file:
        return StoredFrames(file, path)


def read_samples(path: str, gpu: int = 0) -> Samples:
    if gpu and not torch.cuda.is_available():
        raise UserError(
            "a GPU is here, but torch does not see it: install its build for this GPU, or set "
            "`device: cpu`"
        )
    frames = stored_frames(path)
    return Samples(frames, frames.labels, "cuda" if gpu else "cpu")
