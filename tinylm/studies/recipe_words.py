"""The figures, tables and sentences of the chapter on the recipe."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tinylm import say
from tinylm.plots import SweepPanel
from tinylm.say import NO_BREAK
from tinylm.studies.mistuning import (
    EDGE,
    FACTORS,
    GUESS,
    RecipeStudy,
    guess,
    recipe_off,
)
from tinylm.studies.recipe_check import PLACE, RecipeCheck, named
from tinylm.studies.recipe_steps import StepsStudy

AIM = 0.5  # per cent of the loss that the recipe may cost
RATES = ("batch_tokens", "learning_rate", "matrix_learning_rate")  # that are counted in doublings
XLABELS = {  # by the factor's name
    "batch": "doublings",
    "AdamW's rate": "doublings",
    "Muon's rate": "doublings",
    "decay": "roots less one",
}


def sweep_said(study: RecipeStudy) -> str:
    """What was run."""
    runs = study.runs
    widths = sorted(runs["d_model"].unique())
    return (
        f"{len(runs)} runs: widths {', '.join(str(width) for width in widths)} "
        f"({say.short(runs['n_non_embedding'].min())} to "
        f"{say.short(runs['n_non_embedding'].max())} parameters), "
        f"{', '.join(say.short(tokens) for tokens in sorted(runs['asked'].unique()))} tokens. "
        f"At each of these {len(study.cells)} places a guess, and each of its four values "
        f"halved and doubled (the decay: none, and four times as much), one at a time. "
        f"Runs scatter about the parabolas by {say.percent(study.fit.noise, 2)} of the loss, but "
        f"for {study.fit.far_off} that lie more than three times as far off: they came to "
        f"induction, or their neighbours did."
    )


def panels(study: RecipeStudy) -> Iterator[SweepPanel]:
    """A panel an amount of text and factor: loss over that of the guess, in per cent."""
    runs = study.runs
    middle = float(np.exp(study.fit.middle))
    for tokens in sorted(runs["asked"].unique()):
        for factor, name in FACTORS.items():
            here = runs[(runs["asked"] == tokens) & _alone(runs, factor)]
            points, curves = [], []
            for width, one in here.groupby("d_model"):
                label = f"width {width}"
                x, losses = (one[name].to_numpy(float) for name in (f"off_{factor}", "nats"))
                y = 100 * (losses / losses[np.abs(x).argmin()] - 1)
                points.append(pd.DataFrame({"label": label, "x": x, "y": y}))
                line = np.linspace(x.min(), x.max(), 40)
                n = float(one["n_non_embedding"].iloc[0])
                along = 100 * study.fit.along(n, float(tokens), factor, line)
                curves.append(pd.DataFrame({"label": label, "x": line, "y": along}))
            yield SweepPanel(
                row=f"{say.short(float(tokens))} tokens",
                column=name,
                points=pd.concat(points),
                curves=pd.concat(curves),
                rule=float(recipe_off(middle, float(tokens), 256)[list(FACTORS).index(factor)]),
            )


def _alone(runs: pd.DataFrame, factor: str) -> "pd.Series[bool]":
    """Whether no factor but this one is moved."""
    others = [f"off_{name}" for name in FACTORS if name != factor]
    return runs[others].abs().max(axis=1).lt(0.3)


def sweep_title(study: RecipeStudy) -> str:
    """What a factor of two costs."""
    fit, cells = study.fit, study.cells
    n, d = float(np.median(cells["N"])), 1e6
    costs = {
        name: max(float(fit.along(n, d, factor, np.array([x]))[0]) for x in (-1.0, 1.0))
        for factor, name in FACTORS.items()
    }
    worst = max(costs, key=lambda name: costs[name])
    return (
        f"Twice or half of one value costs little: at a middling place at most "
        f"{say.percent(costs[worst])} ({worst})"
    )


def best_table(study: RecipeStudy) -> pd.DataFrame:
    """The best value of each factor at each place, with 95% intervals."""
    rows = []
    for row in study.cells.to_dict("records"):
        centre = guess(row["D"], 256)
        told = {"width": row["d_model"], "tokens": say.short(row["D"])}
        for factor, name in FACTORS.items():
            told[name] = _best(row, factor, centre[factor])
        rows.append(told)
    return pd.DataFrame(rows).set_index(["width", "tokens"])


def _best(row: Mapping[Any, Any], factor: str, own: float) -> str:
    """'0.021 [0.014, 0.031]', or a bound where it lies beyond the values tried."""

    def value(off: float) -> float:
        return own * (max(0.0, 1 + off) ** 2 if factor == "weight_decay" else 2.0**off)

    def told(off: float) -> str:
        return f"{value(off):,.0f}" if factor == "batch_tokens" else f"{value(off):.2g}"

    best, low, high = (row[f"{part}_{factor}"] for part in ("best", "low", "high"))
    if abs(best) > EDGE:
        return f"{told(np.sign(best) * EDGE)} or {'more' if best > 0 else 'less'}"
    return f"{told(best)} [{told(max(low, -EDGE))},{NO_BREAK}{told(min(high, EDGE))}]"


def moves_said(study: RecipeStudy) -> str:
    """By which power of D and of N the best batch and rates move."""
    cells, lines = study.cells, []
    middle_n = float(np.exp(np.log(cells["N"]).mean()))
    middle_d = float(np.exp(np.log(cells["D"]).mean()))
    ends = {
        "D": ((middle_n, cells["D"].min()), (middle_n, cells["D"].max())),
        "N": ((cells["N"].min(), middle_d), (cells["N"].max(), middle_d)),
    }
    for place, factor in enumerate(RATES):
        told = []
        for axis, (start, end) in ends.items():
            found, low, high = study.fit.powers(start, end)
            own = GUESS[factor][1] if axis == "D" else 0.0
            bounds = say.interval((own + low[place], own + high[place]), 2)
            told.append(f"{axis}^{own + found[place]:z.2f} {bounds}")
        lines.append(f"- {FACTORS[factor]} moves with {' and with '.join(told)};")
    lines[-1] = lines[-1][:-1] + "."
    said = "\n".join(lines)
    return f"Between the ends of what was tried, the best\n\n{said}"


def cost_lines(study: RecipeStudy) -> pd.DataFrame:
    """What the recipe costs over N for each amount of text: label, x, y, low, high."""
    cells = study.cells
    return pd.DataFrame(
        {
            "label": [f"{say.short(d)} tokens" for d in cells["D"]],
            "x": cells["N"],
            "y": cells["cost"],
            "low": cells["cost_low"],
            "high": cells["cost_high"],
        }
    )


def _worst(study: RecipeStudy) -> dict[str, float]:
    """The place where the recipe costs most."""
    places: list[dict[str, float]] = study.cells.to_dict("records")  # type: ignore[assignment]
    return max(places, key=lambda place: place["cost"])


def cost_title(study: RecipeStudy) -> str:
    """The largest cost of the recipe."""
    worst = _worst(study)
    meets = "within" if worst["cost"] <= AIM else "above"
    return (
        f"The recipe costs at most {worst['cost']:.1f}{NO_BREAK}% of the loss, {meets} the aim of "
        f"{AIM:g}{NO_BREAK}%"
    )


def check_table(check: RecipeCheck) -> pd.DataFrame:
    """What each value costs at each place that was not swept, in per cent of the loss."""
    rows = []
    for name, row in zip(named(check.places), check.places.to_dict("records"), strict=True):
        told = {"place": name}
        told |= {factor: f"{row[f'cost_{key}']:.2f}" for key, factor in FACTORS.items()}
        bounds = say.interval((row["cost_low"], row["cost_high"]), 2)
        rows.append(told | {"in all (%)": f"{row['cost']:.2f} {bounds}"})
    return pd.DataFrame(rows).set_index("place")


def check_said(check: RecipeCheck) -> str:
    """Where the recipe costs most, and whether that is within the aim."""
    places = check.places
    costs = dict(zip(named(places), places["cost"], strict=True))
    worst = max(costs, key=lambda name: costs[name])
    within = int((places["cost"] <= AIM).sum())
    sure = int((places["cost_low"] > AIM).sum())
    beyond = int((places[[f"best_{key}" for key in FACTORS]].abs() > EDGE).to_numpy().sum())
    said = (
        f"{len(check.runs)} runs, {check.runs['seed'].nunique()} of each. "
        f"At {within} of {len(places)} places the recipe costs {AIM:g}{NO_BREAK}% or less, and at "
        f"{sure} it surely costs more; most at {worst}, {costs[worst]:.2f}{NO_BREAK}%."
    )
    each = places[[f"cost_{key}" for key in FACTORS]].mean()
    dear = max(FACTORS, key=lambda key: each[f"cost_{key}"])
    sides = {"more" if best > 0 else "less" for best in places[f"best_{dear}"]}
    if len(sides) == 1:
        said += (
            f" Most of it comes of one value, {FACTORS[dear]}: {sides.pop()} would be better at "
            f"every one of these places."
        )
    if beyond:
        said += (
            f" {beyond} of {len(places) * len(FACTORS)} values would be best beyond half or twice "
            f"the recipe's; what they cost is counted up to there."
        )
    return said


def matched_said(before: RecipeCheck, after: RecipeCheck) -> str:
    """What keys that start as queries save at the recipe's own values, and whether batches may now
    be as large as the rule has them.
    """
    saved = matched_savings(before.runs, after.runs)
    first, last = min(saved, key=lambda name: saved[name]), max(saved, key=lambda name: saved[name])
    batch = [float(check.places["cost_batch_tokens"].median()) for check in (before, after)]
    most = [100 * float(check.places["scatter"].max()) for check in (before, after)]
    verdict = (
        "Induction is what the small batches paid for."
        if batch[1] < batch[0] / 2
        else "So induction is not what smaller batches pay for."
    )
    return (
        f"At the recipe's own values the loss falls by {say.percent(saved[first])} ({first}) to "
        f"{say.percent(saved[last])} ({last}). Runs of one place scatter by up to "
        f"{most[1]:.1f}{NO_BREAK}% about its parabolas, and did by {most[0]:.1f}{NO_BREAK}% when "
        f"each seed came to induction at a time of its own, or not. What the batch costs went "
        f"from {batch[0]:.2f} to {batch[1]:.2f}{NO_BREAK}% (median of the places). {verdict}"
    )


def matched_savings(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, float]:
    """1 - loss after / loss before, of the runs at the centre of each place, by its name."""
    means = []
    for runs in (before, after):
        off = runs[[f"off_{key}" for key in FACTORS]].abs().sum(axis=1)
        nearest = off.groupby([runs[name] for name in PLACE]).transform("min")
        centre = runs[off <= nearest]  # the recipe, rounded
        means.append(np.log(centre["nats"]).groupby([centre[name] for name in PLACE]).mean())
    saved = (1 - np.exp(means[1] - means[0])).rename("saved").reset_index()
    return dict(zip(named(saved), map(float, saved["saved"]), strict=True))


def noise_lines(noise: pd.DataFrame, column: str) -> dict[str, list[float]]:
    """A column along the run of each width, for a figure."""
    return {f"width {width}": one[column].to_list() for width, one in noise.groupby("d_model")}


def noise_title(noise: pd.DataFrame) -> str:
    """How far the noise scale grows."""
    ends = noise.groupby("d_model")["noise_scale"].agg(["first", "last"]).mean()
    first, last = (say.short(float(f"{ends[end]:.2g}")) for end in ("first", "last"))
    return f"While the loss falls, the noise scale grows from about {first} to {last} tokens"


def noise_said(noise: pd.DataFrame) -> str:
    """How the recipe's batch compares with it, and what text that batch wastes."""
    last = noise.groupby("d_model").last()
    shares = last["batch"] / last["noise_scale"]
    return (
        f"Where the cool-down begins, the recipe's batches are {_from_to(shares)} of the noise "
        f"scale. By McCandlish et al. a batch of a share s of it needs 1 + s times the text that "
        f"the smallest batches would need for the same loss: so {_from_to(shares / (1 + shares))} "
        f"of what is read goes to waste, for fewer and larger steps."
    )


