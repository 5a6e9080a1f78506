"""What a run is: one typed, validated configuration. Everything else follows from it and a seed."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from tinylm.errors import BadInput

CONFIG_DIR = Path(__file__).parent / "configs"

# Fields that came after the first records, and what those were made with.
NEWER_FIELDS = {
    ("model", "shift"): 0,
    ("model", "induction_heads"): 0,
    ("model", "induction_positions"): True,
    ("model", "induction_match"): 0.0,
    ("model", "mup_base"): None,
    ("model", "tied"): True,
    ("model", "shift_layers"): False,
    ("model", "mixing"): "attention",
    ("optimizer", "name"): "adamw",
    ("optimizer", "matrix_learning_rate"): 0.03,
    ("optimizer", "momentum"): 0.9,
    ("optimizer", "warmup_steps"): None,
    ("optimizer", "rounding"): "none",
    ("evaluation", "spacing"): "log",
    ("evaluation", "curve_tokens"): None,
    ("evaluation", "final_tokens"): None,
}

# Fields of a run that are no more, and the one value that they have in its records.
FORMER_FIELDS = {"accumulate": 1}


class _Strict(BaseModel):
    """Frozen; an unknown or misspelt field is an error, not silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _check_truth(cls, value: Any, info: ValidationInfo) -> Any:
        """`tokens: true` would be one token."""
        field = cls.model_fields[info.field_name or ""]
        if isinstance(value, bool) and field.annotation is not bool:
            raise ValueError("expected no yes or no here")
        return value


