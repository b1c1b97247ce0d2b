"""Histories and fresh frames with known numbers."""

import numpy as np
import pandas as pd


def history(values, group="LSTM", states=None, **more):
    """A search with these values in this order."""
    count = len(values)
    states = states or ["complete"] * count
    return pd.DataFrame(
        {
            "group": group,
            "number": range(count),
            "state": states,
            "counted": [state in ("complete", "pruned", "failed") for state in states],
            "value": [value if state == "complete" else np.nan for value, state in zip(values, states, strict=True)],
            "param.optimizer.lr": [10.0 ** -(1 + at % 4) for at in range(count)],
            "keys": [f"{group}-{at}-a {group}-{at}-b" for at in range(count)],
            "started": pd.Timestamp("2026-11-25"),
            "seconds": 2.0,
            "reason": "",
            **more,
        }
    )


def fresh(values, group="LSTM", setting="tuned", number=0, **more):
    """A setting trained again, a value for each seed."""
    return pd.DataFrame(
        {
            "group": group,
            "setting": setting,
            "number": number,
            "seed": range(1000, 1000 + len(values)),
            "value": np.asarray(values, float),
            "diverged": False,
            **more,
        }
    )


def joined(*parts):
    return pd.concat(parts, ignore_index=True)
