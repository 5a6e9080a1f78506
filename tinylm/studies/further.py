"""What a GPU's runs add to the chapter on the floor: larger models on more text."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tinylm.corpora.fables import VARIANTS
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.above_floor import missing_words
from tinylm.studies.cuts import Cut, FablesStudy, default_cuts
from tinylm.studies.excess import Leftover
from tinylm.studies.knowledge import FIRST, HEROES, knowledge_by_tokens
from tinylm.sweeps.declare import expand, load_experiment

FAR = Store("full")
CLOSE = 0.15  # exponents that differ by less are said to agree


def further_cuts(store: Store) -> dict[str, Cut]:
    """The cuts of the `full` profile that have two points or more; none for the smoke profile."""
    cuts = {} if store.profile == "smoke" else default_cuts(FAR)
    return {name: cut for name, cut in cuts.items() if cut.fold}


def further_known(study: FablesStudy, beyond: Leftover) -> pd.DataFrame:
    """`knowledge_by_tokens` of the runs of a GPU, by the mean length of the study's documents."""
    losses = [record.validation for record in study.records if record.validation is not None]
    length = float(np.mean([one.tokens / one.documents for one in losses]))
    return knowledge_by_tokens(beyond, length, VARIANTS["default"])


def whose_words(store: Store, further: Mapping[str, Cut]) -> str:
    """Whose runs these are, if not the profile's own."""
    if not further:
        return f"The `{store.profile}` profile shows no runs of a GPU here; `paper` does."
    if store.profile not in {"paper", "full"}:
        return "These runs are those of the published book."
    return ""


def reach_words(study: FablesStudy, further: Mapping[str, Cut], beyond: Leftover) -> str:
    """How far these runs go beyond the study's own, and how near to the floor."""
    cuts = study.cuts
    ends = {name: cut.runs["x"].max() for name, cut in further.items()}
    lowest, ours = (
        min(cut.runs["excess"].min() for cut in some.values()) for some in (further, cuts)
    )
    said = [
        missing_words(further),
        f"These runs go to {ends['N'] / cuts['N'].runs['x'].max():.0f} times the size and "
        f"{ends['D'] / cuts['D'].runs['x'].max():.0f} times the tokens of the cuts above; the cut "
        f"in N is made at {_tokens_of_sizes(beyond):,} tokens. "
        f"The lowest loss above the floor is now {lowest:.3f} nats per token, where the models "
        f"above end at {ours:.3f}.",
    ]
    return " ".join(part for part in said if part)


def _tokens_of_sizes(beyond: Leftover) -> int:
    """The number of tokens at which most sizes were trained."""
    sizes = beyond.runs.groupby("tokens")["n_non_embedding"].nunique()
    return int(sizes.index[int(sizes.to_numpy().argmax())])


def further_known_table(known: pd.DataFrame) -> pd.DataFrame:
    """`knowledge_by_tokens` as printed."""
    return pd.DataFrame(
        {
            "D": known["tokens"].map("{:,}".format),
            "seeds": known["seeds"],
            "facts known": known["share"].map("{:.0%}".format),
            "as if it knew": known["characters"].map(FIRST.format),
            "excess on new facts (nats per document)": known["excess"].map("{:.1f}".format),
            "exponent to the next": known["exponent"].map("{:.2f}".format).replace("nan", ""),
            "theory there": known["theory"].map("{:.2f}".format).replace("nan", ""),
        }
    ).set_index("D")


def further_known_words(known: pd.DataFrame, beyond: Leftover) -> str:
    """Whether the theory does well in D, and what binds in N."""
    repeated = known[known["seeds"].gt(1) & known["seeds"].shift(-1).gt(1)]
    apart = (repeated["exponent"] - repeated["theory"]).abs().max()
    grows = len(repeated) > 1 and repeated["exponent"].iloc[-1] > repeated["exponent"].iloc[0]
    agreement = (
        f"**Behind the door the theory does well**: where both ends have more than one seed, "
        f"measured and computed exponents differ by {apart:.2f} at most, and both grow as the "
        f"world is used up."
        if apart < CLOSE and grows
        else f"Measured and computed exponents differ by up to {apart:.2f}."
    )
    runs = beyond.runs[beyond.runs["tokens"] == _tokens_of_sizes(beyond)]
    sizes = runs.groupby("n_non_embedding")["share"].mean()
    return (
        f"The table is of the largest size, means over seeds. *Theory there* takes this world as "
        f"it is, with its end and its flat head, and {HEROES} meetings per document. {agreement}"
        f"\n\nIn N it is another matter. From {sizes.index[0]:,} parameters to {sizes.index[1]:,} "
        f"the facts known rise from {sizes.iloc[0]:.0%} to {sizes.iloc[1]:.0%}, but from "
        f"{sizes.index[-2]:,} to {sizes.index[-1]:,} only from {sizes.iloc[-2]:.0%} to "
        f"{sizes.iloc[-1]:.0%}: there it is the tokens that bind. Whom a model has not read about "
        f"it cannot know, at any size."
    )


def rates_words(further: Mapping[str, Cut]) -> str:
    """What the pair of rates costs that these runs used, by the short runs that tried some."""
    tried = FAR.found(expand(load_experiment("fables_rates"), "full"))
    if not further or not tried:
        return ""
    used = FAR.found(expand(load_experiment("fables_size"), "full"))[0]
    costs, pairs = [], {_rates(record) for record in tried}
    for width in sorted({record.config.model.d_model for record in tried}):
        losses = {
            _rates(record): record.validation.nats
            for record in tried
            if record.config.model.d_model == width and record.validation is not None
        }
        cost = losses[_rates(used)] - min(losses.values())
        costs.append(f"{cost:.3f} nats per token at width {width}")
    edge = (
        "; it has the largest of AdamW's rates tried, so a larger one might be better still."
        if _rates(used)[1] == max(rate for _, rate in pairs)
        else "."
    )
    return (
        f"Were the rates right? {len(tried)} short runs, of one seed, tried {len(pairs)} pairs of "
        f"rates at two widths. The pair used costs {' and '.join(costs)} against the best of them"
        f"{edge}"
    )


def _rates(record: RunRecord) -> tuple[float, float]:
    """Muon's rate and AdamW's."""
    optimizer = record.config.optimizer
    return optimizer.matrix_learning_rate, optimizer.learning_rate
