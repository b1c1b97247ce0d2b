"""The figure of the ledger: every claim with its numbers, what did not hold on top."""

import pandas as pd
from matplotlib.text import Text

from farback import plots


def test_every_claim_stands_on_a_line_the_refuted_on_top() -> None:
    rows = [
        ("b-holds", "confirmed", "4 steps", "5 of 5"),
        ("z-fails", "refuted", "1 $\\frac", "0 of 5"),
        ("a-varies", "depends", "no number", "x" * 200),
        ("a-fails", "refuted", "2", "1 of 5"),
    ]
    table = pd.DataFrame(rows, columns=["id", "verdict", "published", "found"])
    figure = plots.verdicts(table)
    figure.canvas.draw()  # no text is taken for a formula
    height = {text.get_text(): text.get_position()[1] for text in figure.axes[0].texts}
    assert [name for name in height if name in set(table["id"])] == ["a-fails", "z-fails", "a-varies", "b-holds"]
    assert height["a-fails"] < height["z-fails"] < height["a-varies"] < height["b-holds"]
    assert {"4 steps", "5 of 5", "1 $\\frac"} <= set(height)
    assert max(map(len, height)) < 70
    legend = [text.get_text() for text in figure.legends[0].findobj(Text)]
    assert {"refuted: 2", "depends: 1", "confirmed: 1"} <= set(legend)
