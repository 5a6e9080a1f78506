"""Whether training in bf16 costs any loss: the same runs in fp32 and in bf16, seed by seed.

Both runs of a pair start from the same weights and read the same batches. The mean of their
differences over seeds is held against the standard deviation over seeds of the fp32 losses.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tinylm.bench.aside import make_run, trained
from tinylm.bench.frame import SEED_NOISE, Benchmark, Findings, Goal, nats, ways_side_by_side
from tinylm.bench.timed_steps import STORIES, bench_config

PRECISIONS = ("fp32", "bf16")
FIELDS: dict[str, Any] = {
    "data": STORIES,
    "evaluation": {"points": 2, "curve_documents": 1},  # what counts is the loss at the end
    "tokens": 1_000_000,
}


def measure(
    widths: Sequence[int] = (256, 128),
    seeds: Sequence[int] = (0, 1, 2),
    fields: dict[str, Any] = FIELDS,
) -> pd.DataFrame:
    """Train every width and seed in both precisions, widest first: half an hour."""
    configs = [bench_config(w, precision=p, **fields) for w in widths for p in PRECISIONS]
    records = trained("bf16_loss", [make_run(one, seed) for one in configs for seed in seeds])
    ways = {p: [r for r in records if r.config.precision == p] for p in PRECISIONS}
    table = ways_side_by_side(ways, nats=nats)
    return table.assign(difference_nats=table["bf16_nats"] - table["fp32_nats"])


def findings(table: pd.DataFrame) -> Findings:
    """By width, whether the mean difference is within the spread of seeds; and the largest ratio of
    the two. A run that diverged in bf16 alone makes its width harmful.
    """
    by_width = table.groupby("d_model")
    means = by_width["difference_nats"].apply(lambda pairs: abs(pairs.mean(skipna=False)))
    ratios = (means / by_width["fp32_nats"].std()).fillna(1e3)
    return {
        "bf16_harmless": {str(width): bool(ratio <= 1) for width, ratio in ratios.items()},
        "bf16_over_noise": round(float(ratios.max()), 3),
    }


GOAL = Goal("loss in bf16, less that in fp32", "bf16_over_noise", "most", 1, SEED_NOISE)
BENCHMARK = Benchmark("bf16_loss.csv", measure, findings, (GOAL,))
