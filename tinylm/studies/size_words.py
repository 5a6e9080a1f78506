"""What the pages and chapter 6 say of the study of sizes: tables, and sentences that follow."""

from typing import Any

import numpy as np
import pandas as pd

from tinylm import say
from tinylm.laws import HeldOut, PowerLawWithIntervals, fit_power_law
from tinylm.laws.published import SIZE_CLAIMS
from tinylm.laws.scatter import interval
from tinylm.laws.table_words import NO_LAW, sure
from tinylm.say import NO_BREAK
from tinylm.studies.size import COUNTS, Bend, SizeStudy, Study

WITH_FLOOR, WITHOUT_FLOOR = "L = E + A/N^α".replace(" ", NO_BREAK), f"L{NO_BREAK}={NO_BREAK}A/N^α"
MEASURED_ON = {
    "kaplan2020scaling": "768 to 1.5 billion",
    "hoffmann2022training": "70 million to 16 billion",
    "besiroglu2024chinchilla": "the same models",
}
TIGHT = 0.8  # a correlation above this ties two constants together


def claims_table() -> pd.DataFrame:
    """The published exponents of size, and what they say of ten times the parameters."""
    rows = [
        {
            "source": claim.source,
            "law": claim.form.replace(" ", NO_BREAK),
            "α": f"{claim.exponent:g}",
            "parameters": MEASURED_ON[claim.citation],
            "ten times the parameters": f"{'loss above the floor' if claim.with_floor else 'loss'}"
            f" × {10**-claim.exponent:.2f}",
        }
        for claim in SIZE_CLAIMS
    ]
    return pd.DataFrame(rows).set_index("source")


def settings_table(study: Study, column: str) -> pd.DataFrame:
    """A row a setting: loss and cost, mean over seeds."""
    return pd.DataFrame(
        {
            column: row[column],
            "N": f"{row['n_non_embedding']:,}",
            "D": f"{row['tokens']:,}",
            "nats per token": say.mean_and_spread(row["nats"], row["nats_std"]),
            "bpb": say.mean_and_spread(row["bits_per_byte"], row["bits_per_byte_std"]),
            "seeds": row["n_seeds"],
            "6ND": say.scientific(row["flops_6nd"], 1),
            "C exact": say.scientific(row["flops_exact"], 1),
            f"CPU{NO_BREAK}s": f"{row['cpu_seconds']:,.0f}",
        }
        for row in study.by(column).to_dict("records")
    )


def floors_table(study: Study) -> pd.DataFrame:
    """The n-gram baselines of the data, a row an order."""
    return pd.DataFrame(
        {
            "order": [floor.order for floor in study.floors],
            "nats per token": [f"{floor.nats_per_token:.3f}" for floor in study.floors],
            "bpb": [f"{floor.bits_per_byte:.3f}" for floor in study.floors],
        }
    )


def laws_table(study: SizeStudy) -> pd.DataFrame:
    """The two laws side by side: a row a quantity."""
    return pd.DataFrame(
        {
            "with 95% intervals": [
                "exponent α",
                "E (nats per token)",
                "misfit",
                "residuals (rms)",
                "predicted for the largest size",
                "measured there",
                "error of the prediction",
            ],
            WITH_FLOOR: _law(study.law, study.prediction),
            WITHOUT_FLOOR: _law(study.pure, study.pure_prediction),
        }
    )


def _law(law: PowerLawWithIntervals, held: HeldOut) -> list[str]:
    floor = "0, by choice"
    if law.resamples[:, 0].any():
        floor = f"{law.law.E:.2f}{sure(law.misfit, law.E_interval, 2)}"
    return [
        f"{law.law.alpha:.3f}{sure(law.misfit, law.alpha_interval)}",
        floor,
        f"{law.misfit:.1f}",
        f"{100 * law.law.residual_rms:.2f} %",
        f"{held.predicted:.3f} {say.interval(held.interval)}",
        f"{say.mean_and_spread(held.actual, held.actual_std)}, "
        f"{say.within(held.interval, held.actual)}",
        f"{100 * abs(held.relative_error):.2f} %",
    ]


def runs_said(study: SizeStudy) -> str:
    """Which runs these are."""
    done, diverged = len(study.finished), len(study.runs) - len(study.finished)
    n = study.finished["n_non_embedding"]
    return (
        f"Profile `{study.store.profile}`, corpus `{study.corpus}`: {done} runs of "
        f"{study.finished['tokens'].max():,} tokens each; "
        f"{f'{diverged} more diverged and are left out' if diverged else 'none diverged'}. "
        f"N, unless said otherwise, counts the weights of the layers without the embedding, and "
        f"grows {n.max() / n.min():.0f}-fold. Losses are means ± one standard deviation over seeds."
    )


