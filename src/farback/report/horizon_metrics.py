"""The horizons of a page as metrics and tags of the experiment's summary run in MLflow."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from farback.records.setting_text import group_text

TRUNCATION = "truncation"  # the name of the table of truncation reaches


def metrics(horizons: Mapping[str, pd.DataFrame]) -> tuple[dict[str, float], dict[str, str]]:
    """Metrics and tags for the summary run in MLflow, from horizon tables by name ("trainability", "retention").

    Each horizon of a network NAME has the metrics `horizon/NAME/estimate`, `/low` and `/high`, which end at the lags
    asked, because a metric must be finite. A bound has a tag `horizon/NAME/bound`, "at least" or "below". With several
    tables, the name of the table stands before that of the network: `horizon/retention/NAME/low`. That of TRUNCATION
    always does, so that this measure does not rename the other horizons. An unknown horizon has no metrics.
    """
    values, tags = {}, {}
    several = len(set(horizons) - {TRUNCATION}) > 1
    for protocol, table in horizons.items():
        by = table.columns[: table.columns.get_loc("seeds")]
        for row in table[table["bound"] != "unknown"].to_dict("records"):
            network = group_text({column: row[column] for column in by})
            name = "/".join(["horizon", *([protocol] if several or protocol == TRUNCATION else []), network])
            for end in ("estimate", "low", "high"):
                values[f"{name}/{end}"] = float(min(max(row[end], row["smallest_lag"]), row["largest_lag"]))
            if row["bound"] != "none":
                tags[f"{name}/bound"] = row["bound"]
    return values, tags
