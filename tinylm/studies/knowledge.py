"""Whom a model knows: what the true names save of the price that facts have under other names."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tinylm.corpora.fables import VARIANTS, Variant, variant_of
from tinylm.corpora.fables.source import HEAD
from tinylm.laws import MIN_REPEATS, bootstrap_power_law
from tinylm.laws.table_words import sure
from tinylm.plots import KnowledgePanel, knowledge_figure, short
from tinylm.say import NO_BREAK
from tinylm.store import Store
from tinylm.studies.cuts import AXES, LAWS, TAILS, corpora_of, grid, points_hash
from tinylm.studies.excess import Leftover
from tinylm.studies.findings import finding
from tinylm.studies.marking import FACT, KINDS, RANKS
from tinylm.studies.theory import finite_exponent

FACT_POINTS = ["corpus", "axis", "x", "seed", "excess"]
FIRST = f"the{NO_BREAK}first{NO_BREAK}{{:,.0f}}"  # so many characters
HEROES = 2  # of a document, who are told of at length: the hero and the friend


def share_known(ranks: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The share of facts that is known, over the bins of `Leftover.ranks` that agree in `by`: what
    true names save of the price under other names. Columns: `by` and share.
    """
    sums = ranks.groupby(list(by))[["true_names", "other_names"]].sum().reset_index()
    return sums[list(by)].assign(share=1 - sums["true_names"] / sums["other_names"])


def tail_knowledge(parts: Leftover, store: Store) -> pd.DataFrame:
    """Of each corpus the setting of its cuts that knows most characters, means over seeds: corpus,
    tail, n_non_embedding, tokens, share, characters; and exponent, in N, that the theory gives in
    this world for one who knows so many (at least one).
    """
    rows = []
    for corpus in corpora_of(store):
        runs = parts.runs[parts.runs["run_id"].isin(_cut(store, corpus, *TAILS))]
        if runs.empty:
            continue
        settings = runs.groupby(["n_non_embedding", "tokens"])[["share", "characters"]].mean()
        most = settings.reset_index().sort_values("characters").iloc[-1]
        variant = VARIANTS[variant_of(corpus)]
        exponent = finite_exponent("N", variant, max(1.0, most["characters"]))
        rows.append({"corpus": corpus, "tail": variant.tail, **most, "exponent": exponent})
    columns = ["corpus", "tail", "n_non_embedding", "tokens", "share", "characters", "exponent"]
    return pd.DataFrame(rows, columns=columns).astype({"n_non_embedding": int, "tokens": int})


def knowledge_by_tokens(parts: Leftover, document_tokens: float, variant: Variant) -> pd.DataFrame:
    """Of the largest size, what it knows after so many tokens, means over seeds: tokens, seeds,
    share, characters, excess (on new facts); and the exponent of that to the next number of tokens,
    measured and by the theory in this world for as many meetings with a hero (NaN in the last).
    """
    facts = parts.kinds[parts.kinds["kind"] == KINDS[FACT]]
    both = parts.runs.merge(facts[["run_id", "excess"]], on="run_id")
    largest = both[both["n_non_embedding"] == both["n_non_embedding"].max()]
    of = largest.groupby("tokens")
    table: pd.DataFrame = of[["share", "characters", "excess"]].mean()
    table.insert(0, "seeds", of["seed"].nunique())
    table = table.reset_index()
    tokens = table["tokens"].to_numpy(np.float64)
    table["exponent"] = table["theory"] = math.nan
    steps = range(len(table) - 1)
    fall = -np.diff(np.log(table["excess"])) / np.diff(np.log(tokens))
    meetings = HEROES * np.sqrt(tokens[:-1] * tokens[1:]) / document_tokens
    table.loc[steps, "exponent"] = fall
    table.loc[steps, "theory"] = [finite_exponent("D", variant, met) for met in meetings]
    return table


def _cut(store: Store, corpus: str, *axes: str) -> set[str]:
    """The runs of a corpus on the cuts of its tail along these axes."""
    return {run.run_id for axis in axes for run in grid(store, TAILS[axis], corpus)}


def fact_exponents(parts: Leftover, store: Store) -> pd.DataFrame:
    """Of the excess on new facts alone, on the cuts of every tail: corpus, axis, exponent, low,
    high, misfit, a row for each cut of which 3 points or more are measured. The floor is known, so
    there is none to fit. A finding.

    Raises:
        Missing: it was not computed yet, and this is no `tinylm report`.
    """
    facts = parts.kinds[parts.kinds["kind"] == KINDS[FACT]]
    cuts = []
    for corpus in corpora_of(store):
        for axis in TAILS:
            cut = facts[facts["run_id"].isin(_cut(store, corpus, axis))]
            points = cut.assign(axis=axis, x=cut[AXES[axis]])[FACT_POINTS]
            x = points["x"]
            if x.nunique() >= 3 and len(points) - x.nunique() >= MIN_REPEATS:
                cuts.append(points.reset_index(drop=True))

    def compute() -> pd.DataFrame:
        rows = []
        for points in cuts:
            law = bootstrap_power_law(points["x"], points["seed"], points["excess"], floor=0.0)
            low, high = law.alpha_interval
            row = {"corpus": points["corpus"][0], "axis": points["axis"][0]}
            row |= {"exponent": law.law.alpha, "low": low, "high": high, "misfit": law.misfit}
            rows.append(row)
        return pd.DataFrame(rows)

    if not cuts:
        return pd.DataFrame(columns=["corpus", "axis", "exponent", "low", "high", "misfit"])
    key = points_hash(pd.concat(cuts))
    return finding(store, "fact_exponents", [], LAWS, compute, points=key)


