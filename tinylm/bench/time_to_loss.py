"""Time to loss: how much sooner the trainer reaches what a plain training ends with.

On each corpus and seed the reference (`tinylm.bench.reference`) is trained to its end on all cores,
and so is one run of ours, of a length fixed beforehand, on one thread. Both losses are taken by
`tinylm.evaluate` on all validation documents, in windows of 64 characters that do not overlap, as
in nanoGPT. The clock runs while they train: starting Python, preparing the data and evaluating
count on neither side. The recipe was found on TinyStories V2 and is used on AG News as it is.
"""

from collections.abc import Sequence
from typing import Any, cast

import pandas as pd
import torch

from tinylm.bench.aside import Kept, in_new_process, make_run, scratch, trained
from tinylm.bench.frame import Benchmark, Findings, Goal, nats
from tinylm.bench.reference import ReferenceConfig, train_reference
from tinylm.config import RunConfig, load_run_config
from tinylm.corpora.token_files import prepare
from tinylm.evaluate import evaluate
from tinylm.model import GPT
from tinylm.sweeps.run import usable_cores

CORPORA = ("tinystories-v2", "ag_news")  # the recipe was found on the first
SIDES = ("reference", "tinylm")
STRIDE = 1.0


def time_reference(
    config: RunConfig, seed: int, threads: int, steps: int
) -> tuple[float, float, int]:
    """Train the reference on a run's data: its seconds, loss in nats, and the tokens it read."""
    torch.set_num_threads(threads)
    data = prepare(config.data.corpus, config.data.tokenizer)
    theirs = ReferenceConfig(data.tokenizer.vocab_size, steps=steps)
    model, seconds = train_reference(theirs, data.train, seed)
    losses = evaluate(cast(GPT, model), data.validation, STRIDE)  # it has all that this asks of one
    return seconds, losses.nats, steps * theirs.batch_size * theirs.context_length


def measure(
    recipe: RunConfig | None = None,
    corpora: Sequence[str] = CORPORA,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = ReferenceConfig.steps,
) -> pd.DataFrame:
    """Train both sides in turn on every corpus and seed: a quarter of an hour."""
    recipe, threads = recipe or load_run_config("fast"), usable_cores()
    root, rows = scratch("time_to_loss"), []
    kept = Kept(root / "reference.json", [steps, threads])
    for corpus in corpora:
        data = recipe.data.model_copy(update={"corpus": corpus})
        every = {"stride_fraction": STRIDE, "final_tokens": None}
        look = recipe.evaluation.model_copy(update=every)
        config = recipe.model_copy(update={"data": data, "evaluation": look})
        for seed in seeds:
            asked = (time_reference, config, seed, threads, steps)
            theirs = kept(f"{corpus} {seed}", in_new_process, root, *asked)
            (ours,) = trained("time_to_loss", [make_run(config, seed)], jobs=1)
            seconds = ours.tokens / ours.timing.tokens_per_second
            ratio = theirs[0] / seconds
            rows.append((corpus, seed, threads, *theirs, seconds, nats(ours), ours.tokens, ratio))
    both = [f"{side}_{what}" for side in SIDES for what in ("seconds", "nats", "tokens")]
    columns = ["corpus", "seed", "reference_threads", *both, "ratio"]
    return pd.DataFrame(rows, columns=columns)


def findings(table: pd.DataFrame) -> Findings:
    """The ratio of mean times on each corpus, and the smallest of them, in which a corpus counts as
    0 if our mean loss is above the reference's: then it was not reached.
    """
    corpora: dict[str, dict[str, Any]] = {}
    for corpus, part in table.groupby("corpus", sort=False):
        mean = part.mean(numeric_only=True)
        ratio = round(float(mean["reference_seconds"] / mean["tinylm_seconds"]), 2)
        reached = bool(mean["tinylm_nats"] <= mean["reference_nats"])
        corpora[str(corpus)] = {"ratio": ratio, "reached": reached}
    least = min(each["ratio"] if each["reached"] else 0.0 for each in corpora.values())
    return {"time_to_loss_ratio": least, "time_to_loss": corpora}


GOAL = Goal("time to loss", "time_to_loss_ratio", "least", 15, "times as fast as the reference")
BENCHMARK = Benchmark("time_to_loss.csv", measure, findings, (GOAL,))
