"""What the pages and chapter 9 say of contexts: tables, and sentences that follow."""

import numpy as np
import pandas as pd

from tinylm import say
from tinylm.laws.published import CONTEXT_CLAIM
from tinylm.say import NO_BREAK
from tinylm.studies.context import Change, Positions, Split, difference, welch
from tinylm.studies.size import Study

Steps = dict[tuple[int, int], Split]
AFTER_THE_OPENING, LATE = (16, 63), 256  # positions in a document


def step_name(pair: tuple[int, int]) -> str:
    """'128 → 256', unbroken."""
    return f"{pair[0]:,}{NO_BREAK}→{NO_BREAK}{pair[1]:,}"


def costs_table(study: Study) -> pd.DataFrame:
    """What each context takes of the same compute."""
    rows = {}
    for row in study.by("context_length").to_dict("records"):
        T = row["context_length"]
        record = next(r for r in study.records if r.config.model.context_length == T)
        model, per_token = record.config.model, row["flops_exact"] / row["tokens"]
        attention = 6.0 * model.n_layers * model.d_model * (T + 1)
        rows[f"{T:,}"] = {
            "FLOPs per token": f"{per_token:,.0f}",
            "of it attention (%)": f"{100 * attention / per_token:.0f}",
            "training tokens": f"{row['tokens']:,}",
            "steps": f"{record.steps:,}",
            "sequences per step": record.config.batch_size,
            "FLOPs in all": f"{row['flops_exact']:.3g}",
        }
    return pd.DataFrame(rows).T.rename_axis("context (tokens)")


def setting_said(study: Study) -> str:
    """What is held, and how many tokens the longest context leaves."""
    table = study.by("context_length")
    first, last = table.iloc[0], table.iloc[-1]
    return (
        f"Profile `{study.store.profile}`, corpus `{study.corpus}`, "
        f"N = {first['n_non_embedding']:,.0f} in every run: a context does not change the number "
        f"of parameters. A step always holds {study.records[0].config.batch_tokens:,} tokens. A "
        f"context of {last['context_length']:,.0f} leaves "
        f"{100 * last['tokens'] / first['tokens']:.0f} % of the tokens that a context of "
        f"{first['context_length']:,.0f} can afford."
    )


def losses_table(study: Study, steps: Steps) -> pd.DataFrame:
    """The loss of each context, and what the step from the one before did."""
    table = study.by("context_length")
    changes = [split.change for split in steps.values()]
    shown = pd.DataFrame(
        {
            "training tokens": table["tokens"].map("{:,}".format),
            "loss (nats per token)": [
                say.mean_and_spread(row["nats"], row["nats_std"])
                for row in table.to_dict("records")
            ],
            "bits per byte": table["bits_per_byte"].map("{:.3f}".format),
            "change from the context before (95%)": ["", *(say.signed(*one) for one in changes)],
            "the loss": ["", *(one.verdict for one in changes)],
        }
    )
    shown.index = pd.Index([f"{T:,}" for T in table["context_length"]], name="context (tokens)")
    return shown


def best_context(study: Study) -> tuple[int, list[int]]:
    """The context with the lowest mean loss, and those that the seeds do not set it apart from."""
    done = study.finished
    groups = {int(str(T)): part["nats"].to_numpy() for T, part in done.groupby("context_length")}
    best = min(groups, key=lambda T: float(groups[T].mean()))
    rivals = [
        T
        for T, group in groups.items()
        if best != T and difference(group, groups[best]).verdict != "rises"
    ]
    return best, rivals


def best_said(study: Study) -> str:
    """Which context has the lowest loss, and how surely."""
    (best, rivals), floor = best_context(study), study.best_floor
    names = " and ".join(f"{T:,}" for T in rivals)
    against = (
        f"but the seeds do not set it apart from {names}"
        if rivals
        else "and the seeds set it apart from each of the others"
    )
    return (
        f"**At this budget the lowest mean loss is that of a context of {best:,}**, {against} "
        f"(Welch's interval for the difference of two means, 95% each, "
        f"{study.by('context_length')['n_seeds'].min()} seeds per context). The best n-gram "
        f"baseline, of order {floor.order}, has {floor.nats_per_token:.3f} nats; it looks back on "
        f"{floor.order - 1} tokens."
    )


def along_said(positions: Positions, T: int) -> str:
    """How hard the beginning, the next and the late tokens of a document are with context T."""
    first, last = positions.first, positions.last
    low, high = AFTER_THE_OPENING
    opening, start, late = (
        positions.mean_loss(T, among)
        for among in (last <= 7, (low <= first) & (last <= high), first >= LATE)
    )
    change = difference(late, start)
    trend = {
        "falls": "Further along, the loss falls: there is more to look back on, and the model uses "
        "it",
        "rises": "Further along, the loss rises, although there is more to look back on: stories "
        "open alike and then part, and only the long ones get there",
        "not resolved": "Further along, no change is resolved: what more there is to look back on "
        "does not show",
    }[change.verdict]
    return (
        f"With a context of {T:,}, the first seven tokens of a document are "
        f"{'easier' if opening.mean() < start.mean() else 'harder'} than what follows: "
        f"{opening.mean():.2f} nats per token against {start.mean():.2f} at positions {low} to "
        f"{high}. {trend} ({say.signed(*change, 2)} nats from there to positions beyond "
        f"{LATE - 1})."
    )


def split_table(steps: Steps) -> pd.DataFrame:
    """Each step and its parts, in nats per token."""
    rows = {
        step_name(pair): {
            "change (nats)": say.signed(*split.change),
            "of it before T₁": say.signed(*split.before),
            "from T₁ on": say.signed(*split.after),
            "price": say.signed(split.price),
            "seeing further": say.signed(*split.gain),
        }
        for pair, split in steps.items()
    }
    return pd.DataFrame(rows).T.rename_axis("T₁ → T₂")


