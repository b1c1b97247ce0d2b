"""What do linear recurrences learn with a gate, a delta rule or neither, and what does attention learn beside them?"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Evidence, Figure, Finding, Ladder, Table, above, all_of, any_of, below, held
from farback.report.claim_scripts import (
    Middle,
    Share,
    answered,
    conditions,
    learning_figure,
    mean_accuracies,
    middle,
    outcome_tables,
    share,
)

PREDICTION = (
    "Written before any of these networks was trained, after a pilot of other sizes on easier problems (attention "
    "copies 4 symbols within 150 updates and learns no products of S3 asked at every step, which GRU learns). "
    "Attention copies with every seed, and Mamba, Mamba-2 and S4D with none. On associative recall attention is above "
    "all linear recurrences, GLA above RetNet, and gated DeltaNet above Mamba-2 but not above DeltaNet, because "
    "nothing has to be forgotten. GLA and Mamba-2 learn selective copying. M2RNN and GRU track S3 beyond the training "
    "lengths with half of their seeds or more, attention and Mamba-2 with none."
)
REFUTED_BY = (
    "A seed of attention that does not copy, or one of the others that does; a linear recurrence above attention; "
    "RetNet above GLA; gated DeltaNet below Mamba-2, or above DeltaNet; half of the seeds of GLA or Mamba-2 that fail "
    "at selective copying; half of the seeds of M2RNN or GRU that do not track S3, or one of the others that does."
)
COPYING = ("attention", "Mamba", "Mamba-2", "S4D")
RECALLING = ("RetNet", "GLA", "Mamba-2", "DeltaNet", "Gated DeltaNet")
DIAGONAL, MIXING = ("GLA", "Mamba-2"), ("DeltaNet", "Gated DeltaNet")
TRACKING, OTHERS = ("M2RNN", "GRU"), ("Mamba-2", "attention")
SOLVED, NEAR = 0.9, (39, 159)  # the accuracy, and the lags of 40 to 160 elements


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """What was learned of each task."""
    scores = scores.assign(label=scores["cell"])
    found, tracked = measured(scores), tracking(scores)
    copied = "; ".join(f"{cell} {share(found, task='copy', cell=cell).count}" for cell in COPYING)
    recalled = "; ".join(f"{cell} {recall(found, cell).value:.2f}" for cell in ("attention", *RECALLING))
    headline = (
        f"Of networks of one layer and up to 5000 parameters, these copy 12 symbols: {copied}. The median skill at "
        f"associative recall is {recalled}. {_counts(tracked)} track products of 40 to 160 elements of S3."
    )
    parts: list[Table | Figure] = [
        *outcome_tables(found, ["task", "cell"], "What was learned: at the training lag, of S3 at the longest"),
        learning_figure(scores, "Learning each task", "task"),
    ]
    return Analysis(
        headline, verdict(found, tracked), parts, {f"tracked/{cell}": one.value for cell, one in tracked.items()}
    )


def measured(scores: pd.DataFrame) -> pd.DataFrame:
    """The outcome of each training at its lag, or at its largest."""
    return tables.outcomes(scores, ["task", "cell"])


def recall(found: pd.DataFrame, cell: str) -> Middle:
    """The median skill of associative recall."""
    return middle(found, task="assoc", cell=cell)


def tracking(scores: pd.DataFrame) -> dict[str, Share]:
    """How many seeds of each network have a mean accuracy of 0.9 or more for 40 to 160 elements of S3."""
    own = scores[scores["task"] == "group"]
    means = mean_accuracies(own.assign(label=own["cell"]), near=NEAR)
    return {str(cell): Share(int((part["near"] >= SOLVED).sum()), len(part)) for cell, part in means.groupby("label")}


def verdict(found: pd.DataFrame, tracked: dict[str, Share]) -> list[str]:
    """The verdict, with one line for each prediction."""
    copied = {cell: share(found, task="copy", cell=cell) for cell in COPYING}
    attention, gated = recall(found, "attention"), recall(found, "Gated DeltaNet")
    best = {cell: recall(found, cell) for cell in RECALLING}
    selective = {cell: share(found, task="selective_copy", cell=cell) for cell in DIAGONAL}
    rest = {cell: one for cell, one in copied.items() if cell != "attention"}
    return [
        held(copied["attention"].every, "attention copies with every seed", copied["attention"].count),
        held(all_of(one.none for one in rest.values()), "Mamba, Mamba-2 and S4D do not copy", _counts(rest)),
        held(
            all_of(above(attention, one) for one in best.values()), "attention recalls best", _medians(attention, best)
        ),
        held(above(best["GLA"], best["RetNet"]), "GLA recalls better than RetNet", f"{best['GLA']}; {best['RetNet']}"),
        held(
            above(gated, best["Mamba-2"]), "gated DeltaNet recalls better than Mamba-2", f"{gated}; {best['Mamba-2']}"
        ),
        held(~above(gated, best["DeltaNet"]), "gated DeltaNet recalls no better than DeltaNet", f"{best['DeltaNet']}"),
        held(all_of(one.most for one in selective.values()), "GLA and Mamba-2 copy selectively", _counts(selective)),
        held(
            all_of(tracked[cell].most for cell in TRACKING), "half of M2RNN and GRU or more track S3", _counts(tracked)
        ),
        held(all_of(tracked[cell].none for cell in OTHERS), "Mamba-2 and attention do not track S3", _counts(tracked)),
    ]


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The finding for each claim."""
    found, tracked, run = measured(scores), tracking(scores), conditions(scores)
    copied = {cell: share(found, task="copy", cell=cell) for cell in COPYING}
    selective = {cell: share(found, task="selective_copy", cell=cell) for cell in (*DIAGONAL, *MIXING)}
    attention, gated = recall(found, "attention"), recall(found, "Gated DeltaNet")
    best = {cell: recall(found, cell) for cell in RECALLING}
    first = copied.pop("attention")
    return {
        "attention-copies": answered(
            f"attention {first}; {_counts(copied)}",
            "share of seeds",
            run,
            confirmed=first.most & all_of(~one.most for one in copied.values()),
            refuted=any_of(one.most for one in copied.values()),
            of=first,
        ),
        "gates-help-recall": compared(best["GLA"], {"RetNet": best["RetNet"]}, run),
        "mixing-not-needed": answered(
            _counts(selective),
            "",
            run,
            confirmed=all_of(selective[cell].most for cell in DIAGONAL),
            refuted=all_of(~selective[cell].most for cell in DIAGONAL)
            & any_of(selective[cell].most for cell in MIXING),
        ),
        "attention-recalls-best": compared(attention, best, run),
        "gated-delta-rule": compared(gated, {cell: best[cell] for cell in ("Mamba-2", "DeltaNet")}, run),
        "m2rnn-tracks-state": answered(
            _counts({cell: tracked[cell] for cell in TRACKING}),
            "share of seeds",
            run,
            confirmed=tracked["M2RNN"].most,
            refuted=~tracked["M2RNN"].most & tracked["GRU"].most,
            of=tracked["M2RNN"],
        ),
    }


def compared(one: Middle, others: dict[str, Middle], run: str) -> Finding:
    """Confirmed where a median skill is above all others, refuted where it is below one of them."""
    lower: list[Evidence] = [below(one, other) for other in others.values()]
    return answered(
        _medians(one, others),
        "median skill",
        run,
        confirmed=all_of(above(one, other) for other in others.values()),
        refuted=any_of(lower),
        of=one,
    )


def _counts(shares: dict[str, Share]) -> str:
    return "; ".join(f"{cell} {one.count}" for cell, one in shares.items())


def _medians(one: Middle, others: dict[str, Middle]) -> str:
    return f"{one}; against {'; '.join(f'{cell} {other}' for cell, other in others.items())}"
