"""Which recurrent cell remembers best when every one has the same number of parameters, or the same state?

Six problems need different kinds of memory: nback (a buffer), copy (a list, in order), adding (two real numbers among
many), group (a state that every input changes), induction (a symbol that only its context marks) and selective_copy
(a list among blanks). Each network is trained at one lag of each, at the better of two learning rates, chosen on
seeds that are not counted. On a seventh problem, recall, lags are chosen during the run: how far back does each
network learn to look, and how many numbers does it carry for that?
"""

from dataclasses import replace
from typing import Any

import pandas as pd

from farback import plots, tables
from farback.report import Analysis, Figure, Ladder, Table, above, all_of, at_least, conditions, exact, held, metrics
from farback.report.claim_scripts import Middle, mean_horizon, share
from farback.report.horizon_texts import summarised
from farback.report.measure_parts import ranked
from farback.report.sweep_report import shown, sized, tuning

PLACE = 10  # in results/index.html: the order of the questions in README

PREDICTION = (
    "Written before any of these networks was trained on these settings. Known were the page of before, which "
    "compared 22 cells on four other problems, the page state_tracking, and a pilot of one seed of GRU, LRU, "
    "attention and DeltaNet with negative eigenvalues on group, induction, selective_copy and copy. Both at equal "
    "parameters and at equal state: GRU stands above minGRU, whose gates do not see the state; no network succeeds "
    "with every seed on all six problems within 600 updates; the memoryless control succeeds nowhere. At equal state "
    "the tanh RNN stands above the echo state network, the same recurrence untrained. The six cells that are first at "
    "equal parameters are not the same as at equal state: one of the gated cells of before 2020, which have many more "
    "parameters for a state of 96 numbers, is first there. Products of S3 are not learned by any linear recurrence "
    "with positive eigenvalues, and are learned by GRU. Attention without a window learns to look back over all 128 "
    "steps; with a window of 16 it looks back 15 at most, and the TCN 14. More state is not a longer horizon: at "
    "equal parameters the median horizon of cells with a matrix state is not above that of cells with a diagonal one."
)
REFUTED_BY = (
    "minGRU above GRU, or the echo state network above the tanh RNN, in the mean over problems; a network with all 30 "
    "successes; a success of the memoryless control, which would mean that a task leaks its answer; a cell of after "
    "2020 that is first at equal state; the same six cells first in both; a linear recurrence with positive "
    "eigenvalues that learns S3 with half of its seeds, or a GRU that does not; attention with a horizon below 128, a "
    "success with a window of 16 at lag 16 or beyond, or with a TCN at 15; matrix states that reach farther in the "
    "median."
)
BY = ["cell"]
BUDGETS = {"parameters": "equal parameters", "state": "equal state"}
FIRST, NAMED = 6, 3  # places in the verdict, and in the headline
LONGEST = 128  # steps: the largest lag asked
LIMITS = {"attention (window 16)": 16, "TCN": 15}  # steps that one layer sees, the present one included
CONTROLS = ("memoryless", "leaky 0.9", "shift_register", "echo state")
OLD_GATED = ("LSTM", "GRU", "JANET", "MGU", "UGRNN")
POSITIVE = ("minGRU", "minLSTM", "RG-LRU", "Mamba", "Mamba-2", "RetNet", "GLA", "HGRN2", "mLSTM", "DeltaNet")
MATRIX, DIAGONAL = "matrix state", "diagonal state space"
FAMILIES = {  # the panels of the figure, with the names of their cells
    "simple recurrence": ("elman", "indrnn", "antisymmetric", "exprnn", "cornn", "echo_state"),
    "gated": ("lstm", "gru", "janet", "mgu", "ugrnn", "slstm", "lem", "cfc"),
    "gates without the state, or latches": ("mingru", "minlstm", "rg_lru", "brc", "nbrc", "bmru"),
    DIAGONAL: ("lru", "s4d", "s5", "linoss", "d_linoss", "mamba"),
    MATRIX: ("mamba2", "retnet", "gla", "hgrn2", "mlstm", "deltanet", "gated_deltanet", "rwkv7", "m2rnn"),
    "attention and controls": ("attention", "tcn", "shift_register", "leaky_integrator", "memoryless"),
}


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """The rankings for both budgets, the horizons against the state, and whether the prediction held."""
    family = {name: title for title, names in FAMILIES.items() for name in names}
    scores = scores.assign(family=scores["cell.name"].map(family), budget=scores["match"].str.split().str[0])
    far = scores["task"] == "recall"
    parts: list[Table | Figure] = []
    rankings, pairs, sentences = {}, {}, []
    values: dict[str, float] = {}
    for budget, title in BUDGETS.items():
        if (own := scores[~far & (scores["budget"] == budget)]).empty:
            continue
        added = [
            replace(part, name=f"{part.name}_{budget}", caption=f"{part.caption}, at {title}")
            for part in ranked(own, BY)
        ]
        frames = {part.name: part.frame for part in added}
        ranking, pairs[budget] = frames[f"ranking_{budget}"], frames[f"improvement_{budget}"]
        rankings[budget] = ranking.assign(place=range(1, len(ranking) + 1)).set_index("cell")
        parts += added
        best = ", ".join(_mean(row) for row in ranking.head(NAMED).to_dict("records"))
        terms = conditions(own.drop(columns="task"))
        sentences.append(f"{len(ranking)} networks at {title} ({terms}): the mean skill is highest for {best}.")
        values |= {f"mean/{budget}/{row['cell']}": float(row["mean"]) for row in ranking.to_dict("records")}
    if sentences:
        problems = scores.loc[~far, "task"].nunique()
        sentences[0] = f"On {problems} problems, " + sentences[0]
    lines = [line for budget in rankings for line in ranks(rankings[budget], pairs[budget], BUDGETS[budget])]
    if set(rankings) == set(BUDGETS):
        lines += orders(*rankings.values())
    lines += tracking(scores[scores["task"] == "group"])
    tags: dict[str, str] = {}
    if far.any():
        horizons = tables.horizon_by_state(scores[far], ["cell", "budget", "family"])
        horizons = horizons.sort_values("family", key=lambda titles: titles.map(list(FAMILIES).index), kind="stable")
        success = tables.success_by_lag(scores[far], ["cell", "budget"])
        parts += reaching(horizons, success)
        sentences.append(
            f"The lag of recall that half of fresh trainings learn: {summarised(horizons, ['cell', 'budget'])}."
        )
        lines += looking(horizons, success)
        more, tags = metrics({"trainability": horizons.drop(columns="family")})
        values |= more
    parts += [*tuning(scores, ["cell", "budget", "task"]), *sized(scores, ["cell", "budget"])]
    return Analysis(" ".join(sentences), lines, parts, values, tags)


