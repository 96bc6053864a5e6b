"""The recordings that networks and the linear classifier are tested on."""

import numpy as np
import pandas as pd
from framed import stored_frames
from reading import read_arrays


def test_recordings(frames: str, events: str) -> pd.DataFrame:
    """recording, group and label of each test recording."""
    labels = stored_frames(frames).labels.numpy()
    groups = read_arrays(events, "groups")["groups"]
    return pd.DataFrame({"recording": np.arange(len(labels)), "group": groups, "label": labels})
