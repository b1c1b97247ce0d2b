"""When is the last output of torch.nn's RNN, GRU and LSTM the last hidden state, and when is it not?"""

import pandas as pd

from farback.report import Analysis, Finding, Ladder, Table, exact, held
from farback.report.claim_scripts import Share, answered

PREDICTION = (
    "From how torch.nn defines its outputs: in one direction and without padding the last output is h_n of the top "
    "layer in every module, at any depth. In two directions only its forward half is; the backward half is h_n at the "
    "first step. In padded batches the last column is h_n of no module, and each sequence's own last step is, forwards."
)
REFUTED_BY = "A single module and seed for which one of these equalities is otherwise."
CASES = (  # modules, statistic, the two tensors compared, whether bidirectional, whether the tensors must be equal
    ("one direction", "last", "output[:, -1] and h_n[-1]", False, True),
    ("one direction, padded", "padded_last", "output[:, -1] and h_n[-1]", False, False),
    ("one direction, padded", "padded_own_last", "each sequence's own last step and h_n[-1]", False, True),
    ("two directions", "last", "output[:, -1] and both of h_n", True, False),
    ("two directions", "forward_last", "forward half of output[:, -1] and h_n[-2]", True, True),
    ("two directions", "backward_last", "backward half of output[:, -1] and h_n[-1]", True, False),
    ("two directions", "backward_first", "backward half of output[:, 0] and h_n[-1]", True, True),
    ("two directions, padded", "padded_own_last", "forward half of each own last step and h_n[-2]", True, True),
    ("two directions, padded", "padded_backward_first", "backward half of output[:, 0] and h_n[-1]", True, True),
)


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """In how many modules the two tensors are equal, by case."""
    found = [(*case, equal(scores, case[1], case[3])) for case in CASES]
    frame = pd.DataFrame(
        [
            {"modules": modules, "compared": text, "equal": share.successes, "of": share.trials, "expected": must}
            for modules, _, text, _, must, share in found
        ]
    )
    shown = frame.assign(equal=[str(share) for *_, share in found], expected=frame["expected"].map(_word))
    plain = equal(scores, "last", False)
    headline = (
        f"The last output is h_n in {plain.successes} of {plain.trials} modules of one direction, and in "
        f"{equal(scores, 'last', True).successes} of {equal(scores, 'last', True).trials} of two; in padded batches in "
        f"{equal(scores, 'padded_last', False).successes} of {equal(scores, 'padded_last', False).trials} of one."
    )
    caption = "Equal bit for bit, modules of every cell, depth and seed"
    table = Table("equal", caption, frame, shown.drop(columns="of"))
    return Analysis(headline, verdict(scores), [table], {"equal/one direction": plain.value})


def verdict(scores: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each case."""
    lines = []
    for modules, statistic, text, two, must in CASES:
        share = equal(scores, statistic, two)
        true = share.successes == (share.trials if must else 0)
        lines.append(held(exact(true), f"{modules}: {text} are {'' if must else 'not '}equal", str(share)))
    return lines


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to the published claim of the config."""
    plain, two, padded = equal(scores, "last", False), equal(scores, "last", True), equal(scores, "padded_last", False)
    everywhere = all(share.successes == share.trials for share in (plain, two, padded))
    finding = answered(
        f"{plain.count} modules of one direction; {two.count} of two directions; {padded.count} with padding",
        "share of modules of one direction without padding",
        f"{scores['seed'].nunique()} seeds; 1, 2 and 20 layers of RNN (tanh, relu), GRU and LSTM; 6 units",
        confirmed=exact(everywhere),
        refuted=exact(plain.successes < plain.trials),
        depends=exact(not everywhere and plain.successes == plain.trials),
        on="the direction and the padding: a backward layer ends at the first step, a padded sequence at its own end",
        of=plain,
    )
    return {"last-output-is-h-n": finding}


def equal(scores: pd.DataFrame, statistic: str, bidirectional: bool) -> Share:
    """In how many modules two tensors are equal."""
    own = scores[scores["bidirectional"] == bidirectional]
    values = own[(own["measure"] == "last_output") & (own["statistic"] == statistic)]["value"]
    return Share(int(values.sum()), len(values))


def _word(must: bool) -> str:
    return "equal" if must else "not equal"
