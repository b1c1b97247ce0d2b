"""Do neighbouring pixels matter to the forecast of lightning?

Strikes return five days later one pixel away, or at the same pixel; a network at every pixel has its 3 by 3
neighbourhood as input, or the pixel alone.
"""

import pandas as pd

from farback import tables
from farback.report import Analysis, Figure, Finding, Ladder, Table, at_least, at_most, held
from farback.report.claim_scripts import Middle, answered, chosen, conditions, learning_figure, middle, outcome_tables
from farback.report.evidence import all_of

PREDICTION = (
    "By construction a pixel's own past says nothing of strikes that come from its neighbour: without neighbours the "
    "skill is 0 there. With them a GRU, which is known from `lightning` to bridge five days, comes within 0.1 of the "
    "Bayes oracle. Where strikes stay, both networks do; the neighbourhood, eight inputs that say nothing, costs less "
    "than 0.02 of skill."
)
REFUTED_BY = (
    "A network without neighbours above 0.03 where strikes move; one with neighbours below 0.9; a network of either "
    "kind below 0.9 where they stay, or a difference of more than 0.02 between them there."
)
WIDE, ALONE = 3, 1
MOVES, STAYS = "(0, 1)", "(0, 0)"
LUCK, ALMOST, COST = 0.03, 0.9, 0.02
BY = ["encoder.kernel", "task.drift"]


def analyse(scores: pd.DataFrame, ladder: Ladder) -> Analysis:
    """Skill with and without neighbours, where strikes move and where they stay."""
    found = tables.outcomes(scores, BY)
    headline = (
        "Share of the oracle's skill, five days ahead: where strikes move one pixel, "
        f"{skill(found, WIDE, MOVES)} with neighbours and {skill(found, ALONE, MOVES)} without; where they stay, "
        f"{skill(found, WIDE, STAYS)} and {skill(found, ALONE, STAYS)}."
    )
    seen = scores.assign(sees=scores["encoder.kernel"].map({WIDE: "3 by 3 pixels", ALONE: "its own pixel"}))
    seen = seen.assign(strikes=seen["task.drift"].map({MOVES: "move one pixel", STAYS: "stay"}))
    parts: list[Table | Figure] = [
        *outcome_tables(found, BY, "Skill by what each pixel sees, and by how strikes move"),
        learning_figure(seen, "Learning, where strikes move and where they stay", "strikes", "sees"),
    ]
    metrics = {
        f"skill/{kernel} {drift}": skill(found, kernel, drift).value
        for kernel in (WIDE, ALONE)
        for drift in (MOVES, STAYS)
    }
    return Analysis(headline, verdict(found), parts, metrics)


def verdict(found: pd.DataFrame) -> list[str]:
    """The verdict, with one line for each prediction."""
    wide, alone = skill(found, WIDE, MOVES), skill(found, ALONE, MOVES)
    both = skill(found, WIDE, STAYS), skill(found, ALONE, STAYS)
    text = f"{both[0]} and {both[1]}"
    return [
        held(at_most(alone, LUCK), "without neighbours there is no skill where strikes move", str(alone)),
        held(at_least(wide, ALMOST), "with neighbours there is nearly all of it", str(wide)),
        held(all_of(at_least(one, ALMOST) for one in both), "where strikes stay both have nearly all of it", text),
        held(
            at_most(both[0].minus(both[1]), COST) & at_least(both[0].minus(both[1]), -COST),
            f"and the neighbours cost at most {COST:g} of the skill there",
            text,
        ),
    ]


def findings(scores: pd.DataFrame) -> dict[str, Finding]:
    """The answer (a `Finding`) to the published claim of the config."""
    found = tables.outcomes(scores, BY)
    wide, alone = skill(found, WIDE, MOVES), skill(found, ALONE, MOVES)
    trained = all_of(at_least(skill(found, kernel, STAYS), ALMOST) for kernel in (WIDE, ALONE))
    finding = answered(
        f"skill {wide} with neighbours, {alone} without",
        "skill without neighbours, where strikes move",
        conditions(scores),
        confirmed=trained & at_least(wide, ALMOST) & at_most(alone, LUCK),
        refuted=trained & at_least(alone, ALMOST),
        reason="one network has a part of the skill where strikes move"
        if trained.holds
        else "strikes that stay are not learned by both networks for certain",
        of=alone,
    )
    return {"lightning-neighbours": finding}


def skill(found: pd.DataFrame, kernel: int, drift: str) -> Middle:
    """The median test skill."""
    return middle(chosen(found, **{"encoder.kernel": kernel, "task.drift": drift}))
