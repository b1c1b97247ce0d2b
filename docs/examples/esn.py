"""How far back does an echo state network of reservoirpy remember? Used by docs/arrays.md.

Needs `pip install reservoirpy` (0.4.2 was used); the network trains outside of farback, which gives data and scores.
"""

from reservoirpy import ESN

from farback import stats, tasks


def skill(lag: int, units: int, seed: int) -> float:
    """R2 with which a new network repeats the number of `lag` steps ago."""
    train = tasks.arrays("delay", lag, count=200, seed=seed)
    test = tasks.arrays("delay", lag, count=100, seed=seed, purpose="test")
    esn = ESN(units=units, sr=0.95, input_scaling=0.1, ridge=1e-6, seed=seed)
    esn.fit(train["x"], train["y"][..., None], warmup=lag)  # the first `lag` steps ask for nothing
    esn.reset()
    return tasks.score("delay", esn.run(test["x"]), test, lag=lag).skill


print("R2 of a network of 100 units:", {lag: round(skill(lag, 100, seed=0), 2) for lag in (5, 10, 20, 40)})
for units in (50, 100, 200):
    search = stats.ThresholdSearch(2, 160, precision=0.1)
    count = 0
    while not search.done:
        for lag in search.ask(4):
            search.tell(lag, skill(lag, units, seed=count) >= 0.5)
            count += 1
    found = search.result()
    print(f"{units} units: {found.estimate:.0f} steps ({found.low:.0f} to {found.high:.0f}), {count} networks")
