"""The page of `farback calibrate`: the ruler held against systems whose memory is known."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from farback.report.analysis import Analysis, Figure, Table
from farback.report.page import Page, publish

COLUMNS = ("system", "measure", "quantity", "expected", "measured", "error", "tolerance", "holds")
NOTES = [
    "Write this page again: `farback calibrate`",
    "Every number is measured by the public functions of `farback.measures`, on systems that are plain `torch.nn` "
    "modules wherever one can be: what a person would hand to them. The systems are in "
    "`src/farback/measures/known/`.",
    "An error is what was measured less what the closed form says. Where a measure is exact its tolerance is "
    "rounding; where it is a simulation, four standard errors. Differences below 1e-12 are the arithmetic's and are "
    "shown as 0.",
    "The command ends with exit code 1 when a check is off.",
]
ARITHMETIC = 1e-12  # a relative difference that is the arithmetic's, and may differ from one processor to another


def calibration(checks: pd.DataFrame) -> Analysis:
    """Expected against measured.

    Args:
        checks: a row for each check, with COLUMNS; `holds` says whether the error is within the tolerance.
    """
    from farback import plots  # matplotlib takes a second to import

    frame = _rounded(checks.loc[:, list(COLUMNS)].reset_index(drop=True))
    off = frame[~frame["holds"]]
    systems, measures = frame["system"].nunique(), frame["measure"].nunique()
    headline = (
        f"{len(frame) - len(off)} of {len(frame)} numbers that {measures} measures give of {systems} systems with "
        "known memory are right."
    )
    verdict = [
        f"**Off**: {row['measure']} of {row['system']}, {row['quantity']}: {number(row['measured'])}, expected "
        f"{number(row['expected'])} within {number(row['tolerance'])}."
        for row in off.to_dict("records")
    ]
    caption = "Expected against measured"
    return Analysis(
        headline,
        verdict or ["Every number is within its tolerance."],
        [
            Figure(
                "expected_measured",
                caption,
                plots.calibration(frame),
                frame.drop(columns="quantity").assign(share=frame["error"] / frame["tolerance"]),
                "Left: measured against expected values, on the diagonal where they agree. Right: the error of each "
                "check as a share of its tolerance.",
            ),
            Table("calibration", "Every check", frame, _shown(frame)),
        ],
        {"calibration/off": float(len(off)), "calibration/checks": float(len(frame))},
    )


def write_calibration(checks: pd.DataFrame, folder: Path) -> Page:
    """Write the page, the figure and the numbers; the same checks give the same bytes."""
    analysis = calibration(checks)
    context = {
        "name": "calibrate",
        "question": "Does the ruler give the right numbers where they are known?",
        "command": "farback calibrate",
        "notes": NOTES,
    }
    return publish(analysis, folder, "noted.md.j2", context)


def number(value: float) -> str:
    """A number as the page shows it."""
    return f"{value:.6g}" if math.isfinite(value) else str(value)


def _rounded(checks: pd.DataFrame) -> pd.DataFrame:
    """Without the last digits of the arithmetic: what was measured is what was expected where they differ by less."""
    scale = checks["expected"].abs().clip(lower=1.0)
    same = checks["error"].abs() <= ARITHMETIC * scale
    return checks.assign(
        expected=checks["expected"].astype(float),
        measured=checks["measured"].astype(float).mask(same, checks["expected"].astype(float)),
        error=checks["error"].astype(float).mask(same, 0.0),
    )


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    texts = {name: [number(value) for value in frame[name]] for name in ("expected", "measured")}
    small = {name: [f"{value:.1g}" for value in frame[name]] for name in ("error", "tolerance")}
    verdict = {"holds": ["yes" if holds else "**no**" for holds in frame["holds"]]}
    return frame.assign(**texts, **small, **verdict)
