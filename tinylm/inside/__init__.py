"""What is in a trained model: made smaller, seen and changed."""

from tinylm.inside.compress import (
    Coding,
    Compressed,
    compress,
    gptq,
    gram_matrix,
    round_to_nearest,
)
from tinylm.inside.interventions import (
    Pair,
    ablation_losses,
    activations,
    changed,
    logit_difference,
    patching,
    places,
    put,
)

__all__ = [
    "Coding",
    "Compressed",
    "Pair",
    "ablation_losses",
    "activations",
    "changed",
    "compress",
    "gptq",
    "gram_matrix",
    "logit_difference",
    "patching",
    "places",
    "put",
    "round_to_nearest",
]