class ModelConfig(_Strict):
    """The shape of a GPT. `vocab_size` is set from the tokenizer when a run is prepared."""

    vocab_size: int = Field(512, ge=2)
    context_length: int = Field(256, ge=2)  # T: tokens the model can look back on
    d_model: int = Field(64, ge=2)  # width of the residual stream
    n_layers: int = Field(2, ge=1)
    n_heads: int = Field(2, ge=1)
    n_kv_heads: int | None = Field(None, ge=1)  # fewer than n_heads: grouped queries; None: equal
    d_mlp: int | None = Field(None, ge=1)  # None: 8/3 d_model for SwiGLU, else 4 d_model
    positions: Literal["learned", "rotary", "none"] = "rotary"
    mixing: Literal["attention", "linear"] = "attention"  # linear: gated, without softmax
    norm: Literal["layernorm", "rmsnorm"] = "rmsnorm"
    mlp: Literal["gelu", "swiglu", "relu2"] = "gelu"  # relu2: max(x, 0)² (So et al. 2021)
    qk_norm: bool = True  # RMS-normalise queries and keys in each head (Henry et al. 2020)
    shift: int = Field(0, ge=0)  # earlier tokens whose embeddings are mixed into a token's own
    shift_layers: bool = False  # and likewise what every layer's attention and MLP read
    tied: bool = True  # the embedding scores tokens too; false: another matrix does
    bias: bool = False  # biases in linear layers and LayerNorm, as GPT-2 has them
    induction_heads: int = Field(0, ge=0)  # key heads that hold the token before's key
    induction_positions: bool = True  # whether rotary positions turn those heads too
    induction_match: float = Field(0.0, ge=0)  # > 0: their keys start as queries, so much larger
    mup_base: int | None = Field(None, ge=1)  # maximal updates: the width where they are standard

    @model_validator(mode="after")
    def _check_shape(self) -> Self:
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} is not divisible by n_heads {self.n_heads}")
        if self.n_heads % self.kv_heads:
            raise ValueError(
                f"n_heads {self.n_heads} is not divisible by n_kv_heads {self.kv_heads}"
            )
        if self.induction_heads > self.kv_heads:
            of = f"the {self.kv_heads} heads that have keys"
            raise ValueError(f"induction_heads {self.induction_heads} is more than {of}")
        if self.induction_match and not self.induction_heads:
            raise ValueError(f"induction_match {self.induction_match:g} needs induction_heads")
        if self.mixing == "linear" and self.kv_heads < self.n_heads:
            raise ValueError(f"n_kv_heads {self.n_kv_heads}: mixing 'linear' shares no keys")
        if self.shift_layers and not self.shift:
            raise ValueError("shift_layers true needs a shift of 1 or more")
        if not self.induction_positions and self.positions == "learned":
            raise ValueError("induction_positions false needs positions 'rotary'")
        if self.positions == "rotary" and self.head_width % 2:
            raise ValueError(
                f"rotary positions need an even head width, not d_model/n_heads = "
                f"{self.d_model}/{self.n_heads} = {self.head_width}"
            )
        if self.bias and self.norm == "rmsnorm":
            raise ValueError("bias true needs norm 'layernorm': RMSNorm has no bias")
        return self

    @property
    def mup_factor(self) -> float:
        """Width over the width at which the maximal-update parametrisation is the standard one; 1
        for the standard one. Widths are to be compared at equal n_heads and d_mlp / d_model.
        """
        return 1.0 if self.mup_base is None else self.d_model / self.mup_base

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_heads

    @property
    def kv_heads(self) -> int:
        """Key-value heads, with the default filled in."""
        return self.n_kv_heads or self.n_heads

    @property
    def mlp_width(self) -> int:
        """Hidden width of the MLP, with the default filled in (SwiGLU: a multiple of 8)."""
        if self.d_mlp:
            return self.d_mlp
        return -(-8 * self.d_model // 24) * 8 if self.mlp == "swiglu" else 4 * self.d_model


class DataConfig(_Strict):
    """Which text, cut into which tokens."""

    corpus: str = "fables"
    tokenizer: str = "bpe-512"  # "characters", or "bpe-K" with a vocabulary of K
    train_documents: int | None = Field(None, ge=1)  # the first so many; None: all


class OptimizerConfig(_Strict):
    """The optimiser and its schedule. Weight decay acts on matrices only.

    AdamW, Lion (Chen et al. 2023), or Muon (Jordan et al. 2024) on the matrices of the blocks and
    AdamW on the rest.
    """

    name: Literal["adamw", "lion", "muon"] = "adamw"
    matrix_learning_rate: float = Field(0.03, gt=0)  # of Muon, at every width
    momentum: float = Field(0.9, ge=0, lt=1)  # of Muon
    learning_rate: float = Field(1.1e-2, gt=0)  # at d_model = base_width
    base_width: int = Field(64, ge=1)
    width_exponent: float = Field(1.2, ge=0)  # peak rate = learning_rate·(base_width/d_model)^this
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.95, ge=0, lt=1)
    weight_decay: float = Field(0.1, ge=0)
    gradient_clip: float = Field(1.0, gt=0)  # largest global norm of the gradient
    schedule: Literal["constant", "cosine", "linear", "wsd"] = "linear"
    warmup_fraction: float = Field(0.05, ge=0, le=1)  # of all steps
    warmup_steps: int | None = Field(None, ge=0)  # instead of the fraction: the same for every D
    decay_fraction: float = Field(0.3, ge=0, le=1)  # wsd only: the cool-down's share of all steps
    final_fraction: float = Field(0.0, ge=0, le=1)  # last learning rate over the peak one
    rounding: Literal["none", "nearest", "stochastic"] = "none"  # of weights, to bf16, every step

    @model_validator(mode="after")
    def _check_schedule(self) -> Self:
        by_fraction = self.schedule == "wsd" and self.warmup_steps is None
        if by_fraction and self.warmup_fraction + self.decay_fraction > 1:
            raise ValueError(
                f"warmup_fraction {self.warmup_fraction} and decay_fraction "
                f"{self.decay_fraction} add up to more than 1"
            )
        return self


class EvaluationConfig(_Strict):
    """When the validation loss is taken, and on which documents. What is compared should be taken
    on the same ones, so these limits do not hang on how long a run is.
    """

    points: int = Field(12, ge=2)  # evaluations of the learning curve
    spacing: Literal["log", "linear"] = "log"  # of these, in tokens
    curve_documents: int = Field(64, ge=1)  # the most documents for points before the last
    curve_tokens: int | None = Field(None, ge=1)  # and the most tokens of them; None: no limit
    final_tokens: int | None = Field(None, ge=1)  # the most for the last; None: every document
    stride_fraction: float = Field(0.5, gt=0, le=1)  # window step over context in long documents


