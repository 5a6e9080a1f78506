# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Model size
#
# If I make the model ten times larger, what do I gain?
#
# After this chapter you can fit a scaling law with intervals, tell how well it describes the runs, judge it by a prediction, and say what a fitted exponent means and what it does not.

# %% tags=["parameters"]
profile = "paper"  # whose records are shown: smoke, quick or paper

# %% tags=["hide-input"]
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from scipy import stats

from tinylm.laws import bootstrap_power_law, fit_power_law, local_exponents
from tinylm.laws.published import SIZE_CLAIMS
from tinylm.plots import (
    BLUE,
    INK,
    NATS,
    ORANGE,
    QUIET,
    VERMILION,
    predictions_figure,
    use_style,
)
from tinylm.records import to_table
from tinylm.store import Store
from tinylm.studies.figures import SIZE_LABEL, fit_figure, size_scaling_figure
from tinylm.studies.predictions import read_prediction, score
from tinylm.studies.size import size_study
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.widgets import explore

# %matplotlib inline
use_style()


def say(text: str) -> None:
    """Show a sentence with numbers that were measured above."""
    display(Markdown(text))


def between(bounds, digits):
    """An interval, as it is printed."""
    low, high = bounds
    return f"{low:.{digits}f} to {high:.{digits}f}"


def cell(value, bounds, digits):
    """A value and its interval in a table, broken only between the two."""
    return f"{value:.{digits}f} " + f"[{between(bounds, digits)}]".replace(" ", "\u00a0")


# %% [markdown]
# ## The claims under test
#
# These were written down before any run of this chapter was trained.
# Kaplan et al. {cite}`kaplan2020scaling` describe the loss of models that have enough data by a pure power law, $L = (N_c/N)^{\alpha}$.
# Hoffmann et al. {cite}`hoffmann2022training` put a floor $E$ under it, $L = E + A/N^{\alpha}$, with a second such term for the data.
# Besiroglu et al. {cite}`besiroglu2024chinchilla` fitted the second law again to the points of Hoffmann's figure and corrected its constants.

# %% tags=["hide-input"]
RANGES = {
    "kaplan2020scaling": "768 to 1.5 billion",
    "hoffmann2022training": "70 million to 16 billion",
    "besiroglu2024chinchilla": "the same models",
}


def tenfold(claim):
    """What ten times the parameters do, says a claim."""
    factor = 10**-claim.exponent
    what = "loss above the floor" if claim.with_floor else "loss"
    return f"{what} × {factor:.2f}"


rows = [
    {
        "source": claim.source,
        "law": claim.form.replace(" ", "\u00a0"),
        "α": f"{claim.exponent:g}",
        "parameters": RANGES[claim.citation],
        "ten times the parameters": tenfold(claim),
    }
    for claim in SIZE_CLAIMS
]
pd.DataFrame(rows).set_index("source")

# %% [markdown]
# ```{dropdown} Guess before you read on
# Our models are thousands of times smaller than most of those, and each sees the same short stretch of children's stories.
#
# 1. By how many per cent does ten times the size lower the loss: 5, 15 or 30?
# 2. Will one power law without a floor describe all our sizes?
# 3. Will our exponents agree with the published ones?
#
# The answers stand under the figures below, in this order.
# ```
#
# ## The runs
#
# Width grows; depth (2 layers), heads, context, data and number of steps stay as they are.
# The learning rate follows the rule of chapter 4.
# Every model sees the same number of tokens, and is judged on the same validation stories.

# %% tags=["hide-input"]
study = size_study(profile)
sizes = study.by("d_model")
runs = study.finished
N, loss, seed = (runs[name].to_numpy() for name in ("n_non_embedding", "nats", "seed"))
smallest, largest = sizes.iloc[0], sizes.iloc[-1]

