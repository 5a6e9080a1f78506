"""The titles, tables and sentences of what more text is worth."""

import itertools

import pandas as pd

from tinylm import say
from tinylm.laws.published import DATA_CLAIMS
from tinylm.laws.table_words import sure
from tinylm.studies.amounts import AmountsStudy
from tinylm.studies.grid_words import CALLED


def amounts_title(study: AmountsStudy) -> str:
    """Who gains more from text."""
    last = study.slopes.iloc[:, -1].dropna()
    narrow, wide = (1 - 2.0 ** -float(value) for value in (last.iloc[0], last.iloc[-1]))
    return (
        f"The last doubling of the text gives {say.short(float(last.index[0]))} parameters "
        f"{say.percent(narrow)} of their loss, and {say.short(float(last.index[-1]))} "
        f"{say.percent(wide)}"
    )


def slopes_table(study: AmountsStudy) -> pd.DataFrame:
    """-d log L / d log D between neighbouring amounts, a row a size."""
    amounts = sorted(study.grid.runs["asked"].unique())
    steps = [
        f"{say.short(float(one))} to {say.short(float(two))}"
        for one, two in itertools.pairwise(amounts)
    ]
    shown = study.slopes.map(lambda slope: f"{slope:.3f}", na_action="ignore").fillna("")
    return shown.set_axis(steps, axis=1).rename(index=lambda n: say.short(float(n)))


def slopes_said(study: AmountsStudy) -> str:
    """What the table shows: along a row, and along a column."""
    slopes = study.slopes
    steepest, last = slopes.idxmax(axis=1), slopes.iloc[:, -1].dropna()
    first = int((steepest == slopes.columns[0]).sum())
    return (
        f"A pure power law would have one number everywhere. Along a row the exponent falls once a "
        f"size has come to induction ({first} of {len(slopes)} are steepest at the first step), "
        f"since every size ends at a loss of its own. Down a column it grows: at the last step "
        f"from {float(last.iloc[0]):.3f} to {float(last.iloc[-1]):.3f}. "
        f"Text is worth more to whoever has room for it."
    )


def cuts_table(study: AmountsStudy) -> pd.DataFrame:
    """The law in D alone at each size, and where the law of the whole grid ends for it."""
    rows = []
    for row in study.cuts.to_dict("records"):
        texts = {
            sign: f"{row[name]:.2f}"
            + sure(row["misfit"], (row[f"{name}_low"], row[f"{name}_high"]), 2)
            for name, sign in (("beta", "β"), ("E", "E of the cut"))
        }
        rows.append(
            {
                "N": say.short(row["N"]),
                **texts,
                "misfit": f"{row['misfit']:.1f}",
                "the grid's law without end of text": f"{row['end']:.2f}",
            }
        )
    return pd.DataFrame(rows).set_index("N")


def cuts_said(study: AmountsStudy) -> str:
    """What the floor of a cut holds, beside the one text that all sizes read."""
    cuts, law = study.cuts, study.grid.best.surface
    amounts = study.grid.fitted["asked"].nunique()
    return (
        f"All sizes read the same text, which has one entropy. The floors of the cuts go from "
        f"{cuts['E'].iloc[0]:.2f} nats at the smallest size to {cuts['E'].iloc[-1]:.2f} at the "
        f"largest. So **the floor of a cut is no entropy**: it is what that size ends at, and "
        f"holds what the size withholds. The law of the whole grid tells the two apart, and "
        f"has a floor of {law.E:.2f}. With {amounts} amounts and three constants a cut can hardly "
        f"tell its own exponent from its floor, as the intervals show; the grid has one β for all "
        f"sizes."
    )


def exponents_table(study: AmountsStudy) -> pd.DataFrame:
    """The exponent in D of the grid's law in each form that fits one, beside the published ones."""
    rows = []
    for name, fit in study.grid.fits.items():
        law = fit.surface
        if "beta" in law.form.fixed(None):
            continue
        rows.append(
            {
                "law": f"this grid, {CALLED[name]}",
                "β": f"{law.beta:.3f}{sure(fit.misfit, fit.interval('beta'))}",
                "times g": f"{law.beta * law.g:.3f}" if law.g != 1.0 else "",
            }
        )
    rows += [
        {"law": f"{one.source}: {one.form}", "β": f"{one.exponent:.3f}", "times g": ""}
        for one in DATA_CLAIMS
    ]
    return pd.DataFrame(rows).set_index("law")
