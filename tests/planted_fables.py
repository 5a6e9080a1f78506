"""Records of runs on fables that were never made, above the true floor by a law that is planted."""

from collections.abc import Callable, Sequence

from test_records import made_up_record

from tinylm.config import Run
from tinylm.store import Store
from tinylm.studies.cuts import FablesStudy, fables_study
from tinylm.studies.findings import computing_findings

Law = Callable[[float, float], float]  # of N and D


def plant(runs: Sequence[Run], excess: Law, floor: float, profile: str = "smoke") -> None:
    """Records of these runs, with the excess loss that a law of N and D gives."""
    for run in runs:
        n = 24 * run.config.model.d_model**2
        made = made_up_record(run)
        assert made.validation is not None
        nats = floor + excess(n, run.config.tokens) * (1 + 0.001 * run.seed)
        Store(profile).save(
            made.model_copy(
                update={
                    "tokens": run.config.tokens,
                    "parameters": made.parameters.model_copy(update={"non_embedding": n}),
                    "validation": made.validation.model_copy(
                        update={"nats": nats, "bits_per_byte": nats / 2}
                    ),
                }
            )
        )


def power_law(alpha: float, beta: float) -> Law:
    """900·N^-alpha·D^-beta."""
    return lambda n, d: 900 * n**-alpha * d**-beta


def reported(profile: str = "smoke") -> FablesStudy:
    """The study as `tinylm report` makes it: what was not computed yet is."""
    with computing_findings():
        return fables_study(Store(profile))
