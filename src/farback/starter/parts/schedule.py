"""A schedule of this project: `schedule: starter` in a config; `farback show schedule starter` prints it."""

from typing import Annotated

from pydantic import Field

from farback.schedules.base import Schedule


class Starter(Schedule):
    """The whole learning rate at first, and from a share of the updates on a smaller one.

    The rate is lr before the share `after` of the updates, and lr * drop from there on.

    Every schedule has the field `warmup`: at first the rate rises in equal steps for so many updates.
    """

    # Parameters for configs: `schedule: {name: starter, after: 0.8, drop: 0.01}`
    after: Annotated[float, Field(gt=0, lt=1)] = 0.5
    drop: Annotated[float, Field(gt=0, lt=1)] = 0.1

    def decay(self, done: float) -> float:
        """The multiple of `lr` after the share `done` of the updates after warm-up, from 0 to less than 1."""
        return 1.0 if done < self.after else self.drop
