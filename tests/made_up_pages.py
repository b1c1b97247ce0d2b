"""A small page with a part of every kind, and a text that no page should obey."""

import pandas as pd
from matplotlib.figure import Figure as Drawing

from farback.report.analysis import Analysis, Figure, Table

HOSTILE = "<script>alert(1)</script> & <img src=x onerror=alert(2)> ![far](https://example.org/x.png) \" onload='x'"


def analysis(text: str = "LSTM reaches `[20, 40)`", cell: str = ">= 80") -> Analysis:
    drawing = Drawing(figsize=(3, 2))
    drawing.subplots().plot([1, 2], [3, 4])
    numbers = pd.DataFrame({"lag": [1, 2], "skill": [3, 4]})
    shown = pd.DataFrame({"network": ["LSTM", text], "horizon": ["[20, 40)", cell]})
    return Analysis(
        text,
        ["Held: one thing.", "**Refuted**: that another.", f"What else: {text}"],
        [Table("horizons", f"Table of {text}", numbers, shown), Figure("curve", text, drawing, numbers, text)],
    )