def reaching(horizons: pd.DataFrame, success: pd.DataFrame) -> list[Table | Figure]:
    """The table of horizons, and their figure against the size of the state."""
    texts = shown(horizons, ["cell", "budget"], success)
    texts.insert(2, "numbers carried", [f"{size:.0f}" for size in horizons["state"]])
    caption = "How far back: the lag of recall at which half of fresh trainings succeed, and the state that carries it"
    alt = (
        "A panel for each family of cells: the horizon in steps against the numbers carried from step to step; the "
        "state of attention without a window grows with the lag, along the dotted line."
    )
    drawing = plots.horizon_by_state(horizons, "family", "budget")
    return [
        Table("horizons", caption, horizons, texts),
        Figure("horizon_by_state", "The horizon against the size of the state", drawing, horizons, alt),
    ]


def ranks(ranking: pd.DataFrame, pairs: pd.DataFrame, title: str) -> list[str]:
    """The verdict on the ranking of one budget, with one line for each prediction."""
    lines = []
    for a, b in (("GRU", "minGRU"), ("RNN tanh", "echo state")):
        if {a, b} <= set(ranking.index):
            (pair,) = pairs[(pairs["a"] == a) & (pairs["b"] == b)].to_dict("records")
            says = (
                f"{ranking['mean'][a]:.2f} against {ranking['mean'][b]:.2f}; a seed of {a} is better with probability "
            )
            says += f"{pair['probability']:.2f} ({pair['low']:.2f} to {pair['high']:.2f})"
            better = Middle(pair["probability"], pair["low"], pair["high"])
            lines.append(held(above(better, 0.5), f"at {title} {a} stands above {b}", says))
    whole = ranking.index[(ranking["successes"] == ranking["trials"]) & ~ranking.index.isin(CONTROLS)].tolist()
    text = f"at {title} no network succeeds with every seed on every problem"
    lines.append(held(exact(not whole), text, ", ".join(whole)))
    if "memoryless" in ranking.index:
        leaks = int(ranking["successes"]["memoryless"])
        lines.append(
            held(exact(leaks == 0), f"at {title} the memoryless control succeeds nowhere", f"{leaks} successes")
        )
    return lines


