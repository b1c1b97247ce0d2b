"""Answer from sequences in a file: arrays, or a table with a row for each step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, PrivateAttr, model_validator
from typing_extensions import override

from farback.tasks.base import Batch, Lags, Task
from farback.tasks.support.answers import Answer, Chance, Rung
from farback.tasks.support.data_files import Columns, Layout, content_digest, located
from farback.tasks.support.data_sets import PARTS, DataSet, Part, data_set
from farback.tasks.support.memoryless import has_memory, memoryless_chance


class Facts(NamedTuple):
    """What is known of a file's data without holding them; `varying` and the lags are those of `Task`."""

    inputs: int
    answer: Answer
    has_lags: bool
    least: int
    longest: int
    varying: bool
    text: str


class Table(Task):
    """Takes sequences, answers and optionally the lags of answers from a file of your own.

    `file` is relative to the project's folder. It is one of:

    - an `.npz` file with the arrays x (N, T, I) and y: one answer for each sequence (N,), asked at its last step, or
      one for each step (N, T); bits have one more axis. Optional: mask (N, T), which is 1 at steps that are asked (with
      one answer for each sequence, at steps that it has: what follows the last 1 is padding); lag (N, T), the lag that
      each answer needs, -1 where nothing is asked; groups (N,); time (N,).
    - a `.csv` or `.parquet` file, or a folder of them, with a row for each step; `columns` names the columns. Each
      value of `columns.sequence`, or without it each file, is one sequence.

    `window` cuts every run of that many rows out of each sequence. The answer is the target `ahead` rows after the last
    row of the window (after each of its rows if `asked` is `every`).

    `answers` are classes (texts, or at most 20 different whole numbers), numbers or bits, as stated or `inferred` from
    their values. `asked` is the `end` of a sequence or `every` step; by default a window is asked at its end, and a
    sequence too if its target is the same in all rows. With `missing: carry` an input keeps its last known value, or is
    the mean if there is none yet, and a row without a target asks nothing; `refuse` makes any missing value an error.
    With `scale: standard` inputs and numbers are in standard deviations of the training part.

    Training, validation and testing use disjoint parts of the file, 60, 20 and 20 %, the same for all seeds. `split`
    assigns whole sequences at random (`index`), whole groups at random (`group`), or the earliest to training and the
    latest to testing (`time`). Each window, with its answer, lies within one part. By default groups decide if the file
    has them, else time if it is known, else the index.

    Example (long.csv; columns: {sequence: person, step: day, target: ill}; asked at the end, as `ill` is constant):

        person,day,pulse,ill
        a,1,61,no
        a,2,75,no      -> after the steps 61, 75: no
        b,1,80,yes     -> after the step 80: yes

    Lags: with the array lag, `lag` is the longest that is asked in training, by default the longest of the file, and
    measures use answers by their lags. Without it nothing is known about lags: `lag` is the number of steps before the
    end of the longest sequence, and there is one score and no horizon.

    Chance: the lowest loss, and the highest accuracy, of models without memory on the held-out part itself: its best
    constant, and a linear model and boosted trees that are fitted to the training part and see the present input, the
    number of the step and the lag. A perfect score may be out of reach, as real data are partly random.

    Source: scikit-learn's Ridge, LogisticRegression and HistGradientBoosting as models without memory.
    """

    file: Annotated[str, Field(min_length=1)]
    columns: Columns | None = None
    window: Annotated[int, Field(ge=2, le=100_000)] | None = None
    ahead: Annotated[int, Field(ge=0, le=100_000)] = 1
    asked: Literal["end", "every"] | None = None
    answers: Literal["inferred", "classes", "numbers", "bits"] = "inferred"
    tolerance: Annotated[float, Field(gt=0)] = 0.5
    split: Literal["index", "group", "time"] | None = None
    missing: Literal["refuse", "carry"] = "refuse"
    scale: Literal["standard", "none"] = "standard"
    lag: Annotated[int, Field(ge=-1, le=100_000)] = -1  # -1: the longest of the file

    lag_of_data: ClassVar[bool] = True
    _part: Part = PrivateAttr(default="train")
    _path: Path = PrivateAttr()
    _digest: str = PrivateAttr()
    _facts: Facts = PrivateAttr()

    @model_validator(mode="after")
    def _lag_is_possible(self) -> Self:
        """Read the file, whose data give the lag and must leave something to remember."""
        self._path = located(self.file)
        self._digest = content_digest(self._path)
        self._facts = _facts(self._data)
        longest = self._facts.longest
        if self.lag < 0:
            self.__dict__["lag"] = longest  # because the record is frozen
        if not self.least <= self.lag <= longest:
            if not self.has_lags:
                fixed = f"leave lag out (it is {longest}, the steps before the end of the longest sequence)"
                raise ValueError(
                    f"lag is {self.lag}, but {self.file} does not say which lags its answers need: {fixed}"
                )
            raise ValueError(f"lag is {self.lag}, and the lags in {self.file} are from {self.least} to {longest}")
        chance = memoryless_chance(self._path, self._digest, self._layout, "test", None)
        if not has_memory(self.answer, chance):
            raise ValueError(
                f"a model without memory answers {self.file} already (accuracy {chance.accuracy:.6g}, loss "
                f"{chance.loss:.3g}): there is nothing to remember; is the target an input of its own step?"
            )
        return self

    @property
    def _layout(self) -> Layout:
        return Layout(**{name: getattr(self, name) for name in Layout._fields})

    @property
    def _data(self) -> DataSet:
        return data_set(self._path, self._digest, self._layout)

    @property
    @override
    def has_lags(self) -> bool:
        return self._facts.has_lags

    @property
    @override
    def least(self) -> int:
        """The smallest lag that some answer of each part does not exceed; without known lags the only possible one."""
        return self._facts.least

    @property
    @override
    def mixes(self) -> bool:
        return self._facts.has_lags

    @property
    @override
    def inputs(self) -> int:
        return self._facts.inputs

    @property
    @override
    def answer(self) -> Answer:
        return self._facts.answer

    @property
    @override
    def varying(self) -> bool:
        return self._facts.varying

    @override
    def digested(self) -> dict[str, Any]:
        """The fields, with a digest of the file's content in place of its path."""
        values = super().digested()
        del values["file"]
        return {**values, "source": self._digest}

    @override
    def held_out(self, purpose: Literal["validation", "test"]) -> Self:
        """The same task on another part of the file."""
        return self.model_copy()._as(purpose)

    @override
    def at(self, lag: int) -> Self:
        return super().at(lag)._as(self._part)

    def _as(self, part: Part) -> Self:
        self._part = part
        return self

    @override
    def sample(self, rng: np.random.Generator, size: int, lag_B: Lags | None = None) -> Batch:
        """Draw sequences of the part, none again before all were drawn; with mixed lags, with replacement."""
        mixed, lag_B = lag_B is not None, self.lags(size, lag_B)
        if not mixed:
            return self._data.batch(_drawn(rng, self._data.own(self._part, self.lag), size), lag_B)
        choice = {int(lag): self._data.own(self._part, int(lag)) for lag in np.unique(lag_B)}
        n_B = [rng.choice(choice[int(lag)]) for lag in lag_B]
        return self._data.batch(np.array(n_B, dtype=np.int64), lag_B)

    @override
    def sample_exact(self, rng: np.random.Generator, size: int) -> Batch:
        """As `sample`, of sequences with an answer that needs exactly the lag; of all if there are none."""
        own_N = self._data.own(self._part, self.lag, exact=True)
        if not len(own_N):
            return self.sample(rng, size)
        return self._data.batch(_drawn(rng, own_N, size), np.full(size, self.lag))

    @override
    def chance(self) -> Chance:
        """The best scores without memory on the part (for training: on the test part), at the lag if lags are known."""
        part: Part = "test" if self._part == "train" else self._part
        return memoryless_chance(self._path, self._digest, self._layout, part, self.lag if self.has_lags else None)

    @override
    def ladder(self) -> list[Rung]:
        """Chance, and every answer right."""
        chance = self.chance()
        return [Rung("nothing", chance.accuracy, chance.loss), Rung("everything", 1.0, 0.0)]

    @override
    def about(self) -> str:
        return (
            f"{self._facts.text} Chance is that of models without memory on the test part: its best constant, a linear "
            f"model and boosted trees, both fitted to the training part. SHA-256 of the content: {self._digest}."
        )


def _facts(data: DataSet) -> Facts:
    count_N = data.asked(np.arange(len(data.first_N)))[2].sum(1)
    varying = bool((count_N != count_N[0]).any())
    about = (int(data.input_RI.shape[1]), data.answer)
    if data.lag_R is None:
        return Facts(*about, False, data.steps - 1, data.steps - 1, varying, data.text)
    smallest = [int(data.lag_R[_asked_rows(data, part)].min()) for part in PARTS]
    longest = int(data.lag_R[_asked_rows(data, None)].max())
    return Facts(*about, True, max(smallest), longest, True, data.text)


def _asked_rows(data: DataSet, part: Part | None) -> Lags:
    row_NT, _, asked_NT = data.asked(np.arange(len(data.first_N)) if part is None else data.own(part))
    return row_NT[asked_NT]


def _drawn(rng: np.random.Generator, own_N: Lags, size: int) -> Lags:
    """`size` of these sequences, in random order; each once before any is drawn again."""
    rounds = -(-size // len(own_N))
    return np.concatenate([rng.permutation(own_N) for _ in range(rounds)])[:size]
