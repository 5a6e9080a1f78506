"""The recipe: everything of a run but its size, its data and its seed, for any number of tokens.

Measured by the experiment `recipe` (the chapter on the recipe shows it): about these values each
rate, the batch and the decay were moved alone, at several sizes and amounts of text. What it saves
to start the keys of induction heads as their queries, the experiments `induction_heads` and
`recipe_check` tell; MATCH did about best of 1, 2 and 3 in a few trial runs that left no records.
"""

from typing import Any

MEASURED_AT = 1_000_000  # tokens, and
MEASURED_N = 50_000  # non-embedding parameters, where the rule has the values below
BATCH_TOKENS, BATCH_BY_D, BATCH_BY_N = 768, 1 / 2, 1 / 8
LEARNING_RATE, RATE_BY_D, RATE_BY_N = 0.024, -1 / 4, -1 / 8  # of AdamW: embeddings and gains
MATRIX_LEARNING_RATE = 0.022  # of Muon: matrices of the blocks
WEIGHT_DECAY = 0.05
MATCH = 2.0  # how large queries and keys of induction heads start, over what is drawn


def recipe(n: float, tokens: int, context_length: int) -> dict[str, Any]:
    """Fields of a run of a model with `n` non-embedding parameters that sees `tokens` in rows of
    `context_length`, as in a config file.

    Batches grow with text and size, AdamW's rate falls with both, each as a power; Muon's rate and
    the decay are the same everywhere. Values are rounded to what a person would write.
    """
    x, y = tokens / MEASURED_AT, n / MEASURED_N
    rows = max(1, round(BATCH_TOKENS * x**BATCH_BY_D * y**BATCH_BY_N / context_length))
    return {
        "model": {
            "n_heads": 2,
            "mlp": "relu2",
            "shift": 1,
            "induction_heads": 1,
            "induction_positions": False,
            "induction_match": MATCH,
        },
        "optimizer": {
            "name": "muon",
            "learning_rate": float(f"{LEARNING_RATE * x**RATE_BY_D * y**RATE_BY_N:.2g}"),
            "matrix_learning_rate": MATRIX_LEARNING_RATE,
            "weight_decay": WEIGHT_DECAY,
            "width_exponent": 0.0,
            "beta2": 0.99,
            "gradient_clip": 10.0,
            "schedule": "wsd",
            "decay_fraction": 0.5,
            "warmup_steps": 20,
        },
        "batch_tokens": rows * context_length,
        "precision": "bf16",
    }
