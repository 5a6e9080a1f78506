"""The tables and sentences of the last chapter."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from tinylm import say
from tinylm.laws.table_words import sure
from tinylm.plots import apart_figure
from tinylm.store import Store
from tinylm.studies.predictions import BACKED, FITTED, bet_store, read_prediction, score
from tinylm.studies.predictions_words import HOPED, called_form
from tinylm.studies.verdict import NEAR, Verdicts

LARGE = 5.0  # numbers from here on have one decimal, smaller ones three


def claims_table(verdict: Verdicts) -> pd.DataFrame:
    """A row a claim, the furthest first; an interval stands beside what it is of."""
    rows = []
    for one in verdict.by_distance:
        digits = 1 if abs(one.measured) >= LARGE else 3
        claimed, ours = f"{one.claimed:.{digits}f}", f"{one.measured:.{digits}f}"
        bounds = f" {say.interval(one.interval, digits)}" if one.interval else ""
        of_claim = one.interval_of == "claimed"
        rows.append(
            {
                "claim": one.claim,
                "by": one.source,
                "claimed": claimed + (bounds if of_claim else ""),
                "ours": ours + ("" if of_claim else bounds),
                "standard errors apart": say.signed(one.distance, digits=1)
                if one.interval
                else "our law does not hold",
            }
        )
    return pd.DataFrame(rows).set_index("claim")


def claims_said(verdict: Verdicts) -> str:
    """How many claims are near, how many cannot be told, and of which there are no runs."""
    told = verdict.told
    said = (
        f"Of {len(told)} claims {verdict.near} lie within {NEAR:.0f} standard errors of what was "
        f"measured."
    )
    if open_ones := len(verdict.found) - len(told):
        said += f" Of {open_ones} more the law does not hold here, so that it has no interval."
    if verdict.left_out:
        said += " Left out for want of runs: " + "; ".join(verdict.left_out) + "."
    return said


def claims_figure(verdict: Verdicts) -> Figure:
    """How far each claim and what was measured are apart, predictions above all others."""
    told = verdict.told
    rows = [(f"{one.claim}: {one.source}", one.distance) for one in told]
    title = (
        f"{verdict.near} of {len(told)} claims lie within {NEAR:.0f} standard errors of what was "
        f"measured"
        if told
        else "No law holds on these runs, so that no claim can be held against one"
    )
    return apart_figure(rows, near=NEAR, title=title)


def exponents_table(exponents: pd.DataFrame) -> pd.DataFrame:
    """The table of `size_exponents`, rounded; no interval of a law that does not hold."""
    return pd.DataFrame(
        {
            "floor E": exponents["floor"],
            "fitted to": exponents["sizes"] + " sizes",
            "N counts": exponents["count"],
            "exponent": [
                f"{row['exponent']:.3f}{sure(row['misfit'], (row['low'], row['high']))}"
                for row in exponents.to_dict("records")
            ],
            "misfit": exponents["misfit"].map("{:.1f}".format),
        }
    ).set_index(["floor E", "fitted to"])


def exponents_said(exponents: pd.DataFrame) -> str:
    """The smallest and the largest exponent of one set of runs, and how each was fitted."""
    rows = exponents.sort_values("exponent").to_dict("records")
    least, most = (f"{row['exponent']:.3f} ({_fitted(row)})" for row in (rows[0], rows[-1]))
    return (
        f"**The same losses have exponents from {least} to {most}.** So an exponent without the "
        f"way it was fitted says little, and the papers' differ in just these ways."
    )


def _fitted(row: dict[Any, Any]) -> str:
    floor = "a fitted floor" if row["floor"] == "fitted" else "no floor"
    sizes = "all sizes" if row["sizes"] == "all" else f"the {row['sizes']} sizes"
    return f"{floor}, {sizes}, N: {row['count']}"


def predictions_said(store: Store) -> str:
    """How far off our own predictions were: a paragraph an experiment."""
    said = [_prediction_said(bet_store(name, store), name) for name in FITTED]
    nothing = f"The profile `{store.profile}` has none that can be scored yet."
    return "\n\n".join(one for one in said if one) or nothing


def _prediction_said(store: Store, experiment: str) -> str:
    prediction = read_prediction(store, experiment)
    if prediction is None:
        return ""
    scores = score(prediction, store).dropna(subset="error")
    if scores.empty:
        return f"That of `{experiment}` is written down and waits for its runs."
    worst = scores["error"].abs().groupby(scores["method"]).max()
    backed, best = float(worst[BACKED[experiment]]), str(worst.idxmin())
    said = (
        f"Written down before the runs of `{experiment}`, the law that was backed "
        f"({called_form(BACKED[experiment])}) is {say.percent(backed)} off at worst"
    )
    if best != BACKED[experiment]:
        said += f"; {called_form(best)}, which was not, {say.percent(float(worst[best]))}"
    hoped = f"We had hoped for {say.percent(HOPED, 0)}"
    came = ", and it held" if backed <= HOPED else "; chapter 11 asks why"
    return f"{said}. {hoped}{came}."
