"""What earns the time to loss: each step from the config `reference` to the recipe `fast`.

Every run reads the same number of tokens. In the rows "added" the steps are taken one after
another, from the reference's settings to the recipe; in "removed" the recipe is trained without
one of them, which says what that step gives when it is the only one missing.
"""

from collections.abc import Sequence
from functools import reduce
from operator import getitem
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from tinylm.bench.aside import make_run, trained
from tinylm.bench.frame import Benchmark, Findings, nats
from tinylm.bench.timed_steps import AT_THE_END
from tinylm.config import RunConfig, load_run_config, parse_run_config
from tinylm.plots import ablation_figure
from tinylm.records import RunRecord
from tinylm.sweeps.declare import set_path

# Each step by its name, in the order in which they are added: fields that move from the reference's
# value to the recipe's.
STEPS: dict[str, list[str]] = {
    "learning rate 4e-3": ["optimizer.learning_rate", "optimizer.beta2"],
    "half the width and depth": ["model.d_model", "model.n_layers", "model.n_heads"],
    "rotary positions, RMSNorm": ["model.positions", "model.norm"],
    "QK-norm": ["model.qk_norm"],
    "linear cool-down": ["optimizer.schedule", "optimizer.final_fraction"],
    "Muon": ["optimizer.name", "optimizer.learning_rate", "optimizer.weight_decay"],
    "shift": ["model.shift"],
    "squared ReLU": ["model.mlp"],
    "batch of 2,048 tokens": ["batch_tokens"],
    "bf16": ["precision"],
}
# Until Muon comes, the rate is AdamW's. Without Muon all weights learn at AdamW's rate, for which
# the rule of the learning-rate experiment stands, the same at this width as the default.
ADAMW_RATE: dict[str, dict[str, Any]] = {"learning rate 4e-3": {"optimizer.learning_rate": 4e-3}}
WITHOUT_MUON: dict[str, Any] = {"optimizer.name": "adamw", "optimizer.learning_rate": 0.011}


def variants() -> dict[tuple[str, str], dict[str, Any]]:
    """Fields changed from the recipe, by (table, step)."""
    paths = [path for some in STEPS.values() for path in some]
    configs = [load_run_config(name).model_dump() for name in ("reference", "fast")]
    reference, fast = (
        {path: reduce(getitem, path.split("."), config) for path in paths} for config in configs
    )
    fields = reference | {"optimizer.width_exponent": 0.0}
    found = {("added", "reference"): dict(fields)}
    for step, moved in STEPS.items():
        fields |= {path: fast[path] for path in moved} | ADAMW_RATE.get(step, {})
        found["added", step] = dict(fields)
    for step, moved in STEPS.items():
        found["removed", step] = {path: reference[path] for path in moved}
    return found | {("removed", "Muon"): WITHOUT_MUON}


def variant(fields: dict[str, Any]) -> RunConfig:
    """The recipe with some fields changed."""
    values = load_run_config("fast").model_dump()
    del values["model"]["vocab_size"]
    values["evaluation"] = AT_THE_END
    for path, value in fields.items():
        set_path(values, path, value)
    return parse_run_config(values, where="fast_steps")


def measure(seeds: Sequence[int] = (0, 1, 2)) -> pd.DataFrame:
    """Train every variant, those of most steps first: a quarter of an hour."""
    configs = {name: variant(fields) for name, fields in variants().items()}
    runs = {name: [make_run(each, seed) for seed in seeds] for name, each in configs.items()}
    every = sorted((run for some in runs.values() for run in some), key=lambda r: -r.config.steps)
    found = {record.run_id: record for record in trained("fast_steps", every)}
    rows = [
        {"table": table, "step": step} | row_of([found[run.run_id] for run in some])
        for (table, step), some in runs.items()
    ]
    result = pd.DataFrame(rows)
    whole = result.loc[result["table"] == "added", "nats"].iloc[-1]
    return result.assign(more_than_recipe=(result["nats"] - whole).round(4))


def row_of(records: Sequence[RunRecord]) -> dict[str, Any]:
    """What the seeds of one variant came to."""
    losses = pd.Series([nats(record) for record in records])
    # Of processor time, evaluation included: what else the machine does hardly counts.
    pace = pd.Series([record.tokens / record.timing.cpu_seconds for record in records])
    return {
        "nats": round(float(losses.mean()), 4),
        "std": round(float(losses.std()), 4),
        "seeds": len(records),
        "tokens": records[0].tokens,
        "n_non_embedding": records[0].parameters.non_embedding,
        "tokens_per_second": round(float(pace.median())),
        "runs": " ".join(record.run_id for record in records),
    }


def findings(table: pd.DataFrame) -> Findings:
    """Both ends of the way, and the step that is missed most."""
    added, removed = table[table["table"] == "added"], table[table["table"] == "removed"]
    missed = removed.sort_values("more_than_recipe").dropna(subset="nats").iloc[-1]
    return {
        "fast_steps": {
            "tokens": int(table["tokens"].max()),
            "seeds": int(table["seeds"].min()),
            "reference_nats": float(added["nats"].iloc[0]),
            "recipe_nats": float(added["nats"].iloc[-1]),
            "most_missed": str(missed["step"]),
            "most_missed_nats": float(missed["more_than_recipe"]),
        }
    }


def figure(table: pd.DataFrame) -> Figure:
    """Every step's loss ± standard deviation over seeds, one after another and alone."""
    found, by_step = findings(table)["fast_steps"], table.set_index("step")
    title = (
        f"Equal tokens: {found['reference_nats']:.2f} nats per character with nanoGPT's settings, "
        f"{found['recipe_nats']:.2f} with the recipe; without “{found['most_missed']}” it loses "
        f"{found['most_missed_nats']:.2f}, the most of all steps"
    )
    parts = [by_step[by_step["table"] == name] for name in ("added", "removed")]
    return ablation_figure(*parts, xlabel="validation loss (nats per character)", title=title)


BENCHMARK = Benchmark("fast_steps.csv", measure, findings, figure=figure)
