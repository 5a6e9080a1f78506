"""The law of one's own text in words and tables: what was found, and where not to trust it."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from tinylm import say
from tinylm.laws.table_words import NO_LAW, sure
from tinylm.studies.grid import SINCE
from tinylm.studies.grid_words import CALLED
from tinylm.studies.own_law import LEAST_AMOUNTS, MORE, More, OwnLaw

MANY_EPOCHS = 4.0  # read more often, the same text is worth clearly less than new text
APART = 0.02  # of the loss: forms that differ by more far from the runs are told
BY_HEART = 0.1  # nats by which the loss on the text read is below that on new text


def doubts(law: OwnLaw) -> Iterator[str]:
    """Where the law should not be trusted, a sentence each."""
    fit, runs = law.fit, law.runs
    if not law.holds:
        yield (
            f"The law does not hold on this text: settings lie {fit.misfit:.1f} times further from "
            f"it than seeds explain. Its constants describe, and nothing is computed from them."
        )
        yield from _too_short(law)
    if law.since > runs["asked"].min():
        yield (
            f"It is fitted from {say.short(law.since)} tokens on. With fewer the models are still "
            f"learning what no power law describes, such as spelling; that was decided by the runs."
        )
    if fit.surface.status.bounds:
        yield (
            f"The fit rests on a bound ({', '.join(fit.surface.status.bounds)}), so that the runs "
            f"do not tell that constant."
        )
    far = MORE * float(runs["N"].max()), MORE * float(runs["D"].max())
    holding = {name: one for name, one in law.fits.items() if one.misfit <= NO_LAW}
    said = {CALLED[name]: float(one.surface.loss(*far)) for name, one in holding.items()}
    if said and max(said.values()) > (1 + APART) * min(said.values()):
        names = ", ".join(f"{loss:.2f} nats by {name}" for name, loss in said.items())
        yield (
            f"Forms of the law that all describe the runs part beyond them: at {MORE:g} times the "
            f"parameters and the text, {names}."
        )
    if law.epochs > 1:
        yield (
            f"The longest runs read the text {law.epochs:.1f} times. What the law says of more "
            f"text is said of new text; the same again is worth less, clearly so beyond about "
            f"{MANY_EPOCHS:.0f} times."
        )
    top = runs[(runs["N"] == runs["N"].max()) & (runs["asked"] == runs["asked"].max())]
    gap = float((top["loss"] - top["train_nats"]).mean())
    if gap > BY_HEART:
        yield (
            f"The largest model has begun to learn the text by heart: its loss on what it reads is "
            f"{gap:.2f} nats below that on what it has not seen."
        )
    yield "Two layers stay two layers, so this is a law of width; the recipe was tuned on stories."


def _too_short(law: OwnLaw) -> Iterator[str]:
    """What it would take to read as much as the runs of the book's own laws do, if these read less:
    LEAST_AMOUNTS amounts of text, each twice the one before, from SINCE on.
    """
    longest, needed = float(law.runs["asked"].max()), SINCE * 2.0 ** (LEAST_AMOUNTS - 1)
    if longest >= needed:
        return
    seconds = sum(record.timing.wall_seconds for record in law.records)
    yield (
        f"The longest runs read {say.short(longest)} tokens. The laws of the book hold from "
        f"{say.short(SINCE)} tokens on, and need runs of {say.short(needed)}: these sizes would "
        f"take about {say.duration(seconds * needed / longest)} of one core here, and fewer or "
        f"smaller ones less (`--minutes`)."
    )


def law_table(law: OwnLaw) -> pd.DataFrame:
    """The constants of each form with 95% intervals, and how well it fits."""
    rows = []
    for name, fit in law.fits.items():
        row = {"form": CALLED[name] + (" (this page's)" if name == law.form else "")}
        for constant, sign in {"E": "E", "alpha": "α", "beta": "β", "g": "g"}.items():
            value = float(getattr(fit.surface, constant))
            if constant in fit.surface.form.fixed(None):
                row[sign] = f"{value:g}"
            else:
                row[sign] = f"{value:.3f}{sure(fit.misfit, fit.interval(constant))}"
        rows.append(row | {"misfit": f"{fit.misfit:.1f}"})
    return pd.DataFrame(rows).set_index("form")


def more_table(more: Sequence[More]) -> pd.DataFrame:
    """What more of something would bring, as printed."""
    rows = [
        {
            "what": one.what,
            "parameters": say.short(float(f"{one.n:.2g}")),
            "tokens read": say.short(float(f"{one.d:.2g}")),
            "loss (nats per token)": f"{one.loss:.3f} {say.interval(one.interval)}",
        }
        for one in more
    ]
    return pd.DataFrame(rows).set_index("what")


def headline(law: OwnLaw) -> str:
    """The exponent, or that there is none."""
    fit = law.fit
    if not law.holds:
        return f"No law holds on this text yet (misfit {fit.misfit:.1f})"
    low, high = fit.interval("alpha")
    return (
        f"The loss above a floor falls with size as N^-{fit.surface.alpha:.2f} "
        f"[{low:.2f}, {high:.2f}]"
    )


def text_title(law: OwnLaw) -> str:
    """What the last doubling of the text gave the largest size."""
    largest = law.runs[law.runs["N"] == law.runs["N"].max()]
    before, last = largest.groupby("asked")["loss"].mean().iloc[-2:]
    times = float(np.divide(*sorted(law.runs["asked"].unique())[:-3:-1]))
    return f"{times:.2g} times the text gives the largest size {say.percent(1 - last / before)}"


def losses_said(law: OwnLaw) -> str:
    """The largest model against counting."""
    runs, best = law.runs, law.best_ngram
    top = runs[(runs["N"] == runs["N"].max()) & (runs["asked"] == runs["asked"].max())]
    loss, bits = float(top["loss"].mean()), float(top["bits_per_byte"].mean())
    gap = loss - best.nats_per_token
    side = "below" if gap < 0 else "above"
    return (
        f"The largest model, of {int(runs['N'].max()):,} parameters, ends at {loss:.3f} nats per "
        f"token, {bits:.3f} bits per byte: {abs(gap):.3f} nats {side} the best n-gram, of order "
        f"{best.order}, which has counted the whole text ({best.nats_per_token:.3f})."
    )


def made_said(law: OwnLaw) -> str:
    """How it was made."""
    runs, first = law.runs, law.records[0]
    seconds = sum(record.timing.wall_seconds for record in law.records)
    diverged = len(law.records) - len(runs)
    cut = first.provenance.corpus["title"].rpartition(", ")[2]
    return (
        f"{len(law.records)} runs of {runs['N'].nunique()} sizes, {runs['asked'].nunique()} "
        f"amounts of text and {runs['seed'].nunique()} seeds, {say.duration(seconds)} of training "
        f"in all on {first.provenance.processor}; {diverged} diverged. The text has "
        f"{int(runs['unique_tokens'].max()):,} tokens to learn from under "
        f"{first.config.data.tokenizer}, {cut}."
    )
