"""The published exponents that the experiments are held against, written before measuring."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """An exponent from a paper, and what it was measured on."""

    source: str  # as cited in the text
    citation: str  # key in book/references.bib
    form: str  # the law it belongs to
    exponent: float
    with_floor: bool  # whether that law has an irreducible loss E
    error: float = 0.0  # standard error of the exponent, where the paper gives one


SIZE_CLAIMS = (
    Claim("Kaplan et al. (2020)", "kaplan2020scaling", "L = (N_c/N)^α", 0.076, False),
    Claim("Hoffmann et al. (2022)", "hoffmann2022training", "L = E + A/N^α", 0.34, True),
    Claim("Besiroglu et al. (2024)", "besiroglu2024chinchilla", "L = E + A/N^α", 0.348, True, 0.02),
)
DATA_CLAIMS = (
    Claim("Kaplan et al. (2020)", "kaplan2020scaling", "L = (D_c/D)^β", 0.095, False),
    Claim("Hoffmann et al. (2022)", "hoffmann2022training", "L = E + B/D^β", 0.28, True),
    Claim("Besiroglu et al. (2024)", "besiroglu2024chinchilla", "L = E + B/D^β", 0.366, True, 0.02),
)
REPEATS_CLAIM = 15.4  # R* of Muennighoff et al. (2023)
CONTEXT_CLAIM = 512  # tokens beyond which a longer context is said to bring little
TOKENS_CLAIM = 20.0  # for each parameter, of Hoffmann et al. (2022)
PARABOLAS = "Hoffmann et al. (2022), parabolas"
# From the 10th percentile of their bootstrap to the 90th (their table 2), over a normal one's.
PARABOLAS_ERROR = (0.534 - 0.462) / (2 * 1.2816)
WIDER_CLAIMS = (  # how the best size grows with compute
    Claim("Kaplan et al. (2020)", "kaplan2020scaling", "N ∝ C^a", 0.73, False),
    Claim(PARABOLAS, "hoffmann2022training", "N ∝ C^a", 0.49, True, PARABOLAS_ERROR),
)