# --- what the chapter shows of it ---


def knowledge_lines(ranks: pd.DataFrame, axis: str) -> dict[str, pd.DataFrame]:
    """A line for each value of an axis: x (middle rank of a bin), share and its std over seeds."""
    column = AXES[axis]
    by_seed = share_known(ranks, [column, "x", "seed"])
    return {
        f"{axis} = {short(value)}": by_seed[by_seed[column] == value]
        .groupby("x")["share"]
        .agg(share="mean", std="std")
        .reset_index()
        for value in sorted(by_seed[column].unique().tolist())
    }


def known_figure(parts: Leftover) -> Figure | None:
    """Share known by rank: left of models on the most tokens, right of the largest on several
    numbers of tokens. None before a model is measured.
    """
    ranks = parts.ranks
    if ranks.empty:
        return None
    most, largest = ranks["tokens"].max(), ranks["n_non_embedding"].max()
    sides = {
        f"{short(most)} tokens": knowledge_lines(ranks[ranks["tokens"] == most], "N"),
        f"N = {short(largest)}": knowledge_lines(ranks[ranks["n_non_embedding"] == largest], "D"),
    }
    panels = [KnowledgePanel(name, lines) for name, lines in sides.items() if len(lines) > 1]
    return knowledge_figure(panels, title=_known_title(ranks)) if panels else None


def _known_title(ranks: pd.DataFrame) -> str:
    """What the largest model on the most tokens knows of the ranks met most, less, and least."""
    at_most = ranks[ranks["tokens"] == ranks["tokens"].max()]
    largest = at_most["n_non_embedding"].max()
    best = at_most[at_most["n_non_embedding"] == largest]
    edges = [RANKS[2], RANKS[-3]]
    parts = share_known(best.assign(part=np.digitize(best["first"], edges)), ["part"])
    names = (
        f"the {edges[0] - 1} characters met most",
        f"ranks {edges[0]} to {edges[1] - 1}",
        f"rank {edges[1]} and beyond",
    )
    told = ", ".join(
        f"{_percent(row['share'])} of the facts of {names[int(row['part'])]}"
        for row in parts.to_dict("records")
    )
    return f"N = {short(largest)} knows {told}"


def _percent(share: float) -> str:
    return f"{round(share, 2) + 0:.0%}"  # + 0: never a minus zero


def known_words(parts: Leftover) -> str:
    """What the smallest and the largest model on the most tokens know; nothing before that."""
    ranks = parts.ranks
    if ranks.empty:
        return ""
    at_most = ranks[ranks["tokens"] == ranks["tokens"].max()]
    share = share_known(at_most, ["n_non_embedding"]).set_index("n_non_embedding")["share"]
    return (
        f"Of all facts told of characters for the first time, N = {share.index[0]:,} knows "
        f"{_percent(share.iloc[0])} and N = {share.index[-1]:,} {_percent(share.iloc[-1])}. "
        f"How often a rank is met falls off as a power beyond the first {HEAD}, whose differences "
        "are smaller. Even the rarest characters are told of now and then, as somebody's friend."
    )


def tail_knowledge_table(top: pd.DataFrame) -> pd.DataFrame:
    """`tail_knowledge` as printed."""
    return pd.DataFrame(
        {
            "corpus": top["corpus"],
            "N": top["n_non_embedding"].map("{:,}".format),
            "D": top["tokens"].map("{:,}".format),
            "facts known": top["share"].map("{:.0%}".format),
            "as if it knew": top["characters"].map(FIRST.format),
            "theory there": top["exponent"].map("{:.2f}".format),
            "theory, endless": top["tail"].map("{:.2f}".format),
        }
    ).set_index("corpus")


def tail_knowledge_words(top: pd.DataFrame) -> str:
    """How to read the table, and whether these models are where the theory is about."""
    if top.empty:
        return "Of the models on the three tails none has been measured in this profile."
    said = (
        "For each corpus this is the model of these cuts that knows most. "
        "*As if it knew* says how many characters, the most met first, one would have to know by "
        "heart, and no others, to save as much. "
        "*Theory there* is the exponent in N that the theory gives for one who knows so many, in a "
        f"world with an end and with a head of {HEAD} ranks that is flatter than the power law."
    )
    if (top["exponent"] < top["tail"] / 2).all() and _little(top):
        said += (
            "\n\n**So these models stand at the door of the regime that the theory is about.** "
            "Of the many characters of the tail they know next to nothing, and the exponents above "
            "are those of what is learnt first: grammar, lists and copying."
        )
    return said


def _little(top: pd.DataFrame) -> bool:
    """Whether no model knows half of the facts."""
    return bool(top["share"].max() < 0.5)


def fact_exponents_table(exponents: pd.DataFrame) -> pd.DataFrame:
    """`fact_exponents` as printed."""
    return pd.DataFrame(
        {
            "corpus": exponents["corpus"],
            "cut": exponents["axis"],
            "new facts alone": exponents["exponent"].map("{:.3f}".format),
            "95% interval": [
                sure(row["misfit"], (row["low"], row["high"])).strip()
                for row in exponents.to_dict("records")
            ],
            "misfit": exponents["misfit"].map("{:.1f}".format),
        }
    ).set_index(["corpus", "cut"])


def fact_exponents_words(exponents: pd.DataFrame, top: pd.DataFrame) -> str:
    """What the exponents of the excess on new facts are the price of."""
    if exponents.empty:
        return ""
    said = "And these are the exponents of the excess on new facts alone."
    if _little(top):
        said += (
            " Since few characters are known, most of what falls here is the price of the lists "
            "that facts come from, which all three tails share."
        )
    return said