table = pd.DataFrame(
    {
        "width": sizes["d_model"],
        "N": sizes["n_non_embedding"].map("{:,}".format),
        "N with output layer": sizes["n_with_output"].map("{:,}".format),
        "N total": sizes["n_total"].map("{:,}".format),
        "C exact (FLOPs)": sizes["flops_exact"].map("{:.2g}".format),
        "loss (nats a token)": [
            f"{m:.3f}\u00a0±\u00a0{s:.3f}"
            for m, s in zip(sizes["nats"], sizes["nats_std"], strict=True)
        ],
        "bits per byte": sizes["bits_per_byte"].map("{:.3f}".format),
        "seeds": sizes["n_seeds"],
    }
)
display(table.set_index("width"))
diverged = len(study.runs) - len(runs)
say(
    f"Profile `{profile}`, corpus `{study.corpus}`: {len(runs)} runs of "
    f"{largest['tokens']:,.0f} tokens each"
    + (f"; {diverged} more diverged and are left out. " if diverged else "; none diverged. ")
    + "Losses are means ± one standard deviation over seeds. "
    f"N, unless said otherwise, counts the weights of the layers without the embedding; they grow "
    f"{largest['n_non_embedding'] / smallest['n_non_embedding']:.0f}-fold. "
    + (
        "Rotary positions have no parameters, so the total is the count with the output layer, "
        "which is the embedding used again."
        if (sizes["n_total"] == sizes["n_with_output"]).all()
        else ""
    )
)

# %% mystnb={"figure": {"name": "fig-size-scaling", "caption": "Left: validation loss against model size, every run and the mean and standard deviation over seeds, with the fitted law L = E + A/N^α, its 95% band, and the best n-gram baseline (dotted). Right: the loss above the fitted E on logarithmic axes, where a power law is a straight line; dashed, the slope that Hoffmann et al. found for far larger models."}} tags=["hide-input"]
size_scaling_figure(study)

# %% tags=["hide-input"]
ratio = largest["n_non_embedding"] / smallest["n_non_embedding"]
factor = min(10.0, ratio)
law, pure = study.law, study.pure
times = "ten times" if factor == 10 else f"{factor:.1f} times"


def gain(start):
    """Fall of the law's loss from N = start to factor · start: a sentence's end with intervals."""
    ends = law.loss([start, factor * start])
    draws = law.loss_resamples([start, factor * start])
    low, high = np.percentile(draws[:, 0] - draws[:, 1], [2.5, 97.5])
    nats, percent = ends[0] - ends[1], 100 * (1 - ends[1] / ends[0])
    return f"{nats:.2f} nats (95% interval {low:.2f} to {high:.2f}), or {percent:.0f}%"


floor = study.best_floor
passing = sizes[sizes["nats"] < floor.nats_per_token]
say(
    f"**What do I gain?** From the smallest model to one of {times} its size, the loss falls by "
    f"{gain(smallest['n_non_embedding'])}. From a model of 1/{factor:.3g} of the largest size to "
    f"the largest, it falls by {gain(largest['n_non_embedding'] / factor)}."
)
say(
    f"{len(passing)} of {len(sizes)} sizes are below the best n-gram baseline "
    f"({floor.nats_per_token:.3f} nats, order {floor.order})."
)

# %% [markdown]
# ## The fit
#
# The law has three constants: a floor $E$ that no size goes below, an exponent $\alpha$, and a scale $A$.
# They are found by minimising Huber's loss of the residuals of $\log L$, which follows the runs closely and is not dragged along by one bad run {cite}`hoffmann2022training`.
# Beside it stands the pure power law, which is the same with $E = 0$.
#
# The intervals come from a bootstrap.
# The law is fitted again to 1,000 imitations of the experiment, in which it holds and every run gets a new deviation, drawn from the deviations that the seeds showed.
#
# Seeds know nothing of how far the *law* is wrong.
# So the table has a **misfit**: how far the means of the sizes lie from the law, over what seeds explain.
# It is about 1 for a law that holds.
# If it is larger than chance makes it in one study of twenty, the imitations keep the means of the sizes instead of the law, and their deviations are multiplied by it.

# %% tags=["hide-input"]


def fit_row(fit, held):
    return {
        "E (nats)": cell(fit.law.E, fit.E_interval, 2) if fit is law else "0",
        "α": cell(fit.law.alpha, fit.alpha_interval, 3),
        "misfit": f"{fit.misfit:.1f}",
        "residuals (%, rms)": f"{100 * fit.law.residual_rms:.2f}",
        "largest size predicted": cell(held.predicted, held.interval, 3),
    }


