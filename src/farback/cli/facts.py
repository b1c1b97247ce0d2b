"""What a plug-in comes to at a size: shapes, counts, chance level, as plain values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from farback.cells.base import Cell
    from farback.encoders.base import Encoder
    from farback.inits.base import Init
    from farback.tasks.base import Task

Facts = dict[str, Any]


def of(package: str, one: Any, inputs: int, hidden: int) -> Facts:
    """The facts of a plug-in of any kind; of a measure there are none."""
    kinds: dict[str, Callable[[], Facts]] = {
        "cells": lambda: of_cell(one, inputs, hidden),
        "tasks": lambda: of_task(one),
        "inits": lambda: of_init(one),
        "encoders": lambda: of_encoder(one, inputs),
    }
    return kinds[package]() if package in kinds else {}


def of_cell(cell: Cell, inputs: int, hidden: int) -> Facts:
    """Label, gates, how it is computed, shapes and counts of one layer.

    Raises:
        UserError: the cell cannot have such a layer.
    """
    from farback.component import UserError
    from farback.network import Architecture

    try:
        cell.check(hidden, inputs)
    except ValueError as error:
        raise UserError(f"{error}; see --hidden and --inputs") from None
    layer = Architecture(cell, inputs, hidden, outputs=0)
    return {
        "label": cell.label(),
        "gates": list(cell.gates),
        "keeps": cell.keep,
        "writes": cell.write,
        "kernel": cell.kernel,
        "inputs": inputs,
        "hidden": hidden,
        "shapes": {name: list(shape) for name, shape in cell.parameters(inputs, hidden).items()},
        "frozen": list(cell.frozen),
        **layer.counts,
    }


def of_task(task: Task) -> Facts:
    """Inputs, outputs, length, chance and ladder at the task's lag."""
    import numpy as np

    from farback.tasks.answers import skill

    chance = task.chance()
    ladder = [
        {"remembered": rung.remembered, "accuracy": rung.accuracy, "loss": rung.loss, "skill": skill(rung.loss, chance)}
        for rung in task.ladder()
    ]
    return {
        "inputs": task.inputs,
        "answer": str(task.answer),
        "outputs": task.answer.outputs,
        "lag": task.lag,
        "steps": task.sample(np.random.default_rng(0), 1).input_BTI.shape[1],
        "smallest_lag": task.least,
        "mixes": task.mixes,
        "chance": {"accuracy": chance.accuracy, "loss": chance.loss},
        "ladder": ladder,
    }


def of_init(init: Init) -> Facts:
    """The cells that it goes with, at their defaults."""
    from farback import cells
    from farback.network import Architecture

    fits, refuses = [], []
    for cell in (member() for member in cells.base.FAMILY.members()):
        try:
            Architecture(cell, 8, 32, 0).check(init)
            fits.append(cell.name)
        except ValueError:
            refuses.append(cell.name)
    return {"label": init.label(), "fits": fits, "refuses": refuses}


def of_encoder(encoder: Encoder, inputs: int) -> Facts:
    """Shapes at a number of inputs."""
    shapes = {name: list(shape) for name, shape in encoder.parameters(inputs).items()}
    return {"inputs": inputs, "width": encoder.width(inputs), "shapes": shapes, "flops": encoder.flops(inputs)}
