"""What is in a trained model: made smaller, seen and changed."""

from tinylm.inside.compress import (
    Coding,
    Compressed,
    compress,
    gptq,
    gram_matrix,
    round_to_nearest,
)
from tinylm.inside.features import (
    Autoencoder,
    Fit,
    fit_of,
    load_autoencoder,
    save_autoencoder,
    train_autoencoder,
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
    "Autoencoder",
    "Coding",
    "Compressed",
    "Fit",
    "Pair",
    "ablation_losses",
    "activations",
    "changed",
    "compress",
    "fit_of",
    "gptq",
    "gram_matrix",
    "load_autoencoder",
    "logit_difference",
    "patching",
    "places",
    "put",
    "round_to_nearest",
    "save_autoencoder",
    "train_autoencoder",
]