def halving_said(noise: pd.DataFrame) -> str:
    """What batches half as large would save, by the noise scale."""
    last = noise.groupby("d_model").last()
    shares = last["batch"] / last["noise_scale"]
    saved = 1 - (1 + shares / 2) / (1 + shares)
    return (
        f"The noise scale has a reason that holds for any model: batches half as large would need "
        f"{_from_to(saved)} less text for the same loss, and twice the steps. By that alone there "
        f"would be no best batch for a text, only a price for taking fewer steps."
    )


def _from_to(shares: "pd.Series[float]") -> str:
    """'12 % to 14 %', or one of them where they print alike."""
    ends = [say.percent(float(end), 0) for end in (shares.min(), shares.max())]
    return " to ".join(dict.fromkeys(ends))


def steps_columns(study: StepsStudy) -> dict[str, pd.DataFrame]:
    """What each step earns alone and what it is missed by, in per cent, for a figure."""
    columns = {}
    for name, column in (("alone it earns", "earns"), ("missing it costs", "missed")):
        gain = study.steps.set_index("step")[column]
        ends = {"gain": gain, "low": gain - study.half, "high": gain + study.half}
        columns[name] = 100 * pd.DataFrame(ends)
    return columns


def steps_title(study: StepsStudy) -> str:
    """What all steps earn, and which earns most."""
    most = study.steps.sort_values("earns")["step"].iloc[-1]
    fall = say.percent(1 - np.exp(study.recipe - study.first), 0)
    return f"The recipe lowers the loss by {fall}; its largest step: {most}"


