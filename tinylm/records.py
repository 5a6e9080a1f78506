"""Run records: what a run leaves, one JSON file each, and the store that holds them."""

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from tinylm.config import FORMER_FIELDS, RunConfig, explain
from tinylm.errors import Damaged, Missing

SCHEMA_VERSION = 1
SCHEMA_FILE = Path(__file__).parent / "run_record.schema.json"

# A number that a diverged run may leave infinite or undefined, which JSON has no number for.
Number = Annotated[
    float,
    WithJsonSchema({"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]}),
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class PositionLoss(_Part):
    """Mean loss over tokens whose position in their document is in [first, last]."""

    first: int  # 1 is the first token after the beginning of the document
    last: int
    tokens: int
    nats: float


def position_bins(longest: int) -> NDArray[np.int64]:
    """First positions of bins that widen by √2: 1, 2, 3, 4, 6, 8, 11, 16, … up to `longest`."""
    edges = np.unique(np.round(2 ** np.arange(0, 2 * math.log2(max(2, longest)) + 1, 0.5)))
    return edges[edges <= longest].astype(np.int64)


class Losses(_Part):
    """Validation loss, averaged over every scored token."""

    nats: float  # per token
    bits_per_byte: float
    perplexity: float
    tokens: int
    n_bytes: int
    documents: int
    by_position: list[PositionLoss]


class CurvePoint(_Part):
    """One evaluation while training."""

    step: int
    tokens: int
    train_nats: Number  # mean over the steps since the last evaluation
    validation_nats: Number  # on the curve's documents; at the last step on all
    validation_documents: int
    learning_rate: float
    gradient_norm: Number  # before clipping, at this step


class Parameters(_Part):
    """N by each convention."""

    non_embedding: int
    with_output: int
    total: int


class Compute(_Part):
    """C, training FLOPs by each convention."""

    six_nd: float
    exact: float


class Timing(_Part):
    """What the run took. Wall-clock depends on what else the machine did; CPU time hardly does."""

    wall_seconds: float  # training and evaluation, over all resumptions
    cpu_seconds: float
    tokens_per_second: float  # training steps of its own only, wall-clock
    peak_memory_bytes: int  # of the process so far; with CUDA, of the device during this run
    resumptions: int


class Segment(_Part):
    """A stretch of a run in one process, noted when it began."""

    first_step: int  # steps already taken when it began
    last_step: int  # and when it ended, or was last saved
    commit: str | None
    clean: bool | None  # no uncommitted change to the package
    date: str  # of its beginning: UTC, ISO 8601
    processor: str
    device: str
    threads: int
    steps: str  # how they were taken: the `name` of a `tinylm.train.Steps`


class Provenance(_Part):
    """Where the result comes from. Commit, processor, device and threads are those that it began
    with; `segments` tells of changes on the way.
    """

    commit: str | None
    clean: bool | None  # no uncommitted change to the package
    date: str  # of its end: UTC, ISO 8601
    python: str
    packages: dict[str, str]
    processor: str
    device: str
    threads: int
    corpus: dict[str, Any]
    train_sha256: str  # of the token file
    validation_sha256: str
    batched_with: int | None = None  # other runs trained in the same program; None: trained alone
    processes: int | None = None  # that shared each batch of the run; None: one
    trunk: str | None = None  # the run whose first steps this one took over; None: its own
    branched_at: int | None = None  # how many of them
    segments: list[Segment] = []  # oldest first; records of before have none


class RunRecord(_Part):
    """All that a run leaves, enough to repeat it and to check it."""

    schema_version: Literal[1] = 1
    run_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    seed: int = Field(ge=0)
    config: RunConfig
    corpus_version: str
    status: Literal["done", "diverged"]
    parameters: Parameters
    tokens: int  # D: tokens trained on
    unique_tokens: int  # in the training file
    steps: int
    compute: Compute
    bytes_per_token: float  # of the validation text
    train_nats: Number  # mean over the last tenth of the steps
    validation: Losses | None  # None when diverged
    curve: list[CurvePoint]
    timing: Timing
    provenance: Provenance

    @field_validator("validation")
    @classmethod
    def _check_loss(cls, validation: Losses | None, info: ValidationInfo) -> Losses | None:
        if validation is None and info.data.get("status") == "done":
            raise ValueError("none of a run that is done; expected its losses")
        if validation is not None and not 0 < validation.nats < math.inf:
            raise ValueError(
                f"nats {validation.nats} of a run that ended; expected above 0, finite"
            )
        return validation


def read_record(path: Path) -> RunRecord:
    """Read one record.

    Raises:
        TinyLMError: the file is missing, damaged, or of another schema version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Missing(f"run {path.stem!r} has no record in {path.parent}") from None
    except (OSError, ValueError) as error:
        raise Damaged(
            f"record {path} is damaged ({error}); delete it and the run will be repeated"
        ) from None
    found = content.get("schema_version") if isinstance(content, dict) else None
    if found != SCHEMA_VERSION:
        raise Damaged(
            f"record {path}: schema_version {found!r}, but this tinylm reads {SCHEMA_VERSION}; "
            f"use the tinylm that wrote it, or delete it and the run will be repeated"
        )
    config = content.get("config")
    for field, value in FORMER_FIELDS.items():
        if isinstance(config, dict) and config.get(field) == value:
            del config[field]
    try:
        record = RunRecord.model_validate(content)
    except ValidationError as error:
        raise Damaged(str(explain(error, f"record {path}"))) from None
    if record.run_id != path.stem:
        raise Damaged(f"record {path} holds run_id {record.run_id!r}; expected {path.stem!r}")
    made_of = record.config.identity(record.seed, record.corpus_version)
    if made_of != record.run_id:
        raise Damaged(
            f"record {path} is not of its run: its config, seed and corpus are those of {made_of}; "
            f"restore it, or delete it and the run will be repeated"
        )
    return record


def record_schema() -> str:
    """The JSON schema of a record, as kept beside this module. A record holds every field, so the
    schema requires them all and names no defaults.
    """
    schema = RunRecord.model_json_schema(mode="serialization")
    _drop_defaults(schema)
    former = {field: {"const": value} for field, value in FORMER_FIELDS.items()}
    schema["$defs"]["RunConfig"]["properties"] |= former
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


def _drop_defaults(schema: Any) -> None:
    if isinstance(schema, dict):
        schema.pop("default", None)
    for part in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(part, dict | list):
            _drop_defaults(part)
