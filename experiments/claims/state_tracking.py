"""Which recurrences learn parity so that it holds beyond the training lengths?"""

import pandas as pd

from farback.report import Analysis, Figure, Finding, Ladder, Table, exact, held, retained
from farback.report.claim_scripts import Share, answered, conditions, learning_figure, mean_accuracies
from farback.report.evidence import all_of, any_of

PREDICTION = (
    "Written after a pilot of two seeds with 2000 updates (seven networks: both DeltaNets with negative eigenvalues, "
    "GRU and sLSTM were right up to 80 bits; DeltaNet with positive ones, LRU and Mamba were at chance for 40), before "
    "any of these trainings. The networks with negative eigenvalues and the nonlinear ones solve parity for up to 160 "
    "bits with more than half of their seeds, the six others with none. At 5120 bits the affine ones are at chance, "
    "and the nonlinear ones as good as at 160."
)
REFUTED_BY = (
    "A network with negative eigenvalues, GRU or sLSTM that half of the seeds do not solve; a solution by one of the "
    "six others; an affine network that is right at 5120 bits with half of its seeds; a nonlinear one that is not."
)
LONGEST, LEARNED, SOLVED = 19, 0.95, 0.9
NEAR, FAR = (39, 159), 5119  # the lags of 40 to 160 bits, and of 5120
AFFINE = ("DeltaNet (heads 4, negative_eigenvalues True)", "Gated DeltaNet (heads 4, negative_eigenvalues True)")
NONLINEAR = ("sLSTM", "GRU")
POSITIVE = (
    "DeltaNet (heads 4)",
    "Gated DeltaNet (heads 4)",
    "Mamba-2 (heads 4)",
    "GLA (heads 4)",
    "mLSTM (heads 4)",
    "Mamba",
)
MIXED, OTHERS = "sLSTM", ("Mamba-2 (heads 4)", "mLSTM (heads 4)")


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Accuracy beyond the training lengths."""
    found = beyond(scores)
    each = {name: solved(found, name) for name in dict.fromkeys(found["label"])}
    headline = (
        f"Trained on the parity of up to 20 bits for {scores['steps'].iloc[0]} updates, it is right for 40 to 160 bits "
        + "in "
        + "; ".join(f"{one.count} seeds of {name}" for name, one in each.items())
        + "."
    )
    parts: list[Table | Figure] = [
        *retained(scores, ["label"], ladder),
        learning_figure(scores, "Learning parity of 2 to 20 bits"),
    ]
    return Analysis(headline, verdict(found), parts, {f"solved/{name}": one.value for name, one in each.items()})


def beyond(scores: pd.DataFrame) -> pd.DataFrame:
    """A row for each seed: its accuracy for 20 bits (`within`), for 40 to 160 (`near`), and for 5120 (`far`)."""
    return mean_accuracies(scores, within=(LONGEST, LONGEST), near=NEAR, far=(FAR, FAR))


def solved(found: pd.DataFrame, *networks: str, column: str = "near") -> Share:
    """How many seeds of these networks have a mean accuracy of 0.9 or more."""
    own = found[found["label"].isin(networks)][column]
    return Share(int((own >= SOLVED).sum()), len(own))


def far(found: pd.DataFrame, *networks: str) -> Share:
    """How many of the seeds that learned 20 bits have an accuracy of 0.9 or more for 5120."""
    return solved(found[found["within"] >= LEARNED], *networks, column="far")


def verdict(found: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    able = {name: solved(found, name) for name in (*AFFINE, *NONLINEAR)}
    unable = {name: solved(found, name) for name in POSITIVE}
    lines = [
        held(
            all_of(one.most for one in able.values()),
            "more than half of the seeds with negative eigenvalues, of sLSTM and of GRU solve 40 to 160 bits",
            _counts(able),
        ),
        held(all_of(one.none for one in unable.values()), "no other network solves them", _counts(unable)),
    ]
    affine, nonlinear = far(found, *AFFINE), far(found, *NONLINEAR)
    if affine.trials and nonlinear.trials:
        lines.append(held(~affine.most, "affine networks do not hold 5120 bits", f"{affine}"))
        lines.append(held(nonlinear.most, "nonlinear networks hold 5120 bits", f"{nonlinear}"))
    return lines


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The finding for each claim."""
    found = beyond(scores)
    run = conditions(scores)
    negative, plain = solved(found, AFFINE[0]), solved(found, POSITIVE[0])
    unable = {name: solved(found, name) for name in POSITIVE}
    mixed, others = solved(found, MIXED), {name: solved(found, name) for name in OTHERS}
    rows = {
        "negative-eigenvalues-parity": answered(
            f"{negative} with negative eigenvalues, {plain} without",
            "share of seeds",
            run,
            confirmed=negative.most & ~plain.most,
            refuted=~negative.most | plain.most,
            of=negative,
        ),
        "positive-eigenvalues-parity": answered(
            _counts(unable),
            "",
            run,
            confirmed=all_of(~one.most for one in unable.values()),
            refuted=any_of(one.most for one in unable.values()),
        ),
        "xlstm-parity": answered(
            f"{MIXED} {mixed}; {_counts(others)}",
            "share of seeds",
            run,
            confirmed=mixed.most & all_of(~one.most for one in others.values()),
            refuted=~mixed.most | any_of(one.most for one in others.values()),
            of=mixed,
        ),
    }
    affine, nonlinear = far(found, *AFFINE), far(found, *NONLINEAR)
    both = affine.trials > 0 and nonlinear.trials > 0
    rows["affine-trackers-finite"] = answered(
        f"{affine.count} affine networks, {nonlinear.count} nonlinear ones",
        "share of seeds",
        run,
        confirmed=~affine.most & nonlinear.most if both else exact(False),
        refuted=affine.most if both else exact(False),
        reason="too few seeds learned 20 bits, or the nonlinear networks do not hold 5120 either",
        of=affine if both else None,
    )
    return rows


def _counts(shares: dict[str, Share]) -> str:
    return "; ".join(f"{name} {one.count}" for name, one in shares.items())