def steps_said(study: StepsStudy) -> str:
    """How far apart the recipes are, what the steps add up to, which is missed most, and which
    earn nothing that could be told from nothing."""
    runs, steps = study.runs, study.steps
    first, recipe = np.exp(study.first), np.exp(study.recipe)
    most = steps.sort_values("missed").iloc[-1]
    more = "more" if study.left_over > 0 else "less"
    idle = steps[(steps[["earns", "missed"]] < study.half).all(axis=1)]["step"]
    none = f" Neither alone nor missing is anything seen of: {', '.join(idle)}."
    missed = 100 * float(most["missed"])
    ends = (missed - 100 * study.half, missed + 100 * study.half)
    return (
        f"Width {runs['d_model'].iloc[0]}, {say.short(float(runs['tokens'].min()))} tokens, "
        f"{runs['seed'].nunique()} seeds, {len(runs)} runs. From the first recipe to this one the "
        f"loss falls from {first:.3f} to {recipe:.3f} nats per token, by "
        f"{say.percent(1 - recipe / first)}; in log loss that is "
        f"{abs(100 * study.left_over):.1f}{NO_BREAK}% {more} than the steps earn one by one. "
        f"Missed most is: {most['step']}, {missed:.1f}{NO_BREAK}% {say.interval(ends, 1)}."
        f"{none if len(idle) else ''}"
    )


def cost_said(study: RecipeStudy) -> str:
    """Where it costs most, how sure that is, and which value is to blame."""
    cells, worst = study.cells, _worst(study)
    parts = {name: float(worst[f"cost_{factor}"]) for factor, name in FACTORS.items()}
    most = max(parts, key=lambda name: parts[name])
    return (
        f"It costs most at width {worst['d_model']:.0f} with {say.short(worst['D'])} tokens, "
        f"{worst['cost']:.2f}{NO_BREAK}% "
        f"{say.interval((worst['cost_low'], worst['cost_high']), 2)}, of which "
        f"{parts[most]:.2f}{NO_BREAK}% for {most}; the median place pays "
        f"{cells['cost'].median():.2f}{NO_BREAK}%. "
        f"Costs cannot be negative, so that noise only raises them: the intervals begin above 0."
    )
