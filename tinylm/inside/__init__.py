"""What is in a trained model: made smaller."""

from tinylm.inside.compress import (
    Coding,
    Compressed,
    compress,
    gptq,
    gram_matrix,
    round_to_nearest,
)

__all__ = ["Coding", "Compressed", "compress", "gptq", "gram_matrix", "round_to_nearest"]
