"""The titles, tables and sentences of the chapter on compute budgets."""

import numpy as np
import pandas as pd

from tinylm import say
from tinylm.cost import FLOPS_PER_PARAMETER_AND_TOKEN
from tinylm.laws import SurfaceWithIntervals
from tinylm.laws.planning import NORMAL
from tinylm.laws.published import TOKENS_CLAIM, WIDER_CLAIMS
from tinylm.laws.scatter import interval
from tinylm.laws.table_words import NO_LAW, sure
from tinylm.say import NO_BREAK
from tinylm.studies.grid import COUNTS, HIDDEN_FOLD, Grid, GridStudy, first_by, settings_of_runs

CALLED = {
    "sum": "sum",
    "power": "power of the sum",
    "kaplan": "Kaplan's",
    "ends": "two ends",
    "both": "power between two ends",
}
CONSTANTS = {"E": "E", "alpha": "α", "beta": "β", "g": "g"}


def runs_said(study: Grid) -> str:
    """What was run, how much seeds scatter, and which settings beat counting."""
    runs, best = study.runs, study.best_ngram
    means = runs.groupby(["N", "D"])["loss"].mean()
    noise = settings_of_runs(runs).noise
    below = int((means < best.nats_per_token).sum())
    gap = float(best.nats_per_token - means.min())
    return (
        f"{runs['N'].nunique()} sizes from {say.short(runs['N'].min())} to "
        f"{say.short(runs['N'].max())} parameters, {runs['asked'].nunique()} amounts of text from "
        f"{say.short(runs['asked'].min())} to {say.short(runs['asked'].max())} tokens, "
        f"{runs['seed'].nunique()} seeds: {len(runs)} runs, of which seeds scatter by "
        f"{say.percent(float(np.median(noise)))} of the loss (the median setting). "
        f"The longest read their text {study.epochs:.1f} times. The best n-gram of the same text, "
        f"of order {best.order}, has {best.nats_per_token:.3f} nats per token; "
        + (
            f"{below} of the {len(means)} settings are below it, the best by {gap:.2f} nats."
            if below
            else f"none of the {len(means)} settings is below it, the best ends {-gap:.2f} above."
        )
    )


def grid_title(study: Grid) -> str:
    """The exponents of the law that describes the runs best."""
    law = study.best.surface
    if study.best.misfit > NO_LAW:
        return f"No form of the law holds: the best has a misfit of {study.best.misfit:.1f}"
    return (
        f"The loss falls with size and with text, and one law describes both to within "
        f"{say.percent(law.residual_rms)}"
    )


def forms_table(study: Grid) -> pd.DataFrame:
    """Each form: how many constants, misfit, BIC above the lowest, error on hidden compute."""
    race = study.race.set_index("form")
    return pd.DataFrame(
        {
            "form": [CALLED[name] for name in race.index],
            "constants": race["constants"].to_list(),
            "misfit": [f"{value:.2f}" for value in race["misfit"]],
            "BIC above the lowest": [f"{value - race['bic'].min():.1f}" for value in race["bic"]],
            "error on hidden settings, rms": [say.percent(value) for value in race["hidden_rms"]],
            "mean": [f"{100 * value:+.1f}{NO_BREAK}%" for value in race["hidden_mean"]],
        }
    ).set_index("form")


def forms_said(study: Grid) -> str:
    """Which form wins, and by which measure."""
    race, best = study.race, study.best_form
    hidden = int(race["hidden_settings"].iloc[0])
    fits = first_by(race, "bic")
    said = (
        f"Hidden were the {hidden} settings of more than the largest compute over "
        f"{HIDDEN_FOLD:.0f}. **{CALLED[best].capitalize()}** comes nearest to them"
    )
    said += ", and has the lowest BIC." if fits == best else f"; {CALLED[fits]} has the lowest BIC."
    if study.best.misfit > NO_LAW:
        return (
            f"{said} But its misfit is {study.best.misfit:.1f}: settings lie that many times "
            f"further from it than seeds explain, and no number below should be taken for more "
            f"than a description."
        )
    return f"{said} The form that comes nearest is taken for the law of this text."


