"""The figure of the ledger: every claim, what did not hold on top."""

import pandas as pd
from matplotlib.text import Text

from farback import plots


def test_every_claim_stands_on_a_line_the_refuted_on_top() -> None:
    rows = [
        ("b-holds", "confirmed", "It holds."),
        ("z-fails", "refuted", "It costs 1 $\\frac."),
        ("a-varies", "depends", "so long a sentence " * 12),
        ("a-fails", "refuted", "It fails."),
        ("c-open", "inconclusive", "It is open."),
    ]
    table = pd.DataFrame(rows, columns=["id", "verdict", "claim"])
    figure = plots.verdicts(table)
    figure.canvas.draw()  # no text is taken for a formula
    height = {text.get_text(): text.get_position()[1] for text in figure.axes[0].texts}
    assert [name for name in height if name in set(table["id"])] == [
        "a-fails",
        "z-fails",
        "a-varies",
        "c-open",
        "b-holds",
    ]
    assert height["a-fails"] < height["z-fails"] < height["a-varies"] < height["c-open"] < height["b-holds"]
    assert {"refuted", "depends", "inconclusive", "confirmed"} <= set(height)  # legible without colour
    assert {"It holds.", "It costs 1 $\\frac.", "It fails."} <= set(height)
    (long,) = [text for text in height if text.startswith("so long")]
    assert " ".join(long.split()) == ("so long a sentence " * 12).strip()  # nothing of a claim is cut off
    assert max(map(len, long.split("\n"))) < 130
    legend = [text.get_text() for text in figure.legends[0].findobj(Text)]
    assert {"refuted: 2", "depends: 1", "inconclusive: 1", "confirmed: 1"} <= set(legend)