display(
    pd.DataFrame(
        {
            "L\u00a0=\u00a0E\u00a0+\u00a0A/N^α": fit_row(law, study.prediction),
            "L\u00a0=\u00a0A/N^α": fit_row(pure, study.pure_prediction),
        }
    ).T
)
notes = []
if law.law.status.bounds:
    notes.append(
        f"The fit with a floor rests on a bound ({', '.join(law.law.status.bounds)}), so its "
        f"intervals say little."
    )
if not (law.law.status.converged and pure.law.status.converged):
    notes.append("A fit did not converge.")
better, worse = sorted(((law, "with"), (pure, "without")), key=lambda pair: pair[0].misfit)
notes.append(
    f"The law {better[1]} a floor lies closer to the sizes' means (misfit {better[0].misfit:.1f} "
    f"against {worse[0].misfit:.1f}). "
    + (
        "Both are about as close as seeds allow."
        if worse[0].widening == 1
        else "It is about as close as seeds allow, the other is not."
        if better[0].widening == 1
        else "Neither is as close as seeds allow: the true curve is neither, and the intervals "
        "were widened for it."
    )
)
say(" ".join(notes))

# %% [markdown]
# ## Does one power law describe it?
#
# A pure power law is a straight line on log–log axes: its local exponent, $-d \log L / d \log N$, is the same everywhere.
# That can be measured without fitting any law, from the means of neighbouring sizes.

# %% mystnb={"figure": {"name": "fig-local-exponents", "caption": "Local exponent between neighbouring sizes, from the means over seeds; bars are 95% intervals from the spread of seeds. A pure power law would be a horizontal line. The curve is the local exponent of the fitted law with a floor."}} tags=["hide-input"]
groups = [np.log(part["nats"].to_numpy()) for _, part in runs.groupby("n_non_embedding")]
freedom = sum(len(group) - 1 for group in groups)
variance = sum(((g - g.mean()) ** 2).sum() for g in groups) / freedom  # of log loss, over seeds
student = stats.t.ppf(0.975, freedom)
slopes = local_exponents(N, seed, loss)
value = slopes["exponent"]

figure, axes = plt.subplots(figsize=(7.2, 3.6))
axes.errorbar(
    slopes["x"],
    value,
    yerr=[value - slopes["low"], slopes["high"] - value],
    fmt="o",
    color=BLUE,
    capsize=3,
    label="measured, 95%",
)
grid = np.geomspace(N.min(), N.max(), 200)
local = law.law.alpha * law.law.excess(grid) / law.loss(grid)
axes.plot(grid, local, color=INK, linewidth=1.2, label="law with a floor")
axes.axhline(pure.law.alpha, color=ORANGE, label=f"pure power law, {pure.law.alpha:.3f}")
axes.axhline(0.076, color=VERMILION, linestyle=(0, (5, 2)), label="Kaplan et al., 0.076")
axes.set_xscale("log")
axes.xaxis.set_major_formatter(EngFormatter(sep=""))
axes.set_ylim(0, 1.15 * max(0.08, slopes["high"].max()))
axes.set_xlabel(SIZE_LABEL)
axes.set_ylabel("local exponent")
axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.3)
figure.suptitle(
    f"Between neighbouring sizes the exponent goes from {value.iloc[0]:.3f} to {value.iloc[-1]:.3f}",
    x=0.01,
    ha="left",
    fontsize=11,
    fontweight="bold",
)
plt.show()

# %% tags=["hide-input"]


def curvature(chosen):
    """Coefficient of (log N)² in log L for some of the runs, and its 95% interval."""
    z = np.log(N[chosen]) - np.log(N[chosen]).mean()
    design = np.stack([np.ones_like(z), z, z**2], axis=1)
    bend = np.linalg.lstsq(design, np.log(loss[chosen]), rcond=None)[0][2]
    half = student * math.sqrt(variance * np.linalg.inv(design.T @ design)[2, 2])
    return bend, (bend - half, bend + half)