def range_said(study: GridStudy) -> str:
    """From where on the laws are fitted, and why."""
    if len(study.fitted) == len(study.runs):
        return "The laws are fitted to all of them."
    losses = study.runs.groupby(["d_model", "asked"])["loss"]
    means, spread = losses.mean().unstack(), (losses.std() / losses.mean()).unstack()
    first, second, third = (float(tokens) for tokens in sorted(study.runs["asked"].unique())[:3])
    drops = 1 - means[second] / means[first]
    largest, scatter = float(drops.max()), float(spread[second].max())
    then = float((1 - means[third] / means[second])[drops == largest].iloc[0])
    return (
        f"The first column is another regime. From {say.short(first)} to {say.short(second)} "
        f"tokens the loss of width {drops.idxmax()} falls by {say.percent(largest, 0)}, and from "
        f"there to {say.short(third)} by {say.percent(then, 0)}: in between the models come to "
        f"induction, wide ones sooner than narrow ones (at {say.short(second)} tokens seeds of "
        f"width {spread[second].idxmax()} still scatter by {say.percent(scatter)}). "
        f"A power law has no such step, so the laws are fitted from {say.short(study.since)} "
        f"tokens on, {len(study.fitted)} runs. That was decided after seeing the runs; what it "
        f"changes stands below."
    )


def starts_table(study: GridStudy) -> pd.DataFrame:
    """The winning form fitted from each amount of text on."""
    rows = [
        {
            "from": f"{say.short(row['since'])} tokens",
            "misfit": f"{row['misfit']:.2f}",
            "rms": say.percent(row["rms"]),
            **{
                sign: f"{row[name]:.3f}"
                + sure(row["misfit"], (row[f"{name}_low"], row[f"{name}_high"]))
                for name, sign in (("E", "E"), ("alpha", "α"), ("beta", "β"))
            },
        }
        for row in study.starts.to_dict("records")
    ]
    return pd.DataFrame(rows).set_index("from")


def misses_title(study: Grid) -> str:
    """How far the settings lie from the best form and from the sum."""
    rms = study.misses.groupby("form")["off"].apply(lambda off: float((off**2).mean()) ** 0.5)
    best, worst = str(rms.idxmin()), str(rms.idxmax())
    return (
        f"{CALLED[best].capitalize()} is off by {say.percent(rms[best])} in the rms, "
        f"{CALLED[worst]} by {say.percent(rms[worst])}"
    )


def called(misses: pd.DataFrame) -> pd.DataFrame:
    """The misses with forms as a figure calls them."""
    return misses.assign(form=misses["form"].map(CALLED))


def named(sizes: pd.DataFrame) -> pd.DataFrame:
    """The exponents with approaches and counts as a figure calls them."""
    return sizes.assign(
        approach=[CALLED.get(name, f"{name}, no form") for name in sizes["approach"]],
        count=sizes["count"].map(COUNTS),
    )


def constants_table(study: Grid) -> pd.DataFrame:
    """Each form's constants with 95% intervals."""
    rows = []
    for name, fit in study.fits.items():
        row = {"form": CALLED[name]}
        for constant, sign in CONSTANTS.items():
            row[sign] = _constant(fit, constant)
        rows.append(row)
    return pd.DataFrame(rows).set_index("form")


def _constant(fit: SurfaceWithIntervals, name: str) -> str:
    free = fit.surface.form.fixed(None)
    value = float(getattr(fit.surface, name))
    if name in free:
        return f"{value:g}, fixed"
    if any(bound.startswith(f"{name} = ") for bound in fit.surface.status.bounds):
        return f"{value:g}, its bound"
    return f"{value:.3f}{sure(fit.misfit, fit.interval(name))}"


def constants_said(study: Grid) -> str:
    """How far forms are apart beside how sure each is."""
    holding = [fit for fit in study.fits.values() if fit.misfit <= NO_LAW]
    if len(holding) < 2:
        return "No two forms hold, so that nothing can be said of how far forms are apart."
    alphas = [fit.surface.alpha * fit.surface.g for fit in holding]
    betas = [fit.surface.beta * fit.surface.g for fit in holding]
    return (
        f"Each interval is right if its form is. Over the {len(holding)} forms whose misfit is "
        f"below {NO_LAW:.0f}, the exponent of N (times g) goes from {min(alphas):.2f} to "
        f"{max(alphas):.2f} and that of D from {min(betas):.2f} to {max(betas):.2f}: that is the "
        f"uncertainty of the form, beside that of the seeds."
    )


