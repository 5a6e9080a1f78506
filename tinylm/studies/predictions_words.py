"""What the chapter on predictions says of each: tables, a figure, and sentences that follow."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tinylm import say
from tinylm.laws.table_words import NO_LAW
from tinylm.plots import misses_figure, predictions_figure
from tinylm.say import NO_BREAK
from tinylm.studies.grid import HIDDEN_FOLD, Grid
from tinylm.studies.grid_words import CALLED
from tinylm.studies.predictions import Bet
from tinylm.studies.size import SIZE_LABEL

HOPED = 0.01  # of the loss, that a prediction was hoped to be off by at most
TELLING = 0.03  # nats: a smaller difference of one run says nothing


def bet_table(bet: Bet) -> pd.DataFrame:
    """A row a size and law: what was predicted, and what was measured since."""
    rows = [
        {
            "width (N)": f"{row['d_model']} ({say.short(row['n_non_embedding'])})",
            "tokens": say.short(row["tokens"]),
            "law": called_form(row["method"])
            + (" (backed)" if row["method"] == bet.backed else ""),
            "predicted": f"{row['predicted']:.3f} {say.interval((row['low'], row['high']))}",
            "measured": f"{row['measured']:.3f}" if row["runs"] else "not yet",
            "error (%)": f"{100 * row['error']:+.1f}" if row["runs"] else "",
            "of the interval": say.within((row["low"], row["high"]), row["measured"])
            if row["runs"]
            else "",
        }
        for row in bet.scores.to_dict("records")
    ]
    return pd.DataFrame(rows).set_index(["width (N)", "tokens", "law"])


def bet_title(bet: Bet) -> str:
    """Which law came closest; how far they lie apart while nothing has come."""
    if bet.ended:
        errors = bet.worst_errors
        closest = called_form(str(errors.index[0]))
        return (
            f"{closest[0].upper()}{closest[1:]} comes closest to larger models: at most "
            f"{say.percent(float(errors.iloc[0]))} off"
        )
    largest = bet.scores[bet.scores["d_model"] == bet.scores["d_model"].max()]["predicted"]
    return f"At the largest size the laws are {largest.max() - largest.min():.2f} nats apart"


def outcome_said(bet: Bet) -> str:
    """Whether the law that was stood for came within what was hoped for; the closest beside it."""
    errors = bet.worst_errors
    if errors.empty:
        return "What came of it stands here when its runs have been made."
    backed, closest = float(errors[bet.backed]), str(errors.index[0])
    held = backed <= HOPED
    said = (
        f"**The law that was backed, {called_form(bet.backed)}, "
        f"{'held' if held else 'failed'}**: it is off by {say.percent(backed)} at worst, and "
        f"{say.percent(HOPED, 0)} was hoped for."
    )
    if closest != bet.backed:
        said += (
            f" Closest came {called_form(closest)}, at most {say.percent(float(errors.iloc[0]))} "
            f"off."
        )
    return said


def grounds_said(grid: Grid) -> str:
    """Why a form is backed: what it is best at on the grid that a prediction is made from."""
    best, race = grid.best_form, grid.race.set_index("form")
    first = {
        "the lowest misfit": race["misfit"].idxmin(),
        "the lowest BIC": race["bic"].idxmin(),
        "the least error on hidden compute": race["hidden_rms"].idxmin(),
    }
    merits = [merit for merit, form in first.items() if form == best]
    holding = [called_form(str(form)) for form in race.index[race["misfit"] <= NO_LAW]]
    told = ", ".join(merits[:-1]) + (" and " if len(merits) > 1 else "") + merits[-1]
    return (
        f"{called_form(best).capitalize()} has {told}, {say.percent(race['hidden_rms'][best])} in "
        f"the rms. A misfit of {NO_LAW:.0f} or less {'has' if len(holding) == 1 else 'have'} "
        f"{', '.join(holding) or 'none'}."
    )


def lesson_said(bet: Bet, grid: Grid) -> str:
    """What a bet tells of the judge by which its law was chosen."""
    errors = bet.worst_errors
    if errors.empty:
        return ""
    hidden = float(grid.race.set_index("form")["hidden_rms"][bet.backed])
    beyond = float(errors[bet.backed])
    if beyond <= 2 * hidden:
        return (
            f"On hidden compute the form was off by {say.percent(hidden)} in the rms: that told "
            f"about what it would be off by here."
        )
    return (
        f"**Nearness to the runs, even to hidden ones, is no proof.** On hidden compute the form "
        f"was off by {say.percent(hidden)} in the rms, and here by {say.percent(beyond)}. Hidden "
        f"runs took at most {HIDDEN_FOLD:.0f} times the compute of those that were fitted, where a "
        f"floor that is wrong need not show yet."
    )


def called_form(method: str) -> str:
    """A method as a sentence calls it."""
    return CALLED.get(method, method).replace(" ", NO_BREAK)


def bet_figure(bet: Bet) -> Figure:
    """The runs that were fitted, what each law said of larger models, and what came of it."""
    points, came = (
        runs[["N", "seed", "loss"]].rename(columns={"N": "x"}) for runs in (bet.fitted, bet.made)
    )
    said = bet.scores.rename(columns={"n_non_embedding": "x"})
    return predictions_figure(points, said, came, xlabel=SIZE_LABEL, title=bet_title(bet))


def bet_misses_figure(bet: Bet) -> Figure | None:
    """How far the mean of the runs lies from what each law said, over compute; None while no runs
    have been made.
    """
    scored = bet.scores.dropna(subset="error")
    if scored.empty:
        return None
    errors = scored["std"] / np.sqrt(scored["runs"]) / scored["measured"]
    misses = pd.DataFrame(
        {
            "form": scored["method"].map(lambda method: CALLED.get(method, method)),
            "C": scored["compute"] * bet.prediction.largest_fitted_flops,
            "off": scored["measured"] / scored["predicted"] - 1,
        }
    )
    return misses_figure(misses, noise=float(errors.median()), title=bet_title(bet))


def bet_said(bet: Bet) -> str:
    """When it was written down, from what, and how many of the runs have been made."""
    wanted = bet.scores.groupby(["d_model", "tokens"])["wanted"].first().sum()
    ends = sorted({f"{fold:.1f}" for fold in bet.scores["compute"]}, key=float)
    times = ends[0] if len(ends) == 1 else f"{ends[0]} to {ends[-1]}"
    return (
        f"Written down on {bet.prediction.made[:10]} from {len(bet.prediction.fitted)} runs; "
        f"{bet.ended} of {wanted} predicted runs have been made, which take {times} "
        f"times the compute of the largest of those."
        + ("" if bet.ended else " **The bet is open.** Which law would you back?")
    )


def recipes_table(bet: Bet, maximal: pd.DataFrame) -> pd.DataFrame:
    """Mean loss and runs of the widths that were trained by both recipes: the first, and
    the maximal updates of `maximal`, a table of runs.
    """
    ours = pd.concat([bet.fitted, bet.made]).groupby("d_model")["loss"]
    theirs = maximal.groupby("d_model")["loss"]
    table = {
        "the first recipe": ours.mean(),
        "runs": ours.count(),
        "maximal updates": theirs.mean(),
        "their runs": theirs.count(),
    }
    return pd.concat(table, axis=1, join="inner")


def recipes_said(bet: Bet, table: pd.DataFrame) -> str:
    """Whether it was size that stopped to pay or the recipe, by `recipes_table`."""
    narrow, wide = table.index[0], table.index[-1]
    ours, theirs = (
        float(table[name].iloc[0] - table[name].iloc[-1])
        for name in ("the first recipe", "maximal updates")
    )
    said = (
        f"**What went wrong?** From width {narrow} to {wide} the first recipe "
        f"{'gains' if ours > 0 else 'loses'} {abs(ours):.3f} nats. The same models under the "
        f"maximal updates of chapter 5, at the rate of width 64, "
        f"{'gain' if theirs > 0 else 'lose'} {abs(theirs):.3f}. "
    )
    if theirs > max(TELLING, ours + TELLING):
        said += (
            "So it was not size that had stopped to pay, but the recipe: **a scaling law is one of "
            "models that are trained well at every size, and it ends where that ends.**"
        )
    else:
        said += "So the recipe does not explain it."
    told = bet.scores[bet.scores["d_model"] == wide]
    if told["error"].isna().all():
        return said
    best = told.loc[told["error"].abs().idxmin()]
    reached, runs = table["maximal updates"].iloc[-1], table["their runs"].iloc[-1]
    held = say.within((best["low"], best["high"]), reached) == "inside"
    return said + (
        f" Against the model trained so, the prediction of {best['method']} for width {wide} is "
        f"{100 * (best['predicted'] / reached - 1):+.1f} % off, and its interval "
        f"{'holds' if held else 'misses'} it. But that comparison was thought of after the runs, "
        f"rests on {runs:.0f} {'run' if runs == 1 else 'runs'}, and so settles nothing."
    )
