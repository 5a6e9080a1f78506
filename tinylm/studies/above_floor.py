"""How far everybody stands above the floor of fables: what the chapter shows of bars and cuts."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tinylm import say
from tinylm.corpora.fables import CORPORA, VARIANTS, Entropy
from tinylm.laws.table_words import NO_LAW, sure
from tinylm.plots import (
    ExcessPanel,
    SlopePanel,
    bits_figure,
    excess_figure,
    loss_by_position_figure,
    slopes_figure,
)
from tinylm.records import RunRecord
from tinylm.studies.compressors import compressed
from tinylm.studies.cuts import Cut, FablesStudy
from tinylm.studies.size import loss_by_position, size_study

AXIS_LABELS = {"N": "N, non-embedding parameters", "D": "D, training tokens"}
EARLY, LATE = 31, 128  # positions that end bins of a record's losses
Cuts = Mapping[str, Cut]  # by axis, or by whatever names them


# --- what the text costs, and who comes near ---


def entropy_table(entropies: Mapping[str, Entropy]) -> pd.DataFrame:
    """A row for each corpus: its tail, and the entropy of its documents."""
    rows = [
        {
            "corpus": corpus,
            "tail exponent a": f"{VARIANTS[variant].tail:.2f}",
            "nats per document": f"{entropies[variant].nats:.1f}",
            "bytes per document": f"{entropies[variant].bytes:,.0f}",
            "bits per byte": f"{entropies[variant].bits_per_byte:.4f}",
        }
        for corpus, variant in CORPORA.items()
    ]
    return pd.DataFrame(rows).set_index("corpus")


def entropy_words(one: Entropy) -> str:
    """Which choices the entropy of a document comes from."""
    share = {kind: part / one.nats for kind, part in one.nats_by_kind.items()}
    return (
        f"Where does it come from? Of a document's entropy, {share['words']:.0%} is the choice of "
        f"words from lists, {share['wordings']:.0%} the choice among wordings, "
        f"{share['names']:.0%} who and which place is met, and {share['plots']:.0%} the plots."
    )


def predictors(study: FablesStudy) -> dict[str, dict[str, float]]:
    """Bits per byte of compressors, of the best n-gram model, and of the smallest, a middle and the
    largest GPT (means over seeds), by kind and name.
    """
    best = study.best_ngram
    groups = {
        "compressor": dict(compressed(study.store).bits_per_byte),
        "n-gram": {f"{best.order}-gram": best.bits_per_byte},
    }
    by_size = study.cuts["N"].runs.groupby("x")["bits_per_byte"].mean()
    if len(by_size):
        shown = by_size.iloc[sorted({0, len(by_size) // 2, len(by_size) - 1})]
        named = zip(shown.index.tolist(), shown.tolist(), strict=True)
        groups["GPT"] = {f"GPT, N = {n:,}": value for n, value in named}
    return groups


def predictors_figure(study: FablesStudy) -> Figure:
    """Every predictor against the exact floor, and who comes nearest."""
    groups, floor = predictors(study), study.floor.bits_per_byte
    everyone = {name: value for group in groups.values() for name, value in group.items()}
    nearest = min(everyone, key=lambda name: everyone[name])
    first = "Something goes" if everyone[nearest] < floor else "Nothing goes"
    title = (
        f"{first} below the floor; {nearest} comes nearest, at {everyone[nearest] / floor:.2f} "
        f"times the entropy"
    )
    return bits_figure(groups, floor, title=title)


def predictors_words(study: FablesStudy) -> str:
    """What the compressors read and need, the floor of the validation documents, the n-grams."""
    squeezed, best, longest = compressed(study.store), study.best_ngram, study.ngrams[-1].order
    needs = squeezed.bits_per_byte[squeezed.best]
    more = ", and longer ones might be better still" if best.order == longest else ""
    return (
        f"The compressors read {squeezed.bytes / 1e6:.1f} MB, {squeezed.documents:,} documents, "
        f"whose own exact code length is {squeezed.floor_bits_per_byte:.4f} bits per byte. "
        f"The best of them, `{squeezed.best}`, needs {needs:.3f}: "
        f"{needs / squeezed.floor_bits_per_byte:.1f} times as many. "
        f"The floor of the validation documents is {study.floor.bits_per_byte:.4f} bits per byte, "
        f"or {study.floor.nats:.4f} nats per token. "
        f"N-grams of orders 1 to {longest} were counted; the {best.order}-gram is the best{more}."
    )


# --- two cuts ---


def cuts_figure(cuts: Cuts, floor: float, *, where: str = "") -> Figure | None:
    """The excess along each axis, on log axes; None if no cut has two points yet."""
    shown = {name: cut for name, cut in cuts.items() if cut.fold}
    if not shown:
        return None
    panels = [
        ExcessPanel(AXIS_LABELS[name], cut.runs, cut.law, cut.predicted)
        for name, cut in shown.items()
    ]
    falls = ", ".join(
        f"{cut.fold:.1f}-fold over the range of {name}" for name, cut in shown.items()
    )
    loss = f"{where}, loss" if where else "Loss"
    return excess_figure(panels, floor, title=f"{loss} above the true floor falls {falls}")


def cuts_table(cuts: Cuts) -> pd.DataFrame:
    """The exponent of each cut with its interval, its points and its misfit, as printed."""
    rows = [
        {
            "cut": name,
            "exponent": f"{cut.law.law.alpha:.3f}" if cut.law else "not yet measured",
            "95% interval": sure(cut.law.misfit, cut.law.alpha_interval).strip() if cut.law else "",
            "points": cut.runs["x"].nunique(),
            "misfit": f"{cut.law.misfit:.1f}" if cut.law else "",
        }
        for name, cut in cuts.items()
    ]
    return pd.DataFrame(rows).set_index("cut")


def missing_words(cuts: Cuts) -> str:
    """How many runs the cuts still want; nothing if they have all."""
    return " ".join(
        f"**Not all of it is measured yet:** {len(cut.runs)} of {cut.wanted} runs of the cut in "
        f"{name} have ended without diverging."
        for name, cut in cuts.items()
        if len(cut.runs) < cut.wanted
    )


def cuts_words(cuts: Cuts) -> str:
    """What is missing, and whether the points lie on a line."""
    said = missing_words(cuts)
    bent = [name for name, cut in cuts.items() if cut.law and cut.law.widening > 1]
    if bent:
        said += (
            f" Along {' and '.join(bent)} the points leave the line by more than seeds explain, so "
            f"one exponent is a summary there and no law; where the misfit is above {NO_LAW:.0f} "
            f"it has no interval."
        )
    elif any(cut.law for cut in cuts.values()):
        said += " The lines are as straight as seeds can tell."
    return said.strip()


# --- where both cuts end ---


def corner(cuts: Cuts) -> pd.DataFrame | None:
    """The exponents between the last two points of each cut: a row for each axis, exponent, low,
    high, and steepest, the largest exponent of the cut; None unless both are measured.
    """
    slopes = {name: cut.slopes for name, cut in cuts.items() if cut.slopes is not None}
    if len(slopes) < 2:
        return None
    rows = {name: table.iloc[-1] for name, table in slopes.items()}
    last = pd.DataFrame(rows).T[["exponent", "low", "high"]]
    return last.assign(steepest=[table["exponent"].max() for table in slopes.values()])


def slopes_title(last: pd.DataFrame) -> str:
    """Whether size or text would help more where both cuts end."""
    size, tokens = last.loc["N"], last.loc["D"]
    where = "At the largest model on the most tokens"
    if tokens["low"] <= size["high"] and size["low"] <= tokens["high"]:
        return f"{where}, size and tokens would help alike"
    more, less = ("size", "tokens") if size["low"] > tokens["high"] else ("tokens", "size")
    return f"{where}, more {more} would help more than more {less}"


def corner_figure(cuts: Cuts) -> Figure | None:
    """Exponents between neighbours on each cut; None unless both cuts have them."""
    last = corner(cuts)
    if last is None:
        return None
    panels = [
        SlopePanel(AXIS_LABELS[name], cut.slopes, cut.law.law.alpha if cut.law else None)
        for name, cut in cuts.items()
        if cut.slopes is not None
    ]
    return slopes_figure(panels, title=slopes_title(last))


def corner_words(cuts: Cuts) -> str:
    """What doubling would do in the corner; nothing unless both cuts are measured there."""
    last = corner(cuts)
    if last is None:
        return ""

    def twice(axis: str) -> str:
        powers = (float(last[name][axis]) for name in ("exponent", "low", "high"))
        fall, low, high = (100 * (1 - 2**-power) for power in powers)
        return f"by {fall:.0f}% {say.interval((low, high), 0)}"

    said = (
        f"There, twice the size would lower the excess {twice('N')}, and twice the tokens "
        f"{twice('D')}, if the last step of each cut went on."
    )
    if (last["high"] < last["steepest"] / 2).all():
        said += (
            " Further left on both cuts the same doubling did more than twice as much. "
            "So there is something at the corner that neither size nor text is quick to mend."
        )
    return said


# --- the floor fitted, as one has to where it is unknown ---


def fitted_floors(cuts: Cuts, floor: float) -> pd.DataFrame:
    """A row for each cut with a free fit: true floor, fitted E, its interval if the law holds, the
    misfit, and the exponents of both fits, as printed.
    """
    rows = []
    for name, cut in cuts.items():
        if cut.free is None:
            continue
        row = {
            "cut": name,
            "true floor": f"{floor:.3f}",
            "fitted E": f"{cut.free.law.E:.3f}",
            "95% interval of E": sure(cut.free.misfit, cut.free.E_interval).strip(),
            "misfit": f"{cut.free.misfit:.1f}",
            "exponent": f"{cut.free.law.alpha:.3f}",
            "with the true floor": f"{cut.law.law.alpha:.3f}" if cut.law else "",
        }
        rows.append(row)
    columns = ["cut", "true floor", "fitted E", "95% interval of E", "misfit", "exponent"]
    return pd.DataFrame(rows, columns=[*columns, "with the true floor"]).set_index("cut")


def fitted_floors_words(table: pd.DataFrame) -> str:
    """What fitted floors of cuts are, beside the true one."""
    if table.empty:
        return "Too few runs have ended for this fit."
    misfits = table["misfit"].astype(float)
    broken = list(table.index[misfits > NO_LAW])
    said = (
        "A cut along one axis does not end at the entropy: what the other axis withholds stays, "
        "and E takes it in. So no fitted E of this table estimates the true floor, whatever its "
        "interval."
    )
    if broken:
        said += (
            f" Along {' and '.join(broken)} the law does not hold (a misfit above {NO_LAW:.0f}), "
            f"and its constants have no intervals."
        )
    return said


def beside_natural_text(study: FablesStudy) -> pd.DataFrame:
    """The law with a free floor on the corpus of the size study, and on fables, as printed."""
    other = size_study(study.store)
    wide, runs = other.by("d_model"), study.cuts["N"].runs
    rows = []
    for name, fit, x, tokens in (
        (f"{other.corpus}, chapter 6", other.law, wide["n_non_embedding"], wide["tokens"]),
        (
            "fables, this chapter",
            study.cuts["N"].free,
            runs["x"],
            pd.Series([record.tokens for record in study.records]),
        ),
    ):
        row = {
            "corpus": name,
            "sizes": x.nunique(),
            "N": f"{x.min():,} to {x.max():,}" if len(x) else "—",
            "D": f"{tokens.max():,}" if len(tokens) else "—",
            "exponent in N": "—",
            "fitted E": "—",
        }
        if fit is not None:
            row["exponent in N"] = f"{fit.law.alpha:.3f}{sure(fit.misfit, fit.alpha_interval)}"
            row["fitted E"] = f"{fit.law.E:.2f}{sure(fit.misfit, fit.E_interval, 2)}"
            row["misfit"] = f"{fit.misfit:.1f}"
        rows.append(row)
    return pd.DataFrame(rows).set_index("corpus")


# --- where in a document ---


def position_curves(study: FablesStudy) -> dict[str, pd.DataFrame]:
    """Loss by position of the runs of least and of most compute (means over seeds), and the exact
    floor: first, last, position, nats. Without the first token, which is the same everywhere.
    """
    bins = study.floor.by_position
    bins = bins.assign(position=np.sqrt(bins["first"] * bins["last"]))
    inside = bins["first"] > 1
    by_compute = sorted(study.records, key=lambda record: record.compute.exact)
    curves = {}
    for one in (by_compute[0], by_compute[-1]) if by_compute else ():
        alike = [record for record in study.records if record.compute.exact == one.compute.exact]
        nats = _by_position(alike)
        curves[f"N = {one.parameters.non_embedding:,}, D = {one.tokens:,}"] = bins.assign(
            nats=nats
        )[inside]
    return curves | {"exact floor": bins[inside]}


def _by_position(records: Sequence[RunRecord]) -> list[float]:
    nats: list[float] = loss_by_position(records, "d_model")["nats"].tolist()
    return nats


def position_gap_figure(study: FablesStudy) -> Figure | None:
    """Loss by position against the exact floor there; None before there is a run."""
    curves = position_curves(study)
    *models, floor = curves.values()
    if not models:
        return None
    gap = models[-1]["nats"] - floor["nats"]
    early, late = gap[floor["last"] <= EARLY].mean(), gap[floor["first"] > LATE].mean()
    lines = {
        name: (table["position"].to_numpy(), table["nats"].to_numpy())
        for name, table in curves.items()
    }
    title = (
        f"The run of most compute stands {early:.2f} nats above the floor up to token {EARLY} and "
        f"{late:.2f} after token {LATE}"
    )
    return loss_by_position_figure(lines, title=title)
