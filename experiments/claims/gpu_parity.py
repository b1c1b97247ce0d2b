"""After a million updates, how many of the runs of RNN and LSTM solve parity of 41 to 500 bits?"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, held
from farback.report.claim_scripts import Share, answered, chosen, conditions, learning_figure
from farback.report.evidence import Evidence, all_of, any_of

PREDICTION = (
    "Written before any of these networks was trained. With a million updates half of the runs of both networks "
    "solve parity beyond the training lengths, at one learning rate at least, and not all of them."
)
REFUTED_BY = "Fewer than half at every rate, or every seed of both at one of them."
LONGEST, SOLVED = 39, 0.9
BY = ["label", "optimizer.lr"]


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Shares of runs by network and learning rate."""
    found = solved(scores)
    frame = pd.DataFrame(
        [
            {"label": network, "optimizer.lr": lr, "solved": one.successes, "runs": one.trials}
            for (network, lr), one in found.items()
        ]
    )
    shown = pd.DataFrame([{"network": n, "learning rate": f"{lr:g}", "solved": str(s)} for (n, lr), s in found.items()])
    rates = scores.assign(rate="lr " + scores["optimizer.lr"].map("{:g}".format))
    parts: list[Table | Figure] = [
        Table("solved", "Runs with a mean accuracy of 0.9 beyond 40 bits", frame, shown),
        learning_figure(rates, "Learning parity of 2 to 40 bits", "rate"),
    ]
    best = best_rates(found)
    verdict = [
        held(
            all_of(one.most for one in best.values()) & ~_whole(best),
            "half of the runs of both solve it, not all",
            "; ".join(f"{name} {one}" for name, one in best.items()),
        )
    ]
    headline = "Parity beyond 40 bits is solved by, at the best learning rate: " + "; ".join(
        f"{one} runs of {name}" for name, one in best.items()
    )
    return Analysis(f"{headline}.", verdict, parts, {f"solved/{name}": one.value for name, one in best.items()})


def solved(scores: pd.DataFrame) -> dict[tuple[str, float], Share]:
    """How many runs solve the task, by network and learning rate."""
    curves = tables.retention_curves(scores, BY)
    mean = curves[curves["lag"] > LONGEST].groupby([*BY, "seed"])["accuracy"].mean().rename("beyond").reset_index()
    found = {}
    for network in sorted(set(mean["label"])):
        for lr in sorted(set(mean["optimizer.lr"])):
            own = chosen(mean, label=network, **{"optimizer.lr": lr})["beyond"]
            found[network, float(lr)] = Share(int((own >= SOLVED).sum()), len(own))
    return found


def best_rates(found: dict[tuple[str, float], Share]) -> dict[str, Share]:
    """The largest share of each network over the learning rates."""
    networks = dict.fromkeys(network for network, _ in found)
    return {name: max((one for (n, _), one in found.items() if n == name), key=lambda s: s.value) for name in networks}


def _whole(best: dict[str, Share]) -> Evidence:
    return all_of(one.every for one in best.values())


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to each published claim of the config."""
    found = solved(scores)
    best = best_rates(found)
    return {
        "deletang-parity": answered(
            "; ".join(f"{network} {one} at lr {lr:g}" for (network, lr), one in found.items()),
            "smaller of the two best shares of runs",
            conditions(scores),
            confirmed=_whole(best),
            refuted=any_of(~one.most for one in best.values()),
            reason="half of the runs or more may solve it at the best rate, but not every one does",
            of=min(best.values(), key=lambda one: one.value),
        )
    }
