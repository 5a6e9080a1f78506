"""Which runs tell the most about the law of one's own text in the time there is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np

from tinylm import say
from tinylm.config import ModelConfig, Run, RunConfig
from tinylm.corpora.token_files import PreparedData, prepare
from tinylm.cost import parameter_count
from tinylm.errors import BadInput, TooFewWords
from tinylm.laws import Surface
from tinylm.laws.planning import expected_errors
from tinylm.laws.scatter import FitStatus
from tinylm.sweeps.calibrate import Calibration, calibrate
from tinylm.sweeps.declare import Experiment, expand
from tinylm.sweeps.estimate import evaluated_tokens

PROFILE = "own"  # where the records of own texts are
WIDTHS = (12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
SEEDS = (0, 1, 2)
MOST_EPOCHS = 4.0
LEAST_TOKENS = 10_000  # of a run: fewer make too few steps for the recipe's warm-up
LEAST_TEXT = 5_000  # tokens to learn from, below which nothing can be said
AMOUNTS = (1 / 8, 1 / 4, 1 / 2, 1)  # of the most tokens
SIZES = (4, 5, 6, 7, 8, 9, 10)  # how many of the widths are tried
SURE = 0.02  # standard error of alpha that is good enough: an interval of 0.08
EVALUATION = {"points": 2, "curve_tokens": 4_096, "final_tokens": 32_768}  # the same in every run
SPARED = 0.8  # of the time, for training; the rest is for what comes before and after
TOKENIZERS = ("bpe-512", "bpe-320", "characters")  # the first for which there is text enough
LARGE_TEXT, LARGE_TOKENIZER = 20_000_000, "bpe-2048"  # bytes from which on
# A law and a noise such as the book's grid has, by which plans are compared; only that.
TYPICAL = Surface(
    E=1.0,
    A=40.0,
    alpha=0.4,
    B=250.0,
    beta=0.45,
    status=FitStatus(True, (), 0, 0),
    n_points=0,
    residual_rms=0.0,
)
NOISE = 0.01  # of a run, as a share of the loss


@dataclass(frozen=True)
class OwnPlan:
    """The runs for one text."""

    corpus: str
    tokenizer: str
    widths: tuple[int, ...]
    amounts: tuple[int, ...]  # tokens
    seconds: float  # of one process, for all runs
    runs: list[Run]

    def __str__(self) -> str:
        """What will be trained, in a line."""
        return (
            f"{len(self.widths)} widths from {self.widths[0]} to {self.widths[-1]}, each with "
            f"{', '.join(say.short(tokens) for tokens in self.amounts)} tokens, "
            f"{len(SEEDS)} seeds: {len(self.runs)} runs"
        )


def choose_tokenizer(corpus: str) -> tuple[str, PreparedData]:
    """The tokenizer for a text, and the text prepared by it: more tokens for more text, and fewer
    where it has not the words for many.

    Raises:
        TinyLMError: the text cannot be had, or is too little for any law.
    """
    for name in TOKENIZERS:
        try:
            data = prepare(corpus, name)
        except TooFewWords:
            continue
        break
    if data.train.n_bytes >= LARGE_TEXT:
        name = LARGE_TOKENIZER
        data = prepare(corpus, name)
    if data.train.n_tokens < LEAST_TEXT:
        raise BadInput(
            f"text {corpus!r} has {data.train.n_tokens:,} tokens to learn from; expected at least "
            f"{LEAST_TEXT:,}, about {LEAST_TEXT * data.train.bytes_per_token / 1000:.0f} kB: with "
            f"less, no model learns more than which tokens are frequent"
        )
    return name, data


def runs_for(
    corpus: str, tokenizer: str, widths: Iterable[int], amounts: Iterable[int]
) -> list[Run]:
    """The runs of some widths and amounts of tokens, by the recipe."""
    experiment = Experiment.model_validate(
        {
            "name": "own_law",
            "title": f"The law of {corpus}",
            "base": {
                "model": {"n_layers": 2, "context_length": 256},
                "data": {"corpus": corpus, "tokenizer": tokenizer},
                "evaluation": EVALUATION,
            },
            "profiles": {
                PROFILE: {
                    "recipe": True,
                    "axes": {"model.d_model": list(widths), "tokens": list(amounts)},
                    "seeds": list(SEEDS),
                }
            },
        }
    )
    return expand(experiment, PROFILE)


def plan_law(corpus: str, minutes: float, jobs: int) -> OwnPlan:
    """The runs that make the exponent of N as sure as can be in so many minutes of `jobs`
    processes: each width is timed for a moment first.

    Raises:
        TinyLMError: as `choose_tokenizer`; too little time for any law.
    """
    tokenizer, data = choose_tokenizer(corpus)
    timed = max(LEAST_TOKENS, min(data.train.n_tokens, 500_000))
    trials = [
        run.config for run in runs_for(corpus, tokenizer, WIDTHS, [timed]) if run.seed == SEEDS[0]
    ]
    measured = calibrate(trials, jobs)
    costs = {
        config.model.d_model: cost_of(config, data, parts)
        for config, parts in zip(trials, measured, strict=True)
        if parts is not None
    }

    def seconds_of(width: int, tokens: int) -> float:
        fixed, a_token = costs.get(width, (float("inf"), 0.0))
        return fixed + a_token * tokens

    budget = 60 * minutes * jobs * SPARED
    widths, amounts, seconds = best_grid(data.train.n_tokens, seconds_of, budget)
    runs = runs_for(corpus, tokenizer, widths, amounts)
    return OwnPlan(corpus, tokenizer, widths, amounts, seconds, runs)


def cost_of(config: RunConfig, data: PreparedData, parts: Calibration) -> tuple[float, float]:
    """Wall-clock seconds of a run: those that do not hang on how long it trains, of which most are
    evaluation, and those of each training token.
    """
    reading = evaluated_tokens(config, data) * parts.window_token
    fixed = parts.start_seconds + (parts.first_step + reading + parts.save) / parts.core_share
    return fixed, parts.step / config.batch_tokens / parts.core_share


def best_grid(
    text_tokens: int, seconds_of: Callable[[int, int], float], budget: float
) -> tuple[tuple[int, ...], tuple[int, ...], float]:
    """Widths, amounts of tokens and the seconds of all runs: of the grids that `budget` seconds
    hold, and that would make alpha as sure as SURE, those that read most text, and of these, or if
    none would, the one that would make it surest.

    Raises:
        BadInput: the budget holds none; the sentence says what the least one takes.
    """
    found: list[tuple[float, int, float, tuple[int, ...], tuple[int, ...], float]] = []
    least = float("inf")
    for count, most in product(SIZES, amounts_of(text_tokens)):
        tokens = tuple(dict.fromkeys(max(LEAST_TOKENS, round(most * part)) for part in AMOUNTS))
        if len(tokens) < 3:
            continue
        for first in range(len(WIDTHS) - count + 1):
            widths = WIDTHS[first : first + count]
            seconds = len(SEEDS) * sum(seconds_of(w, d) for w, d in product(widths, tokens))
            least = min(least, seconds)
            if seconds <= budget:
                error = expected_error(widths, tokens)
                found.append((max(SURE, error), -tokens[-1], error, widths, tokens, seconds))
    if not found:
        raise BadInput(
            f"the smallest grid of runs takes {say.duration(least)} of one process, and there are "
            f"{say.duration(budget)}; expected more minutes"
        )
    *_, widths, tokens, seconds = min(found)
    return widths, tokens, seconds


def amounts_of(text_tokens: int) -> list[int]:
    """The most tokens that a run may read, from few to MOST_EPOCHS times the text, by doublings."""
    most = MOST_EPOCHS * text_tokens
    least = LEAST_TOKENS / AMOUNTS[1]  # so that three amounts differ
    steps = max(0, int(np.log2(most / least)))
    return [round(most / 2**step) for step in reversed(range(steps + 1))]


def expected_error(widths: tuple[int, ...], tokens: tuple[int, ...]) -> float:
    """Standard error of alpha from every width with every amount of tokens, of a law and a noise
    such as the book's grid has.
    """
    sizes = [
        parameter_count(ModelConfig(d_model=width, n_layers=2, n_heads=2)).non_embedding
        for width in widths
    ]
    n, d = np.meshgrid(np.array(sizes, float), np.array(tokens, float))
    error = NOISE / np.sqrt(len(SEEDS))
    return expected_errors(TYPICAL, n.ravel(), d.ravel(), error)["alpha"]
