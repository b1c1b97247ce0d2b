"""Reads sequences from the arrays of an .npz file.

Shapes: N sequences, T steps of the longest, I inputs, C bits.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from farback.tasks.support.data_files import Array, Steps

ARRAYS = ("x", "y", "mask", "lag", "groups", "time")


def read_arrays(path: Path) -> Steps:
    """The arrays of an .npz file: x (N, T, I), y, and optionally mask, lag, groups, time.

    Raises:
        ValueError: an array is missing, or has a wrong shape, type or value.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except Exception as error:  # a damaged archive raises errors of many types
        raise ValueError(f"{path} cannot be read as arrays without Python objects: {error}") from None
    if not {"x", "y"} <= set(arrays) <= set(ARRAYS):
        allowed = f"needs x and y, and may have {', '.join(ARRAYS[2:])}"
        raise ValueError(f"{path} has the arrays {', '.join(arrays)}; it {allowed}")
    x_NTI, y = arrays["x"], arrays["y"]
    x_NTI = x_NTI[..., None] if x_NTI.ndim == 2 else x_NTI
    if x_NTI.ndim != 3 or not x_NTI.size or x_NTI.dtype.kind not in "biuf":
        raise ValueError(f"{path}: x must hold numbers of shape (N, T, I), got {x_NTI.dtype} {arrays['x'].shape}")
    N, T, inputs = x_NTI.shape
    for name, shape in (("mask", (N, T)), ("lag", (N, T)), ("groups", (N,)), ("time", (N,))):
        if name in arrays and arrays[name].shape != shape:
            raise ValueError(f"{path}: {name} must have the shape {shape}, got {arrays[name].shape}")
    each_step = y.ndim >= 2 and y.shape[1] == T
    if y.ndim > 3 or y.shape[0] != N or (y.ndim == 3 and not each_step):
        raise ValueError(f"{path}: y must have the shape ({N},), ({N}, {T}), ({N}, C) or ({N}, {T}, C), got {y.shape}")
    if y.dtype.kind not in "biufUS":
        raise ValueError(f"{path}: y must hold numbers or texts, got {y.dtype}")
    mask_NT = _mask(path, arrays.get("mask"), (N, T))
    lag_NT = arrays.get("lag")
    if lag_NT is not None:
        _check_lags(path, lag_NT)
        mask_NT = mask_NT & (lag_NT >= 0)
    if not mask_NT.any(1).all():
        raise ValueError(f"{path}: sequence {int(np.argmin(mask_NT.any(1)))} has no step with an answer")
    steps_N = T - np.argmax(mask_NT[:, ::-1], axis=1)
    asked_NT = mask_NT if each_step else np.arange(T) == steps_N[:, None] - 1
    y_NTC = (y if each_step else np.broadcast_to(y[:, None], (N, T, *y.shape[1:]))).reshape(N, T, -1)
    inside_NT = np.arange(T) < steps_N[:, None]  # what follows the last answer is padding
    x_NTI = np.where(inside_NT[..., None], x_NTI, 0).astype(np.float64)
    _check_finite(path, x_NTI, y, asked_NT if each_step else None)
    return Steps(
        input_RI=x_NTI.reshape(N * T, inputs),
        target_RC=y_NTC.reshape(N * T, -1),
        asked_R=asked_NT.ravel(),
        lag_R=None if lag_NT is None else lag_NT.astype(np.int64).ravel(),
        first_N=T * np.arange(N),
        steps_N=steps_N,
        group_N=arrays.get("groups"),
        time_N=arrays.get("time"),
        whole=not each_step,
        names=tuple(f"x[:, :, {i}]" for i in range(inputs)),
    )


def _mask(path: Path, mask_NT: Array | None, shape: tuple[int, int]) -> NDArray[np.bool_]:
    if mask_NT is None:
        return np.ones(shape, dtype=bool)
    if not np.isin(mask_NT, (0, 1)).all():
        raise ValueError(f"{path}: mask must hold zeros and ones (or False and True)")
    return mask_NT.astype(bool)


def _check_lags(path: Path, lag_NT: Array) -> None:
    T = lag_NT.shape[1]
    wrong_NT = (lag_NT != np.floor(lag_NT)) | (lag_NT < -1) | (lag_NT > np.arange(T))
    if wrong_NT.any():
        n, t = np.argwhere(wrong_NT)[0]
        message = f"it must be a whole number from 0 to {t}, the steps before, or -1 where nothing is asked"
        raise ValueError(f"{path}: lag[{n}, {t}] is {lag_NT[n, t]}; {message}")


def _check_finite(path: Path, x_NTI: Array, y: Array, asked_NT: Array | None) -> None:
    """Raise ValueError for the first value that is not finite, with its place; `asked_NT` is for an answer a step."""
    wrong_NTI = ~np.isfinite(x_NTI)
    if wrong_NTI.any():
        place = np.argwhere(wrong_NTI)[0]
        raise ValueError(_not_finite(path, "x", place, x_NTI[tuple(place)]))
    if y.dtype.kind != "f":
        return
    wrong = ~np.isfinite(y)
    if asked_NT is not None:
        wrong &= asked_NT.reshape(*asked_NT.shape, *[1] * (y.ndim - 2))
    if wrong.any():
        place = np.argwhere(wrong)[0]
        raise ValueError(_not_finite(path, "y", place, y[tuple(place)]))


def _not_finite(path: Path, name: str, place: Array, value: float) -> str:
    where = ", ".join(map(str, place))
    allowed = "only steps after the last 1 of mask may be missing" if name == "x" else "mask says which answers exist"
    return f"{path}: {name}[{where}] is {value}: {allowed}"
