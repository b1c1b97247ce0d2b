"""A class of the user's as a whole network, with layers and a readout of its own."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import model_validator

from farback.cells.module import ModuleCell

# Fields of a trial that describe a cell and what surrounds it
OF_CELLS = (
    *("block", "init", "encoder", "hidden", "match", "depth", "bias", "bidirectional", "initial_state"),
    *("dropout", "recurrent_dropout"),
)
NOT_SHOWN = "and `network` is a whole network, of which only inputs, answers and a state are known"


class ModuleNetwork(ModuleCell):
    """A whole network of your own, with its own readout: `network: {name: module, class: "mine:MyModel"}`.

    It takes the place of `cell` and of everything around a cell. It is made as MyModel(inputs, outputs, **with), or
    with the names input_size and output_size if it has them, and called as (x_BTI[, state]) -> (answer_BTO[, state]).

    Attributes:
        class: MODULE:CLASS, a file of the project or an installed package.
        with: further arguments of the class, such as its number of hidden units.
    """

    answers: ClassVar[bool] = True

    name: Literal["module"] = "module"

    @model_validator(mode="before")
    @classmethod
    def _class_is_given(cls, values: Any) -> Any:
        if isinstance(values, dict) and "class" not in values:
            raise ValueError('needs a class, such as {name: module, class: "mine:MyModel"}')
        return values


class NetworkError(ValueError):
    """A setting that is beside a network and does not apply to it.

    Attributes:
        field: the setting, a field of a trial.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
