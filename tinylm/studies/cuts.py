"""How the loss of fables above their true floor falls along N and along D.

A cut shows the runs that have records; what has none yet is counted, not made up.
"""

import hashlib
from dataclasses import dataclass

import pandas as pd

from tinylm.config import Run
from tinylm.corpora.fables import CORPORA, LONG_CORPORA, VARIANTS, variant_of
from tinylm.corpora.token_files import prepare
from tinylm.errors import Missing
from tinylm.laws import (
    MIN_REPEATS,
    PowerLawWithIntervals,
    bootstrap_power_law,
    local_exponents,
)
from tinylm.ngrams import MAX_ORDER, NgramFloor
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.findings import finding
from tinylm.studies.floor import TokenFloor, known_floor
from tinylm.studies.runs import evaluation_of, to_table
from tinylm.studies.size import NGRAM_ORDERS, ngram_baselines
from tinylm.studies.theory import MET, finite_exponent, predicted_exponent
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.texts import prepared_text, texts_of

CUTS = {"N": "fables_size", "D": "fables_data"}  # on the default tail, over the whole range
TAILS = {"N": "fables_tails_size", "D": "fables_tails_data"}  # on every tail alike
AXES = {"N": "n_non_embedding", "D": "tokens"}
LAWS = ("tinylm.laws.power", "tinylm.laws.scatter", "tinylm.laws.solver")
COLUMNS = ["x", "seed", "loss", "bits_per_byte", "excess"]


@dataclass(frozen=True)
class CutLaws:
    """The laws through a cut; None where there are too few runs."""

    known: PowerLawWithIntervals | None = None  # with E at the true floor
    free: PowerLawWithIntervals | None = None  # with E fitted


@dataclass(frozen=True)
class Cut:
    """Loss along one axis, N or D, the other held at the experiment's largest."""

    runs: pd.DataFrame  # x, seed, loss, bits_per_byte, excess: a row for each finished run
    floor: float | None  # nats per token, that excess is above; None: no run yet
    wanted: int  # runs that the grid asks for
    predicted: float  # the exponent by the theory of knowledge in pieces
    predicted_here: tuple[float, float]  # and in a world of this size: from ... to
    laws: CutLaws
    slopes: pd.DataFrame | None  # local_exponents of the excess; None: too few runs yet

    @property
    def law(self) -> PowerLawWithIntervals | None:
        """The law with E at the true floor."""
        return self.laws.known

    @property
    def free(self) -> PowerLawWithIntervals | None:
        """The law with E fitted."""
        return self.laws.free

    @property
    def fold(self) -> float | None:
        """Mean excess at the smallest x over that at the largest; None where these are one."""
        means = self.runs.groupby("x")["excess"].mean()
        return float(means.iloc[0] / means.iloc[-1]) if len(means) > 1 else None


@dataclass(frozen=True)
class FablesStudy:
    """All that is measured of one profile's runs beside their floor."""

    store: Store
    floor: TokenFloor  # of the default tail
    cuts: dict[str, Cut]  # N and D on the default tail
    tails: dict[str, dict[str, Cut]]  # by corpus, then N and D: shorter cuts, alike for all
    records: list[RunRecord]  # of `cuts`
    ngrams: list[NgramFloor]

    @property
    def best_ngram(self) -> NgramFloor:
        """The order with the lowest loss."""
        return min(self.ngrams, key=lambda one: one.nats_per_token)


def corpora_of(store: Store) -> list[str]:
    """The three corpora of a profile's runs, that of the default tail first: the full profile reads
    further than the others.
    """
    return list(LONG_CORPORA if store.profile == "full" else CORPORA)


def grid(store: Store, experiment: str, corpus: str | None = None) -> list[Run]:
    """The runs that an experiment asks for on one corpus, by default that of the default tail; none
    if the profile has no grid of it.
    """
    corpus = corpus or corpora_of(store)[0]
    declared = load_experiment(experiment)
    runs = expand(declared, store.profile) if store.profile in declared.profiles else []
    return [run for run in runs if run.config.data.corpus == corpus]