def gain_said(study: SizeStudy) -> str:
    """What ten times the parameters gain, at either end, and which sizes pass the n-grams."""
    sizes, floor = study.by("d_model"), study.best_floor
    first, last = sizes["n_non_embedding"].iloc[[0, -1]]
    factor = min(10.0, last / first)
    passing = int((sizes["nats"] < floor.nats_per_token).sum())
    return (
        f"**What do I gain?** From the smallest model to one of {factor:.3g} times its size, the "
        f"loss falls by {_gain(study.law, first, factor)}. From a model of 1/{factor:.3g} of the "
        f"largest size to the largest, by {_gain(study.law, last / factor, factor)}. {passing} of "
        f"{len(sizes)} sizes are below the best n-gram baseline ({floor.nats_per_token:.3f} nats, "
        f"order {floor.order})."
    )


def _gain(law: PowerLawWithIntervals, start: float, factor: float) -> str:
    ends, draws = law.loss([start, factor * start]), law.loss_resamples([start, factor * start])
    bounds = say.interval(interval(draws[:, 0] - draws[:, 1]), 2)
    return f"{ends[0] - ends[1]:.2f} nats {bounds}, or {100 * (1 - ends[1] / ends[0]):.0f} %"


def misfit_said(study: SizeStudy) -> str:
    """Which law lies closer to the sizes' means, and whether as close as the seeds allow."""
    law, pure = study.law, study.pure
    notes = []
    if law.law.status.bounds:
        notes.append(
            f"The fit with a floor rests on a bound ({', '.join(law.law.status.bounds)}), so its "
            f"intervals say little."
        )
    if not (law.law.status.converged and pure.law.status.converged):
        notes.append("A fit did not converge.")
    (close, name), (far, _) = sorted(
        ((law, "with"), (pure, "without")), key=lambda pair: pair[0].misfit
    )
    notes.append(
        f"The law {name} a floor lies closer to the sizes' means (misfit {close.misfit:.1f} "
        f"against {far.misfit:.1f})."
    )
    if far.widening == 1:
        notes.append("Both are about as close as seeds allow.")
    elif close.widening == 1:
        notes.append("It is about as close as seeds allow, the other is not.")
    else:
        notes.append(
            "Neither is as close as seeds allow: the true curve is neither, and the intervals were "
            f"widened for it, or are left out where the misfit is above {NO_LAW:.0f}."
        )
    return " ".join(notes)


def bend_said(study: SizeStudy) -> str:
    """Whether one power law describes the sizes, by a parabola through all and without one."""
    runs = study.finished
    everything = Bend.of(runs)
    without = runs[runs["n_non_embedding"] > runs["n_non_embedding"].min()]
    rest = Bend.of(without, among=runs)
    verdict = {
        "above 0": "larger models gain less from growing than smaller ones. **No single power law "
        "describes these sizes**, and an exponent without a floor depends on which sizes one "
        "looks at",
        "below 0": "larger models gain more from growing than smaller ones. **No single power law "
        "describes these sizes**, and a floor does not mend it",
        "around 0": "these runs do not tell a pure power law from a bent one. A fit with a floor "
        "then has more freedom than the data can fix",
    }[everything.place]
    return (
        f"The curvature is {everything.value:.4f} {say.interval(everything.interval, 4)}, "
        f"{everything.place}: {verdict}. Does one size make all of the bend? Without the smallest "
        f"it is {rest.value:.4f} {say.interval(rest.interval, 4)}, {rest.place}."
    )


def held_out_said(study: SizeStudy) -> str:
    """How either law foresaw the largest size."""
    closer = abs(study.prediction.relative_error) < abs(study.pure_prediction.relative_error)
    return (
        f"With a floor, the law predicts {_foreseen(study.prediction)}. Without one, "
        f"{_foreseen(study.pure_prediction)}. The law {'with' if closer else 'without'} a floor "
        f"comes closer."
    )


def _foreseen(held: HeldOut) -> str:
    side = "high" if held.relative_error > 0 else "low"
    return (
        f"{held.predicted:.3f} nats {say.interval(held.interval)}, "
        f"{100 * abs(held.relative_error):.1f} % too {side}; the measured {held.actual:.3f} lies "
        f"{say.within(held.interval, held.actual)} the interval"
    )


def trade_said(study: SizeStudy) -> str:
    """How far E and α are tied to each other."""
    law, runs = study.law, study.finished
    E, _, alpha = law.resamples.T
    if E.std() <= 1e-6:
        return "Here every imitation of the experiment puts E at 0: the runs show no floor at all."
    highest = 0.99 * runs["nats"].min()
    ends = [
        fit_power_law(runs["n_non_embedding"], runs["nats"], floor=min(end, highest)).alpha
        for end in law.E_interval
    ]
    correlation = np.corrcoef(E, alpha)[0, 1]
    told = f"the 95% interval of E, {say.interval(law.E_interval, 2)}"
    if law.misfit > NO_LAW:
        told = "imitations of the experiment, by a law that does not hold here"
    return (
        f"Over {told}, the best α goes from "
        f"{ends[0]:.3f} to {ends[1]:.3f}. In the bootstrap the two have a correlation of "
        f"{correlation:.2f}"
        + (": the pair is known better than either alone." if correlation > TIGHT else ".")
    )


