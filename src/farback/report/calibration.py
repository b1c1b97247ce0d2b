"""The page of `farback calibrate`: the measures applied to systems with known memory."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from farback.report.analysis import Analysis, Figure, Table
from farback.report.page import Page, publish

COLUMNS = ["system", "measure", "quantity", "expected", "measured", "error", "tolerance", "holds"]
NOTES = [
    "Write this page again: `farback calibrate`",
    "Every number is measured by the public functions of `farback.measures`. The systems are plain `torch.nn` modules "
    "where possible, as a user would pass them. They are defined in `src/farback/measures/known/`.",
    "An error is the measured value minus the value of the closed form. Where a measure is exact, its tolerance is "
    "rounding; where it is a simulation, four standard errors. Differences below 1e-12 are rounding and are shown "
    "as 0.",
    "Intervals of a horizon are checked on simulated success curves. Coverage may differ from 0.95 by 0.03 and three "
    "standard errors. A cost is a share of the cost of another design for an equally narrow interval.",
    "The command ends with exit code 1 when a check is off.",
]
ROUNDING = 1e-12  # relative: smaller errors differ between processors, so they are shown as 0


def calibration(checks: pd.DataFrame) -> Analysis:
    """Expected against measured values; `checks` has a row for each check, with the columns COLUMNS."""
    from farback import plots  # matplotlib takes a second to import

    frame = _rounded(checks.loc[:, COLUMNS].reset_index(drop=True))
    off = frame[~frame["holds"]]
    systems, measures = frame["system"].nunique(), frame["measure"].nunique()
    headline = (
        f"{len(frame) - len(off)} of {len(frame)} numbers that {measures} functions give of {systems} systems with "
        "known answers are right."
    )
    verdict = [
        f"**Off**: {row['measure']} of {row['system']}, {row['quantity']}: {number(row['measured'])}, expected "
        f"{number(row['expected'])} within {number(row['tolerance'])}."
        for row in off.to_dict("records")
    ]
    shown = frame.assign(
        **{name: frame[name].map(number) for name in ("expected", "measured")},
        **{name: frame[name].map("{:.1g}".format) for name in ("error", "tolerance")},
        holds=frame["holds"].map({True: "yes", False: "**no**"}),
    )
    return Analysis(
        headline,
        verdict or ["Every number is within its tolerance."],
        [
            Figure(
                "expected_measured",
                "Expected against measured",
                plots.calibration(frame),
                frame.drop(columns="quantity").assign(share=frame["error"] / frame["tolerance"]),
                "Left: measured against expected values, on the diagonal where they agree. Right: the error of each "
                "check as a share of its tolerance.",
            ),
            Table("calibration", "Every check", frame, shown),
        ],
        {"calibration/off": float(len(off)), "calibration/checks": float(len(frame))},
    )


def write_calibration(checks: pd.DataFrame, folder: Path) -> Page:
    """Write the page, the figure and the numbers; equal checks give equal bytes."""
    question = "Do the measures give the right number where theory gives the answer?"
    context = {"name": "calibrate", "question": question, "command": "farback calibrate", "notes": NOTES, "place": 0}
    return publish(calibration(checks), folder, "noted.md.j2", context)


def number(value: float) -> str:
    """A number as the page shows it."""
    return f"{value:.6g}" if math.isfinite(value) else str(value)


def _rounded(checks: pd.DataFrame) -> pd.DataFrame:
    """Replace the measured value by the expected one where they differ by rounding alone."""
    expected = checks["expected"].astype(float)
    same = checks["error"].abs() <= ROUNDING * expected.abs().clip(lower=1.0)
    return checks.assign(
        expected=expected,
        measured=checks["measured"].astype(float).mask(same, expected),
        error=checks["error"].astype(float).mask(same, 0.0),
    )