def orders(parameters: pd.DataFrame, state: pd.DataFrame) -> list[str]:
    """The verdict on how the two rankings differ, by the cells that are in both."""
    state = state[state.index.isin(parameters.index)]
    first, leading = str(state.index[0]), list(state.index[:FIRST])
    others = [cell for cell in leading if cell not in parameters.index[:FIRST]]
    places = ", ".join(f"{cell}: {parameters['place'][cell]}" for cell in others)
    says = f"at equal parameters their places are {places}" if others else ""
    return [
        held(first in OLD_GATED, "a gated cell of before 2020 is first at equal state", first),
        held(bool(others), f"the first {FIRST} at equal state are not those at equal parameters", says),
    ]


def tracking(scores: pd.DataFrame) -> list[str]:
    """The verdict on products of S3, over both budgets."""
    if scores.empty:
        return []
    learned = tables.outcomes(scores, ["cell", "budget"])
    found = {cell: share(learned, cell=cell) for cell in (*POSITIVE, "GRU") if cell in set(learned["cell"])}
    lines = []
    if linear := [cell for cell in POSITIVE if cell in found]:
        counts = ", ".join(f"{cell} {found[cell].count}" for cell in linear if found[cell].successes) or "no seed does"
        none = all_of(~found[cell].most for cell in linear)
        lines.append(held(none, "no linear recurrence with positive eigenvalues learns products of S3", counts))
    if "GRU" in found:
        lines.append(held(found["GRU"].most, "GRU learns products of S3", str(found["GRU"])))
    return lines


def looking(horizons: pd.DataFrame, success: pd.DataFrame) -> list[str]:
    """The verdict on how far back networks learn to look, and on the state that it takes.

    Args:
        horizons: from `tables.horizon_by_state`.
        success: from `tables.success_by_lag`.
    """
    lines = []
    rows = {(row["cell"], row["budget"]): row for row in horizons.to_dict("records")}
    if row := rows.get(("attention", "parameters")):
        says = f"{row['horizon']}, with {row['state']:.0f} numbers there"
        lines.append(held(at_least(mean_horizon(row), LONGEST), f"attention learns to look back {LONGEST} steps", says))
    for cell, most in LIMITS.items():
        for budget, title in BUDGETS.items():
            if row := rows.get((cell, budget)):
                beyond = success[(success["cell"] == cell) & (success["budget"] == budget) & (success["lag"] >= most)]
                text = f"at {title} {cell} sees {most} steps, and no training succeeds at a lag of {most} or more"
                says = f"{beyond['successes'].sum()} of {beyond['trials'].sum()}; the horizon, {row['horizon']}, lies "
                lines.append(held(exact(not beyond["successes"].any()), text, says + "between two lags tried"))
    own = horizons[horizons["budget"] == "parameters"]
    own = (
        own.assign(reach=own["estimate"].clip(upper=own["largest_lag"])).groupby("family")[["reach", "state"]].median()
    )
    if {MATRIX, DIAGONAL} <= set(own.index):
        reach, size = own["reach"], own["state"]
        counts = "; ".join(f"{kind}: {reach[kind]:.0f} steps, {size[kind]:.0f} numbers" for kind in (MATRIX, DIAGONAL))
        text = "in the median, cells with a matrix state look back no farther than those with a diagonal one"
        lines.append(held(bool(reach[MATRIX] <= reach[DIAGONAL]), text, counts))
    return lines


def _mean(row: dict[Any, Any]) -> str:
    return f"{row['cell']} {row['mean']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