def beside_said(one: Grid, other: Grid) -> str:
    """The exponents of two texts beside each other, in the form that is the law of the first, and
    how many joint standard errors they are apart, if it holds on both.
    """
    form, told = one.best_form, []
    pair = [grid.fits[form] for grid in (one, other)]
    for sign, name in (("α", "alpha"), ("β", "beta")):
        values = [float(getattr(fit.surface, name)) for fit in pair]
        first, second = (
            f"{value:.3f}{sure(fit.misfit, fit.interval(name))}"
            for value, fit in zip(values, pair, strict=True)
        )
        told.append(f"{sign} is {first} on {one.corpus} and {second} on {other.corpus}")
        if all(fit.misfit <= NO_LAW for fit in pair):
            errors = [np.diff(fit.interval(name))[0] / (2 * NORMAL) for fit in pair]
            apart = abs(values[1] - values[0]) / float(np.hypot(*errors))
            told[-1] += f", {apart:.1f} joint standard errors apart"
    return f"By {CALLED[form]}, {'; '.join(told)}."


def isoflops_title(study: GridStudy) -> str:
    """How many tokens for each parameter are best at the largest budget read off."""
    top = float(study.frontiers["n_with_output"].frontier.flops[-1])
    size = float(study.frontiers["n_with_output"].frontier.optimal_size(top))
    ratio = top / FLOPS_PER_PARAMETER_AND_TOKEN / size**2
    return f"At {say.short(top)} FLOPs {ratio:.0f} tokens for each parameter are best"


def optima_table(study: GridStudy) -> pd.DataFrame:
    """The best use of each budget by the law with the output layer counted, and what another size
    costs.
    """
    fit, rows = study.with_output, []
    surface = fit.surface
    for budget in study.frontiers["n_with_output"].frontier.flops:
        best = surface.optimal(float(budget))
        sizes, tokens, _ = fit.optimal_resamples(budget)
        large, small = (
            float(surface.loss(best.N * times, best.D / times)) - best.loss for times in (3, 1 / 3)
        )
        rows.append(
            {
                "C": say.short(budget),
                "best N": say.short(best.N),
                "best D": say.short(best.D),
                "tokens per parameter": (
                    f"{best.tokens_per_parameter:.1f} {say.interval(interval(tokens / sizes), 1)}"
                ),
                "loss there": f"{best.loss:.3f}",
                "three times too large": f"+{large:.3f}",
                "three times too small": f"+{small:.3f}",
            }
        )
    return pd.DataFrame(rows).set_index("C")


def counts_title(study: GridStudy) -> str:
    """The headline: one set of runs, both exponents."""
    found = study.sizes.set_index(["approach", "count"])["exponent"]
    without, with_output = (float(found["isoFLOPs", count]) for count in COUNTS)
    return (
        f"The same runs: the best size grows as C^{without:.2f} if embeddings do not count, and as "
        f"C^{with_output:.2f} if the output layer does"
    )


def counts_table(study: GridStudy) -> pd.DataFrame:
    """a of N ∝ C^a with 95% intervals, where a form holds: a row an approach, a column a count."""
    rows: dict[str, dict[str, str]] = {}
    for row in study.sizes.to_dict("records"):
        holds = not np.isnan(row["low"])
        bounds = f" {say.interval((row['low'], row['high']), 2)}" if holds else ""
        name = CALLED.get(row["approach"], f"{row['approach']}, no form")
        rows.setdefault(name, {})[COUNTS[row["count"]]] = f"{row['exponent']:.2f}{bounds}"
    return pd.DataFrame(rows).T.rename_axis("by")


def counts_said(study: GridStudy) -> str:
    """Ours beside the published."""
    kaplan, hoffmann = WIDER_CLAIMS
    by_count = study.sizes.groupby("count")["exponent"]
    (low_k, high_k), (low_h, high_h) = (
        (by_count.min()[count], by_count.max()[count]) for count in COUNTS
    )
    return (
        f"Kaplan et al. found {kaplan.exponent:.2f} and Hoffmann et al. {hoffmann.exponent:.2f}, "
        f"at far larger budgets. Here it is "
        f"{low_k:.2f} to {high_k:.2f} without embeddings and {low_h:.2f} to {high_h:.2f} with the "
        f"output layer, whatever the approach."
    )


def tokens_said(study: GridStudy) -> str:
    """Tokens per parameter at the largest budget beside the rule of twenty."""
    fit = study.with_output
    top = float(study.frontiers["n_with_output"].frontier.flops[-1])
    best = fit.surface.optimal(top)
    sizes, tokens, _ = fit.optimal_resamples(top)
    growth = 100**fit.surface.size_exponent
    return (
        f"At the largest budget {best.tokens_per_parameter:.1f} tokens for each parameter are best "
        f"{say.interval(interval(tokens / sizes), 1)}, not {TOKENS_CLAIM:.0f}. A hundred times the "
        f"compute wants {growth:.0f} times the size."
    )
