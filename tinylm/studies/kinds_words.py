"""The law of each kind of word in words, tables and figures."""

import pandas as pd
from matplotlib.figure import Figure

from tinylm import say
from tinylm.laws.table_words import NO_LAW, sure
from tinylm.plots import growth_figure
from tinylm.studies.grid_words import CALLED
from tinylm.studies.kinds import WHOLE, KindsStudy
from tinylm.studies.marking import KINDS


def excess(study: KindsStudy, along: str) -> pd.DataFrame:
    """Nats per document above the floor, means over seeds, a column a kind: against N with the most
    text, or against D ("asked") of the largest size.
    """
    runs, other = study.runs, "asked" if along == "N" else "N"
    means = runs[runs[other] == runs[other].max()].groupby(along)[list(KINDS)].mean()
    above: pd.DataFrame = means - pd.Series(study.floors)[list(KINDS)]
    return above


def kinds_figure(study: KindsStudy, along: str) -> Figure:
    """What each kind costs above its floor."""
    table = excess(study, along)
    falls = table.iloc[0] / table.iloc[-1]
    times = say.short(float(f"{table.index[-1] / table.index[0]:.2g}"))
    what, label = (
        ("parameters", "N, non-embedding parameters")
        if along == "N"
        else ("text", "D, training tokens")
    )
    return growth_figure(
        [float(x) for x in table.index],
        {kind: table[kind].to_list() for kind in KINDS},
        xlabel=label,
        ylabel="above the floor (nats per document)",
        title=(
            f"{times} times the {what}: what {falls.idxmax()} cost above the floor falls "
            f"{falls.max():.0f}-fold, {falls.idxmin()} {falls.min():.1f}-fold"
        ),
    )


def laws_table(study: KindsStudy) -> pd.DataFrame:
    """The law of each kind and of all words: floor, what the largest model pays above it, exponents
    with 95% intervals where the law holds, and misfit.
    """
    runs = study.runs
    top = runs[(runs["N"] == runs["N"].max()) & (runs["asked"] == runs["asked"].max())].mean(
        numeric_only=True
    )
    rows = []
    for kind, floor in study.floors.items():
        fit = study.best(kind)
        row = {"kind": kind, "floor": f"{floor:.0f}", "largest pays": f"{top[kind]:.0f}"}
        for name, sign in (("alpha", "α"), ("beta", "β")):
            value = getattr(fit.surface, name)
            row[sign] = f"{value:.3f}{sure(fit.misfit, fit.interval(name))}"
        form = fit.surface.form.name
        rows.append(row | {"form": CALLED[form], "misfit": f"{fit.misfit:.1f}"})
    return pd.DataFrame(rows).set_index("kind")


def laws_said(study: KindsStudy) -> str:
    """Which laws hold."""
    misfits = {kind: study.best(kind).misfit for kind in study.floors}
    held = [kind for kind, misfit in misfits.items() if misfit <= NO_LAW]
    broken = [kind for kind in misfits if kind not in held]
    said = "Floors and what models pay are in nats per document."
    if not held:
        return f"{said} None of these laws holds: their exponents describe the runs, and no more."
    said += f" A law holds for {_listed(held)}."
    if broken:
        said += f" None holds for {_listed(broken)}, whose exponents describe and no more."
    return said


def hidden_table(study: KindsStudy) -> pd.DataFrame:
    """What was measured where compute was hidden, and how far off each guide is."""
    rows = [
        {
            "N": say.short(float(f"{row['N']:.3g}")),
            "D": say.short(float(f"{row['D']:.2g}")),
            "nats per document": f"{row['measured']:.0f}",
            "one law off (%)": say.signed(100 * row["whole"], digits=0),
            "laws of kinds off (%)": say.signed(100 * row["summed"], digits=0),
        }
        for row in study.hidden.to_dict("records")
    ]
    return pd.DataFrame(rows).set_index(["N", "D"])


def hidden_said(study: KindsStudy) -> str:
    """How the law of all words and the sum of the kinds' laws foresee the settings of most
    compute.
    """
    worst = study.hidden[["whole", "summed"]].abs().max()
    rms = (study.hidden[["whole", "summed"]] ** 2).mean() ** 0.5
    better = "So the sum is" if rms["summed"] < rms["whole"] else "So the sum is not"
    return (
        f"Fitted without the {len(study.hidden)} settings that took most compute, the law of all "
        f"words is off there by {say.percent(rms['whole'])} (rms), at worst "
        f"{say.percent(worst['whole'])}; the laws of kinds, added up, by "
        f"{say.percent(rms['summed'])}, at worst {say.percent(worst['summed'])}. {better} the "
        f"better guide."
    )


def floor_said(study: KindsStudy) -> str:
    """The floor of a law whose E is fitted as well, against the true one."""
    free, true = study.free, study.floors[WHOLE]
    said = (
        f"With E fitted as well, the law of all words has a floor of {free.surface.E:.0f} nats per "
        f"document; the true one is {true:.0f}."
    )
    if free.misfit > NO_LAW:
        return f"{said} That law does not hold (misfit {free.misfit:.1f}), so it has no interval."
    low, high = free.interval("E")
    inside = "inside" if low <= true <= high else "outside"
    return f"{said} The true floor lies {inside} its interval, {say.interval((low, high), 0)}."


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