bend, (low, high) = curvature(N > 0)
if low > 0:
    verdict = (
        "above 0: larger models gain less from growing than smaller ones. "
        "**No single power law describes these sizes**, and an exponent without a floor depends on "
        "which sizes one looks at"
    )
elif high < 0:
    verdict = (
        "below 0: larger models gain more from growing than smaller ones. "
        "**No single power law describes these sizes**, and a floor does not mend it"
    )
else:
    verdict = (
        "around 0: these runs do not tell a pure power law from a bent one. "
        "A fit with a floor then has more freedom than the data can fix"
    )
rest, (rest_low, rest_high) = curvature(N.min() < N)
place = "above 0" if rest_low > 0 else "below 0" if rest_high < 0 else "around 0"
say(
    f"How much the line bends can be tested: fit log L by a parabola in log N. "
    f"Its curvature is {bend:.4f}, with the 95% interval {low:.4f} to {high:.4f}, {verdict}. "
    f"Does one size make all of the bend? Without the smallest the curvature is {rest:.4f}, "
    f"interval {rest_low:.4f} to {rest_high:.4f}, {place}."
)

# %% [markdown]
# ## Judged on a size that it was not fitted on
#
# A curve with three constants follows many things.
# The test is a prediction: we fit the law again without the largest size, and see what it says of it.

# %% mystnb={"figure": {"name": "fig-size-held-out", "caption": "Residuals of the law that was fitted without the largest size, in per cent of the loss, and its prediction for that size with the 95% interval for the mean of its runs."}} tags=["hide-input"]
fit_figure(study)

# %% tags=["hide-input"]


def verdict_on(held):
    inside = held.interval[0] <= held.actual <= held.interval[1]
    side = "high" if held.relative_error > 0 else "low"
    return (
        f"{held.predicted:.3f} nats [{between(held.interval, 3)}], "
        f"{100 * abs(held.relative_error):.1f}% too {side}; "
        f"the measured {held.actual:.3f} lies {'inside' if inside else 'outside'} the interval"
    )


with_floor, without = (
    abs(study.prediction.relative_error),
    abs(study.pure_prediction.relative_error),
)
say(
    f"With a floor, the law predicts {verdict_on(study.prediction)}. "
    f"Without one, {verdict_on(study.pure_prediction)}. "
    f"The law {'with' if with_floor < without else 'without'} a floor comes closer."
)

# %% [markdown]
# ## A prediction, then the run
#
# Whoever chose that law had seen the largest size all the same.
# A harder test is a run that nobody has made yet.
# So what the laws say of larger models was written to a file and committed before the first of these runs, and the project's history tells which came first.
# Each takes several times the compute of any run above.

# %% tags=["hide-input"]
BEYOND = "model_size_beyond"
prediction = read_prediction(profile, BEYOND)
scores = score(prediction, profile) if prediction else pd.DataFrame()
if prediction is None:
    say(f"Nothing was predicted for the profile `{profile}`; `paper` has a prediction.")
else:
    ended = scores.groupby("d_model")["runs"].first().sum()
    wanted = scores.groupby("d_model")["wanted"].first().sum()
    rows = [
        {
            "width": row.d_model,
            "N": f"{row.n_non_embedding:,}",
            "law": row.method.replace(" ", "\u00a0"),
            "predicted": cell(row.predicted, (row.low, row.high), 3),
            "measured": f"{row.measured:.3f}" if row.runs else "not yet",
            **(
                {
                    "error (%)": f"{100 * row.error:+.1f}" if row.runs else "",
                    "inside": "yes" if row.low <= row.measured <= row.high else "no",
                }
                if ended
                else {}
            ),
        }
        for row in scores.itertuples()
    ]
    display(pd.DataFrame(rows).set_index(["width", "N", "law"]))
    errors = scores.dropna(subset="error").groupby("method")["error"].apply(lambda e: e.abs().max())
    if ended:
        bet = f"{errors.idxmin()} comes closest to larger models: at most {100 * errors.min():.1f}% off"
    else:
        apart = scores[scores["d_model"] == scores["d_model"].max()]["predicted"]
        bet = f"At the largest size the laws are {apart.max() - apart.min():.2f} nats apart"
    say(
        f"Written down on {prediction.made[:10]} from {len(prediction.fitted)} runs; {ended} of "
        f"{wanted} predicted runs have been made, which take {scores['compute'].min():.1f} to "
        f"{scores['compute'].max():.1f} times the compute of the largest of those. "
        + ("" if ended else "**The bet is open.** Which law would you back?")
    )

