"""Does a network forget a cue with time, or because of the inputs that follow it?

Networks are trained at one lag each and must keep a cue of 1, 3 or 5 bits. Between the cue and the answer are blank
steps (time alone), distractors from another alphabet, or distractors that only a flag distinguishes from the cue.
"""

import pandas as pd

from farback import plots, tables
from farback.report import Analysis, Figure, Ladder, Table, conditions, held, listed, metrics
from farback.report.sweep_report import shown

PLACE = 7  # in results/index.html: the order of the questions in README
PREDICTION = (
    "Known beforehand, from `demo` (4 symbols, distractors of their own alphabet, 1000 updates): the default LSTM "
    "learns lag 10 and not 20; the orthogonal tanh network learns 80 in 3 of 5 seeds. Predicted: (1) for the default "
    "LSTM time is what counts: its gradient vanishes through blank steps as well, so that blank reaches at most one "
    "tested lag farther than distractors do, at every load. (2) For the orthogonal tanh network distractors count: "
    "over blank steps it reaches at least as far as over any distractors, at every load, and 80 with 2 symbols. (3) "
    "Distractors that look like the cue are worst: no network reaches farther over them than over blank steps. (4) "
    "Load shortens the reach: with 32 symbols no network reaches farther than with 2, over the same distractors."
)
REFUTED_BY = (
    "A default LSTM that blank steps take two tested lags farther than distractors; an orthogonal tanh network that "
    "distractors take farther than blank steps, or that fails at 80 over blank steps with 2 symbols; a network that "
    "similar distractors help; a network that 32 symbols take farther than 2."
)
BY = ["label", "task.symbols", "task.filler"]
TANH, LSTM = "RNN tanh, orthogonal", "LSTM"
LAGS = (0, 5, 10, 20, 40, 80)


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Horizons by load and kind of distractor, and maps of success by lag, load and kind of distractor."""
    horizons = tables.trainability(scores, BY)
    success = tables.success_by_lag(scores, BY)
    parts: list[Table | Figure] = [
        Table("horizons", "How far back, by load and distractor", horizons, shown(horizons, BY, success)),
        Figure(
            "interference",
            "Decay against interference: lag, load and distractor",
            plots.interference(success, "task.symbols", "task.filler"),
            success,
            "How many seeds learn each lag (columns) at each load (rows): a map for each network and distractor.",
        ),
    ]
    two = horizons[horizons["task.symbols"] == horizons["task.symbols"].min()]
    headline = (
        f"With the smallest load, half of fresh trainings succeed up to these lags ({conditions(scores)}): "
        f"{listed(two, ['label', 'task.filler'])}."
    )
    return Analysis(headline, verdict(success), parts, *metrics({"trainability": horizons}))


def verdict(success: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction, about the last tested lag that half of the seeds learn."""
    half = success.assign(passed=success["lag"].where(success["isotonic"] >= 0.5, 0))
    reach: dict[tuple[str, int, str], int] = {}
    for *group, passed in half.loc[:, [*BY, "passed"]].itertuples(index=False, name=None):
        key = (group[0], group[1], group[2])
        reach[key] = max(passed, reach.get(key, 0))
    loads = sorted({load for _, load, _ in reach})
    others = ("noise", "same")
    far = {
        f"{load} symbols": (reach[LSTM, load, "blank"], max(reach[LSTM, load, other] for other in others))
        for load in loads
    }
    near = all(LAGS.index(blank) - LAGS.index(other) <= 1 for blank, other in far.values())
    lines = [held(near, "blank steps take the default LSTM at most one tested lag farther", _pairs(far))]
    tanh = {
        f"{load} symbols": (reach[TANH, load, "blank"], max(reach[TANH, load, other] for other in others))
        for load in loads
    }
    true = all(blank >= other for blank, other in tanh.values()) and reach[TANH, min(loads), "blank"] >= 80
    lines.append(held(true, "the orthogonal tanh network reaches farthest over blank steps, 80 of them", _pairs(tanh)))
    names = sorted({label for label, _, _ in reach})
    helped = [
        f"{name}, {load} symbols"
        for name in names
        for load in loads
        if reach[name, load, "same"] > reach[name, load, "blank"]
    ]
    lines.append(held(not helped, "similar distractors never help", ", ".join(helped)))
    heavier = [
        f"{name}, {filler}"
        for name in names
        for filler in ("blank", *others)
        if reach[name, max(loads), filler] > reach[name, min(loads), filler]
    ]
    lines.append(held(not heavier, "load never takes a network farther", ", ".join(heavier)))
    return lines


def _pairs(pairs: dict[str, tuple[int, int]]) -> str:
    return ", ".join(f"{name}: {blank} blank, {other} otherwise" for name, (blank, other) in pairs.items())
