"""Does the tail of knowledge decide the exponent? Three corpora that differ in their tail alone."""

import math

import pandas as pd
from matplotlib.figure import Figure

from tinylm import say
from tinylm.corpora.fables import VARIANTS, variant_of
from tinylm.laws import Runs, exponent_gap
from tinylm.laws.table_words import NO_LAW, sure
from tinylm.plots import exponents_figure
from tinylm.say import NO_BREAK_HYPHEN
from tinylm.studies.above_floor import AXIS_LABELS
from tinylm.studies.cuts import TAILS, Cut, FablesStudy
from tinylm.studies.theory import MET


def tail_exponents(study: FablesStudy) -> pd.DataFrame:
    """A row for each corpus and axis: tail, exponents predicted, and measured with interval, or
    NaN: no interval where the law does not hold.
    """
    rows = []
    for corpus, cuts in study.tails.items():
        for axis, cut in cuts.items():
            holds = cut.law is not None and cut.law.misfit <= NO_LAW
            low, high = cut.law.alpha_interval if cut.law and holds else (math.nan, math.nan)
            rows.append(
                {
                    "corpus": corpus,
                    "axis": axis,
                    "tail": VARIANTS[variant_of(corpus)].tail,
                    "predicted": cut.predicted,
                    "world_low": cut.predicted_here[0],
                    "world_high": cut.predicted_here[1],
                    "measured": cut.law.law.alpha if cut.law else math.nan,
                    "low": low,
                    "high": high,
                    "misfit": cut.law.misfit if cut.law else math.nan,
                    "fold": cut.fold or math.nan,
                    "runs": len(cut.runs),
                    "wanted": cut.wanted,
                }
            )
    return pd.DataFrame(rows)


def tail_gaps(study: FablesStudy) -> pd.DataFrame:
    """How far the exponent of the lightest tail is above that of the heaviest, from runs at the
    same N and D: axis, gap, low, high, misfit, predicted; a row an axis that has both.
    """
    heavy, *_, light = sorted(study.tails, key=lambda corpus: VARIANTS[variant_of(corpus)].tail)

    def points(cut: Cut) -> Runs | None:
        """What exponent_gap asks of a cut; None where it has too few runs yet."""
        if cut.slopes is None or cut.floor is None:
            return None
        return cut.runs["x"], cut.runs["seed"], cut.runs["loss"], cut.floor

    rows = []
    for axis in TAILS:
        one, other = (study.tails[corpus][axis] for corpus in (light, heavy))
        if (of_one := points(one)) is None or (of_other := points(other)) is None:
            continue
        found = exponent_gap(of_one, of_other)
        low, high = found.interval
        row = {"axis": axis, "gap": found.gap, "low": low, "high": high, "misfit": found.misfit}
        rows.append(row | {"predicted": one.predicted - other.predicted})
    return pd.DataFrame(rows, columns=["axis", "gap", "low", "high", "misfit", "predicted"])


def tails_figure(study: FablesStudy) -> Figure:
    """Exponents over the tail that was chosen: measured, and by the theory, endless and here."""
    exponents, gaps = tail_exponents(study), tail_gaps(study)
    changes = ", ".join(
        f"{row['gap']:+.2f} in {row['axis']} (theory: {row['predicted']:+.2f})"
        for row in gaps.to_dict("records")
    )
    title = f"From the heaviest tail to the lightest the exponent changes by {changes}"
    if gaps.empty:
        title = "Theory says that a lighter tail has a larger exponent"
        title += "; our measurements are not complete" if exponents["wanted"].any() else ""
    named = exponents.assign(axis=exponents["axis"].map(AXIS_LABELS))
    return exponents_figure(named, title=title)


def tails_table(exponents: pd.DataFrame) -> pd.DataFrame:
    """`tail_exponents` as printed, a row for each corpus and cut."""
    rows = []
    for row in exponents.to_dict("records"):
        told = {
            "corpus": row["corpus"],
            "cut": row["axis"],
            "theory": f"{row['predicted']:.3f}",
            "in this world": say.interval((row["world_low"], row["world_high"]), 2),
            "measured": "not yet",
        }
        if not math.isnan(row["measured"]):
            told |= {
                "measured": f"{row['measured']:.3f}",
                "95% interval": sure(row["misfit"], (row["low"], row["high"])).strip(),
                "misfit": f"{row['misfit']:.1f}",
                "fall": f"{row['fold']:.1f}{NO_BREAK_HYPHEN}fold",
            }
        rows.append(told)
    return pd.DataFrame(rows).fillna("").set_index(["corpus", "cut"])


def theory_words() -> str:
    """Where the band of the figure is taken."""
    (known, most_known), (met, most_met) = MET["N"], MET["D"]
    return (
        f"In the figure, the band is the range of that slope between {known:,} and {most_known:,} "
        f"characters known (for N) and between {met:,} and {most_met:,} meetings (for D). "
        f"Both ranges are a choice: how many characters a model knows is measured below, and a "
        f"document tells of two at length and of a few more in passing. Elsewhere the slope is "
        f"another."
    )


def tails_words(study: FablesStudy) -> str:
    """What is missing, whether the theory's numbers lie in the intervals, and the gaps."""
    exponents, gaps = tail_exponents(study), tail_gaps(study)
    measured = exponents.dropna(subset="measured")
    said = [_missing(study, exponents)]
    held = measured[measured["misfit"] <= NO_LAW]
    if len(measured) > len(held):
        said.append(
            f"{len(measured) - len(held)} of the {len(measured)} cuts leave their line by more "
            f"than {NO_LAW:.0f} times what seeds explain. Their exponents are summaries without "
            f"intervals, and decide nothing about the theory."
        )
    if len(held):
        low, high, measured = held["low"], held["high"], held
        holds = (low <= measured["predicted"]) & (measured["predicted"] <= high)
        here = (low <= measured["world_high"]) & (measured["world_low"] <= high)
        said.append(
            f"The simple theory's number lies in {holds.sum()} of these {len(measured)} intervals; "
            f"{here.sum()} of them meet the band of a world with an end."
        )
    if len(gaps):
        misfit = gaps["misfit"].max()
        reason = (
            "But all tails bend much alike, and the ratio of two of them is nearer to a line "
            f"(misfit {misfit:.1f} at most) and known better: the"
            if misfit < measured["misfit"].min()
            else "The"
        )
        found = " and ".join(
            f"{row['gap']:.3f}{sure(row['misfit'], (row['low'], row['high']))} in {row['axis']}, "
            f"where the simple theory says {row['predicted']:.3f}"
            for row in gaps.to_dict("records")
        )
        said.append(f"{reason} exponent of the lightest tail is above that of the heaviest by")
        said.append(f"{found}.")
    return " ".join(part for part in said if part)


def _missing(study: FablesStudy, exponents: pd.DataFrame) -> str:
    runs, wanted = int(exponents["runs"].sum()), int(exponents["wanted"].sum())
    if not wanted:
        profile = study.store.profile
        return f"The `{profile}` profile does not train on the other tails; `paper` does."
    if runs < wanted:
        return (
            f"**Not all of it is measured yet:** the cuts on the three tails want {wanted} losses "
            f"and have {runs}."
        )
    return ""