# %% mystnb={"figure": {"name": "fig-size-predictions", "caption": "The runs that were fitted, and what each law says of the mean of three runs at two larger sizes, with 95% intervals; beside them, where they have been made, the runs themselves."}} tags=["hide-input"]
if prediction:
    done = Store(profile).found(expand(load_experiment(BEYOND), profile))
    beyond = to_table(done) if done else pd.DataFrame(columns=["n_non_embedding", "seed", "nats"])
    display(
        predictions_figure(
            pd.DataFrame({"x": N, "seed": seed, "loss": loss}),
            scores.rename(columns={"n_non_embedding": "x"}),
            beyond.rename(columns={"n_non_embedding": "x", "nats": "loss"}).dropna(subset="loss"),
            xlabel=SIZE_LABEL,
            title=bet,
        )
    )

# %% tags=["hide-input"]
maximal = pd.DataFrame()
if prediction and profile in load_experiment("size_maximal").profiles:
    maximal = to_table(Store(profile).found(expand(load_experiment("size_maximal"), profile)))
if len(maximal) and len(beyond) and maximal["d_model"].nunique() > 1:
    both = pd.concat([study.runs, beyond]).groupby("d_model")["nats"].agg(["mean", "count"])
    new = maximal.groupby("d_model")["nats"].agg(["mean", "count"])
    steps = new.index.intersection(both.index)
    display(
        pd.DataFrame(
            {
                "the recipe of this chapter": both.loc[steps, "mean"].map("{:.3f}".format),
                "maximal updates": new.loc[steps, "mean"].map("{:.3f}".format),
                "runs": [
                    f"{both.loc[d, 'count']:.0f} and {new.loc[d, 'count']:.0f}" for d in steps
                ],
            }
        )
    )
    falls = {
        name: table.loc[steps[0], "mean"] - table.loc[steps[-1], "mean"]
        for name, table in (("recipe", both), ("maximal", new))
    }
    reached = new.loc[steps[-1], "mean"]
    told = scores[scores["d_model"] == steps[-1]].to_dict("records")
    foreseen = min(told, key=lambda row: abs(row["error"])) if told else None
    say(
        f"**What went wrong?** From width {steps[0]} to {steps[-1]} the recipe of this chapter "
        f"{'gains' if falls['recipe'] > 0 else 'loses'} {abs(falls['recipe']):.3f} nats. "
        f"The same models under the maximal updates of chapter 8, at the rate of "
        f"width 64, {'gain' if falls['maximal'] > 0 else 'lose'} {abs(falls['maximal']):.3f}. "
        + (
            "So it was not size that had stopped to pay, but the recipe: **a scaling law is one of "
            "models that are trained well at every size, and it ends where that ends.**"
            if falls["maximal"] > max(0.03, falls["recipe"] + 0.03)
            else "So the recipe does not explain it."
        )
        + (
            f" Against the model trained so, the prediction of {foreseen['method']} for width "
            f"{steps[-1]} is {100 * (foreseen['predicted'] / reached - 1):+.1f}% off, and its interval "
            f"{'holds' if foreseen['low'] <= reached <= foreseen['high'] else 'misses'} it. But that "
            f"comparison was thought of after the runs, rests on {new.loc[steps[-1], 'count']:.0f} "
            f"run, and so settles nothing."
            if foreseen is not None
            else ""
        )
    )

# %% [markdown]
# ## What E and α trade
#
# Move the floor and fit the rest.
# A higher floor leaves less loss to explain, so the remainder must fall faster, with a larger $\alpha$.
# Inside the measured sizes the curves are hard to tell apart; beyond them they part.