class RunConfig(_Strict):
    """One training run, but for its seed."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    tokens: int = Field(500_000, ge=1)  # D: training tokens, rounded up to whole steps
    batch_tokens: int = Field(512, ge=1)  # tokens an optimiser step
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: autocast; weights stay fp32

    @model_validator(mode="after")
    def _check_parametrisation(self) -> Self:
        if self.model.mup_base is not None and self.optimizer.width_exponent:
            raise ValueError(
                f"model.mup_base {self.model.mup_base} makes the learning rate follow the width, "
                f"and so does optimizer.width_exponent {self.optimizer.width_exponent}; expected "
                f"width_exponent 0"
            )
        return self

    @model_validator(mode="after")
    def _check_batch(self) -> Self:
        rows, rest = divmod(self.batch_tokens, self.model.context_length)
        if rest or rows == 0:
            raise ValueError(
                f"batch_tokens {self.batch_tokens} is not a multiple of context_length "
                f"{self.model.context_length}"
            )
        return self

    @model_validator(mode="after")
    def _check_warmup(self) -> Self:
        warmup = self.optimizer.warmup_steps
        if warmup is not None and warmup > self.steps:
            raise ValueError(
                f"optimizer.warmup_steps {warmup} is more than the {self.steps} steps that "
                f"{self.tokens} tokens make"
            )
        return self

    @property
    def batch_size(self) -> int:
        """Rows (sequences of context_length tokens) an optimiser step."""
        return self.batch_tokens // self.model.context_length

    @property
    def steps(self) -> int:
        """Optimiser steps: `tokens` over `batch_tokens`, rounded up."""
        return -(-self.tokens // self.batch_tokens)

    def identity(self, seed: int, corpus_version: str) -> str:
        """The run's id: a hash of everything that decides its result, the same on every machine.

        The vocabulary size is left out: it follows from the tokenizer and the corpus. So are fields
        newer than the first records, where they have the value that those records were made with;
        fields that are no more count with the value that they had.
        """
        content = self.model_dump(mode="json")
        del content["model"]["vocab_size"]
        for (block, field), value in NEWER_FIELDS.items():
            if content[block][field] == value:
                del content[block][field]
        content |= FORMER_FIELDS | {"seed": seed, "corpus_version": corpus_version}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Run:
    """A config and a seed, and the id that both make."""

    config: RunConfig
    seed: int
    run_id: str


def explain(error: ValidationError, where: str) -> BadInput:
    """Turn pydantic's report into one sentence that names the field, the value and the need."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "config"
    value = first["input"]
    if first["type"] == "extra_forbidden":
        return BadInput(f"{where}: unknown field {field!r} (value {value!r}); check its spelling")
    message = first["msg"].removeprefix("Value error, ")
    shown = "" if isinstance(value, dict | BaseModel) else f", not {value!r}"
    return BadInput(f"{where}: {field}: {message}{shown}")


def parse_run_config(values: dict[str, Any], where: str) -> RunConfig:
    """Validate a nested dict as a RunConfig; `where` names its origin in error messages."""
    model = values.get("model")
    if isinstance(model, dict) and "vocab_size" in model:
        raise BadInput(f"{where}: model.vocab_size follows from data.tokenizer; remove it")
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise explain(error, where) from None


class _OnceLoader(yaml.SafeLoader):
    """YAML in which no mapping has a key twice; PyYAML itself takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                line = key.start_mark.line + 1
                raise yaml.YAMLError(f"{key.value!r} twice, again in line {line}")
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping, or say in one sentence why it is none."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _OnceLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
            reason = f"{error.problem} in line {error.problem_mark.line + 1}"
        raise BadInput(f"config file {path}: cannot be read as YAML: {reason}") from None
    if not isinstance(content, dict):
        raise BadInput(
            f"config file {path}: expected a mapping of fields, got {type(content).__name__}"
        )
    return content


def load_run_config(name: str) -> RunConfig:
    """A RunConfig by the name of a config in the package ('base') or the path of a YAML file."""
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        path = CONFIG_DIR / f"{name}.yaml"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in CONFIG_DIR.glob("*.yaml")))
            raise BadInput(f"unknown config {name!r}; expected one of {known}, or a .yaml file")
    return parse_run_config(read_yaml(path), where=path.name)