def split_said(steps: Steps) -> str:
    """What each step paid and gained, a line each."""
    sums = {
        "falls": "together the loss falls",
        "rises": "together the loss rises",
        "not resolved": "the sum is not resolved from 0",
    }
    lines = []
    for pair, split in steps.items():
        seen = (
            "what is seen further back brings no gain that the seeds resolve"
            if split.gain.verdict == "not resolved"
            else f"what is seen further back changes it by {say.signed(split.gain.value)}"
        )
        lines.append(
            f"- **{step_name(pair)}**: the other training changes the loss by "
            f"{say.signed(split.price)} nats; {seen}; {sums[split.change.verdict]} "
            f"({say.signed(*split.change)})."
        )
    return "\n".join(lines)


def claim_said(study: Study, positions: Positions) -> str:
    """The claim about 512 tokens, in both readings."""
    half, double = CONTEXT_CLAIM // 2, 2 * CONTEXT_CLAIM
    short, turn, long = (positions.mean_loss(T) for T in (half, CONTEXT_CLAIM, double))
    before, after = difference(turn, short), difference(long, turn)
    bend: Change = welch((1.0, long), (-2.0, turn), (1.0, short))
    weak = {
        "rises": "holds: the second step gains less, or costs more",
        "falls": "fails: the second step gains more, or costs less",
        "not resolved": "is not decided: the two steps differ by no more than the seeds do",
    }[bend.verdict]
    strong = {
        "rises": "holds, and more: the loss rises",
        "falls": "fails: the loss falls",
        "not resolved": "is consistent with these runs: no change is resolved",
    }[after.verdict]
    return (
        f"From {half} to {CONTEXT_CLAIM} tokens the loss changes by {say.signed(*before)} nats, "
        f"from {CONTEXT_CLAIM} to {double:,} by {say.signed(*after)}.\n\n"
        f"- The weak reading {weak} (difference of the steps: {say.signed(*bend)}).\n"
        f"- The strong reading {strong}.\n\n{_turn_said(study, positions)}"
    )


def _turn_said(study: Study, positions: Positions) -> str:
    best, rivals = best_context(study)
    late = f"{100 * positions.beyond(CONTEXT_CLAIM):.0f} % of the tokens stand beyond "
    if best == CONTEXT_CLAIM:
        return "The lowest loss is where the claim puts the turn."
    if best > CONTEXT_CLAIM:
        return f"The lowest loss is beyond the turn that the claim names; {late}{CONTEXT_CLAIM}."
    earlier = (
        "the turn may come earlier than the claim says, though the seeds do not settle it"
        if CONTEXT_CLAIM in rivals
        else "the turn comes earlier than the claim says"
    )
    return (
        f"At this budget and on this text {earlier}: the lowest mean loss is already at {best}, "
        f"and {late}{CONTEXT_CLAIM}."
    )


def shares_title(shares: pd.DataFrame) -> str:
    """How much of the excess is missing context; how much at most where none is resolved."""
    short, long = shares.iloc[0], shares.iloc[-2]
    if short["low"] > 0:
        return (
            f"With a context of {short['context_length']:.0f}, "
            f"{100 * short['missing'] / short['excess']:.0f} % of the excess is missing context; "
            f"with {long['context_length']:.0f}, {100 * long['missing'] / long['excess']:.0f} %"
        )
    return (
        f"Missing context is {100 * short['high'] / short['excess']:.0f} % of the excess at most "
        f"with a context of {short['context_length']:.0f}, "
        f"{100 * long['high'] / long['excess']:.0f} % with {long['context_length']:.0f}"
    )


def shares_said(shares: pd.DataFrame) -> str:
    """What each doubling takes away of missing context, and whether the seeds tell it from none."""
    steps = -shares.set_index("context_length")["missing"].diff().dropna()
    gains = ", ".join(f"{step:.3f} nats (to {length:,})" for length, step in steps.items())
    said = f"Doubling the context takes away {gains} of missing context. " + (
        "Each doubling brings less than the one before: returns diminish, also where nothing is "
        "paid for the context."
        if (np.diff(steps) < 0).all()
        else "They do not diminish from each doubling to the next."
    )
    if not (shares["low"].iloc[:-1] > 0).any():
        said += (
            " But the seeds tell none of it from nothing. A model of this size has hardly begun to "
            "use what was said long before (chapter 10 shows how little it copies), so it has "
            "little to lose with it: **what is missing at these sizes is learning, not context.**"
        )
    return said


def one_length_title(losses: dict[int, np.ndarray], length: int) -> str:
    """The context with the lowest mean if all documents had one length."""
    best = min(losses, key=lambda T: float(losses[T].mean()))
    return f"Documents of {length:,} tokens: lowest mean at a context of {best:,}"


def lengths_said(positions: Positions, lengths: list[int]) -> str:
    """Whether the best context depends on the length of the documents."""
    best = []
    for length in lengths:
        losses = positions.if_documents_had(length)
        best.append(min(losses, key=lambda T: float(losses[T].mean())))
    if len(set(best)) > 1:
        return (
            f"The winner depends on the text: a context of {best[0]:,} for documents of "
            f"{lengths[0]:,} tokens, of {best[-1]:,} for documents of {lengths[-1]:,}."
        )
    return (
        f"A context of {best[0]:,} has the lowest mean whatever the length: at this budget what "
        f"training leaves outweighs what can be seen."
    )