# %% tags=["hide-input", "nbval-ignore-output"]
lowest = float(sizes["nats"].min())
frames = sorted({0.0, *(round(x, 2) for x in np.linspace(0.25, 0.95, 8) * lowest)})
fits = {E: fit_power_law(N, loss, floor=E) for E in frames}
dense = np.linspace(0, 0.97 * lowest, 40)
alphas = [fit_power_law(N, loss, floor=E).alpha for E in dense]
reach = np.geomspace(N.min(), 10 * N.max(), 200)
bottom = min(fit.loss(10 * N.max()) for fit in fits.values())


def fixed_floor(E: float) -> Figure:
    """The law with its floor held at E, and where it stands on the line of such laws."""
    fit = fits[E]
    figure = Figure(figsize=(7.2, 3.7), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
    left.plot(sizes["n_non_embedding"], sizes["nats"], "o", color=BLUE)
    left.axvspan(N.max(), reach[-1], color=QUIET, alpha=0.1, linewidth=0)
    left.plot(reach, fit.loss(reach), color=INK)
    left.set_xscale("log")
    left.xaxis.set_major_formatter(EngFormatter(sep=""))
    left.set_ylim(bottom - 0.05 * lowest, 1.03 * float(sizes["nats"].max()))
    left.set_xlabel("N (grey: not measured)")
    left.set_ylabel(NATS)
    right.axvspan(*law.E_interval, color=ORANGE, alpha=0.25, linewidth=0, label="95% interval of E")
    right.plot(dense, alphas, color=QUIET)
    right.plot([E], [fit.alpha], "o", color=VERMILION, markersize=8)
    right.set_xlabel("E held at (nats a token)")
    right.set_ylabel("α that fits best")
    right.legend(loc="upper left")
    figure.suptitle(
        f"E = {E:.2f}: α = {fit.alpha:.3f}, residuals {100 * fit.residual_rms:.2f}%, "
        f"at ten times the largest N {float(fit.loss(10 * N.max())):.2f} nats",
        x=0.01,
        ha="left",
        fontsize=10.5,
        fontweight="bold",
    )
    return figure


explore(fixed_floor, "The law with its floor held fixed", E=frames)

# %% tags=["hide-input"]
draws_E, _, draws_alpha = law.resamples.T
if draws_E.std() > 1e-6:
    correlation = np.corrcoef(draws_E, draws_alpha)[0, 1]
    ends = [fit_power_law(N, loss, floor=min(E, 0.99 * loss.min())).alpha for E in law.E_interval]
    say(
        f"Over the 95% interval of E, {between(law.E_interval, 2)}, the best α goes from "
        f"{ends[0]:.3f} to {ends[1]:.3f}. In the bootstrap the two have a correlation of "
        f"{correlation:.2f}"
        + (": the pair is known better than either alone." if correlation > 0.8 else ".")
    )
else:
    say("Here every imitation of the experiment puts E at 0: the runs show no floor at all.")

# %% [markdown]
# ## The claims against our intervals

# %% tags=["hide-input"]
rows, words = [], []
for claim in SIZE_CLAIMS:
    fit = law if claim.with_floor else pure
    low, high = fit.alpha_interval
    inside = low <= claim.exponent <= high
    rows.append(
        {
            "claim": claim.source,
            "law": claim.form.replace(" ", "\u00a0"),
            "claimed α": f"{claim.exponent:g}",
            "our α, 95%": cell(fit.law.alpha, (low, high), 3),
            "the claim lies": "inside" if inside else "outside",
        }
    )
    if fit.law.status.bounds:
        words.append(
            f"- {claim.source}: no verdict. Our fit rests on a bound "
            f"({', '.join(fit.law.status.bounds)}), so its interval says little."
        )
    elif inside:
        words.append(
            f"- {claim.source}: our exponent cannot be told from {claim.exponent:g}. That is no "
            f"proof: all from {between((low, high), 2)} would have passed."
        )
    else:
        poor = (
            f" But this law does not describe our sizes (misfit {fit.misfit:.1f}), so its exponent "
            f"is an average over a bend."
            if fit.widening > 1
            else ""
        )
        words.append(
            f"- {claim.source}: {claim.exponent:g} lies outside our interval. Our exponent is "
            f"{fit.law.alpha / claim.exponent:.2f} times as large.{poor}"
        )
display(pd.DataFrame(rows).set_index("claim"))
say("\n".join(words))

# %% [markdown]
# Neither agreement nor disagreement means that somebody is wrong.
# The numbers answer different questions.
#
# - **Scale.** The published fits rest on models of up to 16 billion parameters. An exponent is a slope where it was measured.
# - **Data.** Each of our sizes sees the same tokens, and few of them. Kaplan's law is for models that have enough; Hoffmann's has a term for the data, $B/D^{\beta}$. At one $D$ that term is a constant, and our fit cannot tell it from the floor: our $E$ is the entropy of the text *plus* what the short training costs. If that cost depends on the size, it also bends the curve.
# - **The floor itself.** Nobody knows the entropy of these stories, so $E$ cannot be checked. It is where this law would end, not what the best possible model would reach.
# - **Text.** Simple stories in tokens of two or three bytes are not web text in tokens of four.
# - **Shape.** Only the width grows here. The published models grew in width and depth.
# - **What N counts.** That one can be measured.
#
# ## What N counts
#
# In a small model the embedding is a large part of all weights; it also scores the tokens at the output, and so it does work.
# Kaplan et al. leave it out, Hoffmann et al. count it, and Pearce and Song {cite}`pearce2024reconciling` show that this accounts for much of the difference between their exponents.
# Here are our runs, fitted again with each count.

# %% tags=["hide-input"]
COUNTS = {
    "n_non_embedding": "without embedding",
    "n_with_output": "with output layer",
    "n_total": "total",
}
refits = {}
for column in COUNTS:
    points = runs[column], runs["seed"], runs["nats"]
    refits[column] = bootstrap_power_law(*points), bootstrap_power_law(*points, floor=0.0)
rows = {
    name: {
        "range of N": f"{runs[column].max() / runs[column].min():.0f}-fold",
        "E (nats)": cell(refits[column][0].law.E, refits[column][0].E_interval, 2),
        "α with floor": cell(refits[column][0].law.alpha, refits[column][0].alpha_interval, 3),
        "misfit": f"{refits[column][0].misfit:.1f}",
        "α without": cell(refits[column][1].law.alpha, refits[column][1].alpha_interval, 3),
        "misfit (without)": f"{refits[column][1].misfit:.1f}",
    }
    for column, name in COUNTS.items()
}
display(pd.DataFrame(rows).T.rename_axis("N counted"))
alone, counted = refits["n_non_embedding"], refits["n_with_output"]
share = 1 - smallest["n_non_embedding"] / smallest["n_with_output"]
share_largest = 1 - largest["n_non_embedding"] / largest["n_with_output"]
say(
    f"The embedding is {100 * share:.0f}% of the smallest model and {100 * share_largest:.0f}% of "
    f"the largest. Not counting it gives α = {alone[0].law.alpha:.3f} with a floor and "
    f"{alone[1].law.alpha:.3f} without; counting it, {counted[0].law.alpha:.3f} and "
    f"{counted[1].law.alpha:.3f}. "
    f"Not one loss has changed. An exponent without its count of N is not a number."
)

# %% [markdown]
# ## Width against depth
#
# In all these runs only the width grows.
# Is it size that counts, or its shape?
# Here N is held, and spread over one, two, four or eight layers, with heads of about one width.

# %% tags=["hide-input"]
shapes = pd.DataFrame()
if profile in load_experiment("shape").profiles:
    shapes = to_table(Store(profile).found(expand(load_experiment("shape"), profile)))
if len(shapes):
    shapes = shapes[shapes["status"] == "done"]
    groups = {layers: part["nats"].to_numpy() for layers, part in shapes.groupby("n_layers")}
    best_shape = min(groups, key=lambda layers: groups[layers].mean())
    by_shape = shapes.groupby(["n_layers", "d_model"]).agg(
        N=("n_non_embedding", "first"),
        mean=("nats", "mean"),
        std=("nats", "std"),
        flops=("flops_exact", "first"),
    )
    rows = {
        f"{layers} × {width}": {
            "N": f"{row.N:,.0f}",
            "loss (nats)": f"{row.mean:.3f}\u00a0±\u00a0{row.std:.3f}",
            "exact FLOPs": f"{row.flops / by_shape['flops'].min():.2f} times the least",
        }
        for (layers, width), row in zip(
            by_shape.index, by_shape.itertuples(index=False, name="Row"), strict=True
        )
    }
    display(pd.DataFrame(rows).T.rename_axis("layers × width"))
    span = max(group.mean() for group in groups.values()) - groups[best_shape].mean()
    say(
        f"The lowest mean is that of {best_shape} layers; from the best shape to the worst it is "
        f"{span:.3f} nats, where the largest size of this chapter is "
        f"{smallest['nats'] - largest['nats']:.3f} nats below the smallest. "
        f"The rate of each follows its width by the rule of chapter 4; that it fits every depth as "
        f"well has not been tested."
    )
else:
    say(f"The profile `{profile}` has no records of this experiment, so it is left out here.")

# %% [markdown]
# ## Exercises
#
# ```{exercise} Without the smallest two
# :label: ex-size-smallest
#
# Perhaps the smallest models are too small to follow any law.
# Refit both laws without the smallest two sizes.
# Which exponent moves more, and what would you expect if the pure power law were true?
# ```
#
# ```{solution-start} ex-size-smallest
# :class: dropdown
# ```

# %%
order = np.sort(np.unique(N))
keep = order[1] < N
enough = len(order) - 2 >= 4
lines = []
for name, fixed in (("with a floor", None), ("without", 0.0)) if enough else ():
    everything = fit_power_law(N, loss, fixed)
    rest = fit_power_law(N[keep], loss[keep], fixed)
    lines.append(f"{name:13} α = {everything.alpha:.3f} with all, {rest.alpha:.3f} without two")
print("\n".join(lines) or "Too few sizes are left in this profile for a fit.")

# %% [markdown]
# If a pure power law were true, leaving out sizes would move its exponent only by noise.
# An exponent that drifts with the range is the sign of a bend.
# The law with a floor has the bend built in, but with fewer sizes less is left to fix three constants.
#
# ```{solution-end}
# ```
#
# ```{exercise} One size further
# :label: ex-size-twice
#
# Predict the loss of a model of twice the largest size, by both laws, with intervals.
# Do the intervals overlap, and what does that tell you about intervals?
# ```
#
# ```{solution-start} ex-size-twice
# :class: dropdown
# ```

# %%
lines = []
for name, fit in (("with a floor", law), ("without", pure)):
    low, high = fit.loss_interval(2 * N.max())
    predicted = float(fit.loss(2 * N.max()))
    lines.append(f"{name:13} {predicted:.3f} nats a token, 95% interval {low:.3f} to {high:.3f}")
print("\n".join(lines))

# %% [markdown]
# Each interval is right *if its law holds*.
# It knows the noise of the seeds and, through the misfit, how far the law strays inside the measured sizes.
# It does not know that the law may be the wrong one beyond them.
# Where two laws disagree by more than their intervals, believe the difference between the laws, and train the model.
#
# ```{solution-end}
# ```
#
# ```{exercise} Had there been one seed
# :label: ex-size-one-seed
#
# Fit the law to the runs of each seed alone.
# How far apart are the exponents?
# ```
#
# ```{solution-start} ex-size-one-seed
# :class: dropdown
# ```

# %%
lines = []
for one in np.unique(seed):
    mine = seed == one
    if len(np.unique(N[mine])) >= 4:
        alone = fit_power_law(N[mine], loss[mine])
        lines.append(f"seed {one}: E = {alone.E:.2f}, α = {alone.alpha:.3f}")
print("\n".join([*lines, f"all seeds: E = {law.law.E:.2f}, α = {law.law.alpha:.3f}"]))

# %% [markdown]
# Each of these fits would have looked convincing by itself.
# A paper with one seed reports one of these lines, and cannot know which.
#
# ```{solution-end}
# ```
