"""Models of one shape, stacked: M models in one program, with one kernel where each had its own.

The weights of all M models lie in one matrix (M, P). The activations of member m are rows
m·B to (m+1)·B - 1 of an ordinary batch of M·B sequences, so attention, MLP and block are those of
`tinylm.model`; only the leaves that hold weights (linear map, norm, embedding) are replaced by ones
that give each member's rows that member's weights.
"""

from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylm.batches import validation_windows
from tinylm.config import ModelConfig, OptimizerConfig, RunConfig
from tinylm.corpora.token_files import TokenFile
from tinylm.errors import BadInput
from tinylm.evaluate import WINDOW_TOKENS, summarise
from tinylm.model import GPT, KeyValueCache, cross_entropy
from tinylm.optim import peak_learning_rate, schedule_factor
from tinylm.records import Losses
from tinylm.train import Steps
from tinylm.trainer import Trainer

# --- the leaves that hold weights -----------------------------------------------------------------


def by_member(x: Tensor, members: int) -> Tensor:
    """Rows of all members (M·B, ..., C), as a matrix for each: (M, B · ..., C)."""
    return x.reshape(members, -1, x.shape[-1])


class StackedLinear(nn.Module):
    """M linear maps in one batched product."""

    bias: Tensor | None

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None) -> None:
        """`weight` is (M, out, in), `bias` (M, out)."""
        super().__init__()
        self.weight = weight
        self.register_parameter("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """(M·B, ..., in) to (M·B, ..., out)."""
        rows, weights = by_member(x, len(self.weight)), self.weight.mT
        if self.bias is None:
            y = torch.bmm(rows, weights)
        else:
            y = torch.baddbmm(self.bias[:, None], rows, weights)
        return y.view(*x.shape[:-1], -1)


class StackedNorm(nn.Module):
    """M norms: one normalisation of all rows, then each member's scale and shift."""

    bias: Tensor | None

    def __init__(
        self, norm: nn.LayerNorm | nn.RMSNorm, weight: nn.Parameter, bias: nn.Parameter | None
    ) -> None:
        """`weight` and `bias` are (M, C); the rest is as in `norm`."""
        super().__init__()
        self.centred, self.eps = isinstance(norm, nn.LayerNorm), norm.eps
        self.weight = weight
        self.register_parameter("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """(M·B, ..., C) to the same shape."""
        width = x.shape[-1:]
        if self.centred:
            x = F.layer_norm(x, width, eps=cast(float, self.eps))
        else:
            x = F.rms_norm(x, width, eps=self.eps)
        members = len(self.weight)
        each = (members, *(1 for _ in x.shape[:-1]), -1)  # against (M, B, ..., C)
        scaled = x.view(members, -1, *x.shape[1:]) * self.weight.view(each)
        if self.bias is not None:
            scaled = scaled + self.bias.view(each)
        return scaled.flatten(0, 1)


class StackedEmbedding(nn.Module):
    """M embeddings as one table of M·V rows."""

    def __init__(self, weight: nn.Parameter) -> None:
        """`weight` is (M, V, C)."""
        super().__init__()
        self.weight = weight

    def forward(self, tokens: Tensor) -> Tensor:
        """(M·B, T) to (M·B, T, C)."""
        members, size, width = self.weight.shape
        first = torch.arange(members, device=tokens.device) * size  # row of each member's token 0
        rows = tokens.view(members, -1, tokens.shape[1]) + first[:, None, None]
        return F.embedding(rows.flatten(0, 1), self.weight.reshape(-1, width))


def stacked_leaf(module: nn.Module, weights: dict[str, nn.Parameter]) -> nn.Module | None:
    """The stacked form of a module that holds weights itself; None for any other."""
    if isinstance(module, nn.Linear):
        return StackedLinear(weights["weight"], weights.get("bias"))
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        return StackedNorm(module, weights["weight"], weights.get("bias"))
    if isinstance(module, nn.Embedding):
        return StackedEmbedding(weights["weight"])
    return None


# --- the model ------------------------------------------------------------------------------------


class StackedGPT(GPT):
    """M GPTs of one shape that start from the weights of `models`.

    `flat` (M, P) holds all weights; every parameter of this module is a view into it.
    """

    def __init__(self, models: Sequence[GPT]) -> None:
        config: ModelConfig = models[0].config
        super().__init__(config)
        self.members = len(models)
        self.shapes = {name: p.shape for name, p in models[0].named_parameters()}
        self.flat = torch.stack(
            [torch.cat([p.detach().flatten() for p in model.parameters()]) for model in models]
        )
        held = {name: nn.Parameter(part) for name, part in self.views(self.flat).items()}
        for path, module in list(self.named_modules()):
            own = {
                name.removeprefix(f"{path}."): p
                for name, p in held.items()
                if name.rpartition(".")[0] == path
            }
            if (leaf := stacked_leaf(module, own)) is not None:
                parent, _, child = path.rpartition(".")
                setattr(self.get_submodule(parent), child, leaf)
        self.to(self.flat.device)  # buffers; the weights are there

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """A (M, P) or (P) tensor cut into (M, ...) or (...), one for each parameter's name."""
        parts = torch.split(flat, [shape.numel() for shape in self.shapes.values()], dim=-1)
        return {
            name: part.view(*flat.shape[:-1], *shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def forward(self, tokens: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Logits of each next token: (M·B, T) to (M·B, T, V)."""
        x = self.embedding(tokens)  # (M·B, T, C)
        if self.positions is not None:
            seen = self.positions.weight[:, None, : tokens.shape[1]]  # (M, 1, T, C)
            x = (x.view(self.members, -1, *x.shape[1:]) + seen).flatten(0, 1)
        for block in self.blocks:
            x = block(x)
        rows = by_member(self.norm(x), self.members)  # (M, B·T, C)
        return torch.bmm(rows, self.embedding.weight.mT).view(*tokens.shape, -1)

    def losses(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of each member's `targets` (M, B, T), in nats per token: (M)."""
        logits = self(tokens.flatten(0, 1)).flatten(0, 1)  # (M·B·T, V)
        return cross_entropy(logits, targets.flatten()).view(self.members, -1).mean(dim=1)


# --- the optimiser --------------------------------------------------------------------------------

MEMBERS_OWN = (  # fields of OptimizerConfig in which members may differ
    "learning_rate",
    "base_width",
    "width_exponent",
    "beta1",
    "beta2",
    "weight_decay",
    "gradient_clip",
    "schedule",
    "warmup_fraction",
    "decay_fraction",
    "final_fraction",
)


class StackedAdamW:
    """`make_optimizer`'s AdamW and gradient clipping for every row of a (M, P) matrix of weights.

    Members may differ in the fields of `MEMBERS_OWN`. What a member needs at a step
    (learning rate, weight decay, bias corrections) stands in a table on the device, looked up by
    the member's own step, so that a step asks the device for nothing.
    """

    def __init__(
        self, model: StackedGPT, configs: Sequence[OptimizerConfig], n_steps: Sequence[int]
    ) -> None:
        """`n_steps` is the length of each member's run."""
        weights = model.flat
        self.weights, device = weights, weights.device
        self.first, self.second = torch.zeros_like(weights), torch.zeros_like(weights)
        matrices = {name: float(len(shape) >= 2) for name, shape in model.shapes.items()}
        self.decays = torch.zeros(weights.shape[1], device=device)
        for name, part in model.views(self.decays).items():
            part.fill_(matrices[name])
        table = torch.zeros(max(n_steps), len(configs), 3, dtype=torch.float64)
        for member, (config, steps) in enumerate(zip(configs, n_steps, strict=True)):
            peak = peak_learning_rate(config, model.config.d_model)
            for step in range(steps):
                rate = peak * schedule_factor(config, step, steps)
                table[step, member, 0] = 1 - rate * config.weight_decay
                table[step, member, 1] = rate / (1 - config.beta1 ** (step + 1))
                table[step, member, 2] = (1 - config.beta2 ** (step + 1)) ** 0.5
        self.table = table.float().to(device)
        self.all_members = torch.arange(len(configs), device=device)

        def column(name: str) -> Tensor:
            values = [[getattr(config, name)] for config in configs]
            return torch.tensor(values, dtype=torch.float64).to(device)

        self.new1, self.new2 = (1 - column("beta1")).float(), (1 - column("beta2")).float()
        self.clip = column("gradient_clip").float()

    @torch.no_grad()
    def step(self, gradients: Tensor, steps: Tensor) -> Tensor:
        """Move the weights; returns each member's gradient norm before clipping (M).

        `gradients` is (M, P), `steps` (M) the member's steps already taken.
        """
        kept, rate, correction = self.table[steps, self.all_members].unsqueeze(-1).unbind(1)
        norms = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)  # (M, 1)
        gradients = gradients * (self.clip / (norms + 1e-6)).clamp(max=1.0)
        self.first.lerp_(gradients, self.new1)
        self.second.lerp_(gradients.square(), self.new2)
        self.weights.mul_(torch.where(self.decays > 0, kept, 1.0))
        self.weights.sub_(rate * self.first / (self.second.sqrt() / correction + 1e-8))
        return cast(Tensor, norms.squeeze(1))

    @torch.no_grad()
    def freeze(self, member: int) -> None:
        """Take a member out: its weights become zeros that stay so, and no NaN is left."""
        self.table[:, member, 1] = 0.0
        for held in (self.weights, self.first, self.second):
            held[member] = 0.0


# --- the runs -------------------------------------------------------------------------------------


@torch.inference_mode()
def evaluate_stacked(
    model: StackedGPT, tokens: TokenFile, stride_fraction: float, device: torch.device
) -> list[Losses]:
    """`evaluate` for every member at once."""
    context, members = model.config.context_length, model.members
    longest = int(np.diff(tokens.starts).max())
    sums, counts = np.zeros((members, longest + 1)), np.zeros(longest + 1, dtype=np.int64)
    rows = max(1, WINDOW_TOKENS // context // members)
    for batch in validation_windows(tokens, context, stride_fraction, rows):
        inputs, targets = (
            torch.from_numpy(part).to(device).repeat(members, 1)
            for part in (batch.inputs, batch.targets)
        )
        logits = model(inputs).flatten(0, 1)
        nats = F.cross_entropy(logits, targets.flatten(), reduction="none").view(members, -1)
        scored = batch.scored.ravel()
        where = batch.position_in_document.ravel()[scored] + 1
        for member, values in enumerate(nats.double().cpu().numpy()[:, scored]):
            sums[member] += np.bincount(where, weights=values, minlength=longest + 1)
        counts += np.bincount(where, minlength=longest + 1)
    return [summarise(each, counts, tokens) for each in sums]


def check_stackable(config: RunConfig) -> None:
    """Raises TinyLMError for a config whose runs cannot be stacked."""
    if config.model.shift:
        raise BadInput(
            f"model.shift {config.model.shift}: expected 0, for runs with a shift are not stacked"
        )
    for name, usual in {"tied": True, "mixing": "attention"}.items():
        if (value := getattr(config.model, name)) != usual:
            raise BadInput(
                f"model.{name} {value!r}: expected {usual!r}, for other runs are not stacked"
            )
    if config.model.mup_base is not None:
        raise BadInput(
            f"model.mup_base {config.model.mup_base}: expected none, for runs with learning rates "
            f"of several sizes are not stacked"
        )
    if config.optimizer.name != "adamw":
        raise BadInput(
            f"optimizer.name {config.optimizer.name!r}: expected 'adamw', for runs with another "
            f"optimiser are not stacked"
        )
    if config.optimizer.rounding != "none":
        raise BadInput(
            f"optimizer.rounding {config.optimizer.rounding!r}: expected 'none', for runs whose "
            f"weights are rounded are not stacked"
        )


class Stacked(Steps):
    """Runs as one program. Their weights and moments become rows of the stack, so that each trainer
    can still save, resume and record itself; a member that has ended stays in the stack, at rest.
    """

    name = "stacked"

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        """On a GPU through torch.compile, which takes a minute."""
        super().__init__(trainers)
        self.config, self.device = trainers[0].config, trainers[0].device
        self.model = StackedGPT([trainer.model for trainer in trainers])
        self.optimizer = StackedAdamW(
            self.model,
            [trainer.config.optimizer for trainer in trainers],
            [trainer.config.steps for trainer in trainers],
        )
        for member, trainer in enumerate(trainers):
            self.share(member, trainer)
        self.parameters = list(self.model.parameters())
        self.losses, self.update = self.model.losses, self.optimizer.step
        if self.device.type == "cuda":
            self.losses, self.update = torch.compile(self.losses), torch.compile(self.update)
        self.steps = torch.tensor([t.state.step for t in trainers], device=self.device)
        self.learning = torch.ones_like(self.steps)  # 0 for members at rest

    def share(self, member: int, trainer: Trainer) -> None:
        """Make a trainer's weights and moments views of its row of the stack."""
        stack = self.optimizer
        weights, first, second = (
            self.model.views(held[member]) for held in (stack.weights, stack.first, stack.second)
        )
        assert isinstance(trainer.optimizer, torch.optim.AdamW)
        for name, parameter in trainer.model.named_parameters():
            parameter.data = weights[name]
            slots = trainer.optimizer.state[parameter]
            if slots:  # of a checkpoint
                first[name].copy_(slots["exp_avg"])
                second[name].copy_(slots["exp_avg_sq"])
            slots |= {"exp_avg": first[name], "exp_avg_sq": second[name]}

    def batch(self) -> tuple[Tensor, Tensor]:
        """Each member's batch of its own next step: inputs and targets, (M, B, T)."""
        rows, length = self.config.batch_size, self.config.model.context_length
        both = np.zeros((2, len(self.trainers), rows, length), np.int64)
        for member in self.running:
            trainer = self.trainers[member]
            both[:, member] = trainer.batches.batch(trainer.state.step)
        tensor = torch.from_numpy(both)
        if self.device.type == "cuda":  # pinned, so that the copy does not wait for the GPU
            tensor = tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor[0], tensor[1]

    def take(self) -> tuple[Tensor, Tensor]:
        """One optimiser step of every running member."""
        inputs, targets = self.batch()
        with self.trainers[0].autocast():
            losses = self.losses(inputs, targets)
        parts = torch.autograd.grad(losses.sum(), self.parameters)
        gradients = torch.cat([part.flatten(1) for part in parts], dim=1)  # (M, P)
        norms = self.update(gradients, self.steps)
        self.steps += self.learning
        return losses.detach(), norms

    def evaluate(self, members: Sequence[int], *, whole: bool) -> list[Losses]:
        """Validation losses of some members, of all that are stacked in one pass."""
        trainer = self.trainers[0]
        tokens = trainer.final_tokens if whole else trainer.curve_tokens
        stride = self.config.evaluation.stride_fraction
        found = evaluate_stacked(self.model, tokens, stride, self.device)
        return [found[member] for member in members]

    def rest(self, members: Iterable[int]) -> None:
        """Leave members at rest: they no longer learn, their batches are empty, and they stay at
        their last step, beyond which the optimiser's table may not go.
        """
        for member in members:
            self.running.remove(member)
            self.learning[member] = 0
            self.steps[member] = self.trainers[member].config.steps - 1
            self.optimizer.freeze(member)

    def settle(self) -> None:
        """Tell each trainer's optimiser how many steps it has taken."""
        for member in self.running:
            trainer = self.trainers[member]
            assert isinstance(trainer.optimizer, torch.optim.AdamW)
            for slots in trainer.optimizer.state.values():
                slots["step"] = torch.tensor(float(trainer.state.step))