def make_cut(store: Store, axis: str, experiment: str, corpus: str) -> Cut:
    """The runs of an experiment on a corpus that have ended, and the laws through them.

    Raises:
        Missing: a floor or laws were not computed yet, and this is no `tinylm report`.
    """
    runs = grid(store, experiment, corpus)
    records = store.found(runs)
    table, floor, slopes, laws = pd.DataFrame(columns=COLUMNS), None, None, CutLaws()
    if records:
        tokenizer = records[0].config.data.tokenizer
        floor = known_floor(store, corpus, tokenizer, evaluation_of(records)).nats
        done = to_table(records)
        done = done[done["status"] == "done"]
        done = done.assign(x=done[AXES[axis]], loss=done["nats"], excess=done["nats"] - floor)
        table = done[COLUMNS].sort_values(["x", "seed"], ignore_index=True)
        laws = _laws(store, f"cut-{experiment}-{corpus}", table, floor)
        if _enough(table, 2) and (table["excess"] > 0).all():
            slopes = local_exponents(table["x"], table["seed"], table["loss"], floor=floor)
    variant = VARIANTS[variant_of(corpus)]
    low, high = (finite_exponent(axis, variant, met) for met in MET[axis])
    predicted = predicted_exponent(axis, variant.tail)
    return Cut(table, floor, len(runs), predicted, (low, high), laws, slopes)


def _enough(table: pd.DataFrame, points: int) -> bool:
    """Whether there are so many different x, and repeats enough to know the spread over seeds."""
    n = table["x"].nunique()
    return n >= points and len(table) - n >= MIN_REPEATS


def _laws(store: Store, name: str, table: pd.DataFrame, floor: float) -> CutLaws:
    """The laws through the points of a cut, as a finding."""
    above = (table["excess"] > 0).all()  # else a run is below the floor: no law
    if not _enough(table, 3):
        return CutLaws()

    def compute() -> CutLaws:
        points = table["x"], table["seed"], table["loss"]
        return CutLaws(
            known=bootstrap_power_law(*points, floor=floor) if above else None,
            free=bootstrap_power_law(*points) if _enough(table, 4) else None,
        )

    key = points_hash(table)
    found: CutLaws = finding(store, name, [], LAWS, compute, points=key, floor=round(floor, 9))
    return found


def points_hash(table: pd.DataFrame) -> str:
    """SHA-256 of the numbers that a law is fitted to."""
    return hashlib.sha256(table.to_csv(index=False, float_format="%.9g").encode()).hexdigest()


def default_cuts(store: Store) -> dict[str, Cut]:
    """The cuts in N and D of a profile on the default tail."""
    corpus = corpora_of(store)[0]
    return {axis: make_cut(store, axis, name, corpus) for axis, name in CUTS.items()}


def fables_study(store: Store) -> FablesStudy:
    """The cuts, the exponents' cuts on every tail, the floor, and the n-gram baselines.

    Raises:
        Missing: a profile without these experiments, or what `tinylm report` has not computed yet.
    """
    runs = [run for name in CUTS.values() for run in grid(store, name)]
    if not runs:
        raise Missing(f"profile {store.profile!r} has no grid of {' or '.join(CUTS.values())}")
    tokenizer = runs[0].config.data.tokenizer
    orders = range(1, MAX_ORDER + 1) if store.profile in {"paper", "full"} else NGRAM_ORDERS
    records = store.found(runs)
    read = corpora_of(store)[0]
    text = texts_of(records)[0] if records else prepared_text(prepare(read, tokenizer))
    evaluation = evaluation_of(records) if records else runs[0].config.evaluation
    return FablesStudy(
        store=store,
        floor=known_floor(store, read, tokenizer, evaluation),
        cuts=default_cuts(store),
        tails={
            corpus: {axis: make_cut(store, axis, name, corpus) for axis, name in TAILS.items()}
            for corpus in corpora_of(store)
        },
        records=records,
        ngrams=ngram_baselines(store, text, orders, evaluation),
    )
