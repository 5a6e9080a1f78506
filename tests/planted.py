"""Records of runs that were never made, with the losses of a law that is planted."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from test_records import made_up_record

from tinylm.config import Run
from tinylm.cost import flops_exact, parameter_count
from tinylm.records import CurvePoint, RunRecord
from tinylm.store import Store

TOKENS_A_DOCUMENT = 340
CURVE_DOCUMENTS, ALL_DOCUMENTS = 16, 150  # that points of a curve, and the last one, are on
N_POINTS = 8


def planted_store(
    root: Path, records: Sequence[RunRecord], patch: pytest.MonkeyPatch, profile: str = "paper"
) -> Store:
    """A project of its own, which it changes to, with these records and nothing else."""
    patch.setenv("TINYLM_ROOT", str(root))
    store = Store(profile)
    for record in records:
        store.save(record)
    return store


def planted_records(
    runs: Sequence[Run], law: Callable[[RunRecord, int], float], noise: float = 0.003
) -> list[RunRecord]:
    """A record a run. `law` gives the loss of a record whose sizes are filled in, at some tokens;
    curves lie above it where the learning rate has not come down. Their last point is on all
    documents.
    """
    rng = np.random.default_rng(0)
    records = []
    for run in runs:
        made = made_up_record(run)
        assert made.validation is not None
        size = int(run.config.data.tokenizer.removeprefix("bpe-"))
        model = run.config.model.model_copy(update={"vocab_size": size})
        count = parameter_count(model)
        documents = run.config.data.train_documents
        tokens = run.config.steps * run.config.batch_tokens
        record = made.model_copy(
            update={
                "tokens": tokens,
                "unique_tokens": TOKENS_A_DOCUMENT * documents if documents else 10**9,
                "compute": made.compute.model_copy(update={"exact": flops_exact(model, tokens)}),
                "parameters": made.parameters.model_copy(
                    update={
                        "non_embedding": count.non_embedding,
                        "with_output": count.with_output,
                        "total": count.total,
                    }
                ),
            }
        )
        factor = float(np.exp(noise * rng.standard_normal()))
        points: list[CurvePoint] = []
        for at in np.geomspace(tokens / 100, tokens, N_POINTS):
            early = 1 + 0.05 * (1 - at / tokens)
            at_end = len(points) == N_POINTS - 1
            point: CurvePoint = made.curve[0].model_copy(
                update={
                    "step": int(at) // run.config.batch_tokens,
                    "tokens": int(at),
                    "validation_nats": law(record, int(at)) * factor * early,
                    "validation_documents": ALL_DOCUMENTS if at_end else CURVE_DOCUMENTS,
                }
            )
            points.append(point)
        nats = law(record, tokens) * factor
        losses = made.validation.model_copy(update={"nats": nats})
        records.append(
            record.model_copy(
                update={"validation": losses, "curve": points, "train_nats": nats - 0.1}
            )
        )
    return records