def verdict_table(study: SizeStudy) -> pd.DataFrame:
    """Each claim beside our interval of the same exponent."""
    rows = []
    for claim in SIZE_CLAIMS:
        law = study.law if claim.with_floor else study.pure
        rows.append(
            {
                "claim": claim.source,
                "law": claim.form.replace(" ", NO_BREAK),
                "claimed α": f"{claim.exponent:g}",
                "our α, 95%": f"{law.law.alpha:.3f}{sure(law.misfit, law.alpha_interval)}",
                "the claim lies": say.within(law.alpha_interval, claim.exponent)
                if law.misfit <= NO_LAW
                else "beside a law that does not hold here",
            }
        )
    return pd.DataFrame(rows).set_index("claim")


def verdict_said(study: SizeStudy) -> str:
    """What follows for each claim, a line each."""
    lines = []
    for claim in SIZE_CLAIMS:
        law = study.law if claim.with_floor else study.pure
        low, high = law.alpha_interval
        if bounds := law.law.status.bounds:
            said = (
                f"no verdict. Our fit rests on a bound ({', '.join(bounds)}), so its interval says "
                f"little."
            )
        elif law.misfit > NO_LAW:
            said = (
                f"no verdict. This law does not hold for our sizes (misfit {law.misfit:.1f}): its "
                f"exponent, {law.law.alpha:.3f}, is an average over a bend, which no interval "
                "mends."
            )
        elif low <= claim.exponent <= high:
            said = (
                f"our exponent cannot be told from {claim.exponent:g}. That is no proof: all from "
                f"{low:.3f} to {high:.3f} would have passed."
            )
        else:
            said = (
                f"{claim.exponent:g} lies outside our interval. Our exponent is "
                f"{law.law.alpha / claim.exponent:.2f} times as large."
            )
            if law.widening > 1:
                said += (
                    f" But this law does not describe our sizes (misfit {law.misfit:.1f}), so its "
                    f"exponent is an average over a bend."
                )
        lines.append(f"- {claim.source}: {said}")
    return "\n".join(lines)


def counts_table(study: SizeStudy) -> pd.DataFrame:
    """Both laws by each count of N."""
    runs, rows = study.finished, {}
    for count, name in COUNTS.items():
        fits = study.counts[study.counts["count"] == count].to_dict("records")
        law, pure = sorted(fits, key=lambda fit: not fit["with_floor"])
        rows[name] = {
            "N": f"{runs[count].min():,} to {runs[count].max():,}",
            "E (nats)": f"{law['E']:.2f}{sure(law['misfit'], (law['E_low'], law['E_high']), 2)}",
            "α with floor": _alpha(law),
            "misfit": f"{law['misfit']:.1f}",
            "α without": _alpha(pure),
            "misfit (without)": f"{pure['misfit']:.1f}",
        }
    return pd.DataFrame(rows).T.rename_axis("N counted")


def _alpha(fit: dict[Any, Any]) -> str:
    bounds = fit["alpha_low"], fit["alpha_high"]
    return f"{fit['alpha']:.3f}{sure(fit['misfit'], bounds)}"


def counts_said(study: SizeStudy) -> str:
    """What counting the embedding does to the exponents."""
    sizes = study.by("d_model")
    share = 100 * (1 - sizes["n_non_embedding"] / sizes["n_with_output"])
    alphas = study.counts.set_index(["count", "with_floor"])["alpha"]
    alone, counted = alphas["n_non_embedding"], alphas["n_with_output"]
    total = (
        "" if (sizes["n_total"] != sizes["n_with_output"]).any() else
        " Rotary positions have no parameters and the output layer is the embedding used again, so "
        "the total is the count with the output layer."
    )  # fmt: skip
    return (
        f"The embedding is {share.iloc[0]:.0f} % of the smallest model and {share.iloc[-1]:.0f} % "
        f"of the largest. Not counting it gives α = {alone[True]:.3f} with a floor and "
        f"{alone[False]:.3f} without; counting it, {counted[True]:.3f} and {counted[False]:.3f}. "
        f"Not one loss has changed. An exponent without its count of N is not a number.{total}"
    )


def shapes_said(shapes: pd.DataFrame, sizes: pd.DataFrame) -> str:
    """Which shape has the lowest mean, and how little that is beside size: runs of both."""
    means = shapes.groupby("n_layers")["loss"].mean()
    by_size = sizes.groupby("N")["loss"].mean()
    best = min(means.items(), key=lambda pair: float(pair[1]))[0]
    return (
        f"These runs had the first recipe (chapter 5). "
        f"The lowest mean is that of {_layers(int(str(best)))}; from the best shape to the "
        f"worst it is {means.max() - means.min():.3f} nats, where with that recipe the largest "
        f"size is {by_size.iloc[0] - by_size.iloc[-1]:.3f} nats below the smallest. The rate of "
        f"each follows its width by a rule; that it fits every depth as well has not been tested."
    )


def _layers(n: int) -> str:
    return "1 layer" if n == 1 else f"{n} layers"
