"""The recipe: everything of a run but its size, its data and its seed, for any number of tokens.

Measured by the experiment `recipe` (the chapter on the recipe shows it): about these values each
rate, the batch and the decay were moved alone, at several sizes and amounts of text.
"""

from typing import Any

MEASURED_AT = 1_000_000  # tokens where the rule has the values below
BATCH_TOKENS, BATCH_POWER = 1024, 1 / 2
LEARNING_RATE, LEARNING_RATE_POWER = 0.02, -1 / 4  # of AdamW: embeddings and gains
MATRIX_LEARNING_RATE, MATRIX_LEARNING_RATE_POWER = 0.02, -1 / 6  # of Muon: matrices of the blocks
WEIGHT_DECAY, WEIGHT_DECAY_POWER = 0.05, -1 / 2


def recipe(tokens: int, context_length: int) -> dict[str, Any]:
    """Fields of a run that sees `tokens` in rows of `context_length`, as in a config file.

    Batches grow with the text, and rates and decay fall with it, each as a power; neither depends
    on the model's size. Values are rounded to what a person would write.
    """
    x = tokens / MEASURED_AT
    rows = max(1, round(BATCH_TOKENS * x**BATCH_POWER / context_length))
    return {
        "model": {
            "n_heads": 2,
            "mlp": "relu2",
            "shift": 1,
            "induction_heads": 1,
            "induction_positions": False,
        },
        "optimizer": {
            "name": "muon",
            "learning_rate": _rounded(LEARNING_RATE * x**LEARNING_RATE_POWER),
            "matrix_learning_rate": _rounded(MATRIX_LEARNING_RATE * x**MATRIX_LEARNING_RATE_POWER),
            "weight_decay": _rounded(WEIGHT_DECAY * x**WEIGHT_DECAY_POWER),
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


def _rounded(value: float) -> float:
    """Two significant digits."""
    return float(f"{value:.2g}")
