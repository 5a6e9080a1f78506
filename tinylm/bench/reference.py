"""The reference that the trainer is timed against: a GPT-2-style model in plain PyTorch.

Written after nanoGPT's published settings for a small run on a processor (Karpathy 2022): 4 layers,
4 heads, width 128, context 64, batches of 12, 2,000 steps of AdamW, 1e-3 falling along a cosine to
1e-4 after 100 steps of warm-up, β2 0.99, no dropout, no biases, weights of std 0.02, characters.
"""

import math
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylm.corpora.token_files import TokenFile


@dataclass(frozen=True)
class ReferenceConfig:
    """nanoGPT's settings."""

    vocab_size: int
    context_length: int = 64
    n_layers: int = 4
    n_heads: int = 4
    d_model: int = 128
    batch_size: int = 12
    steps: int = 2000
    warmup: int = 100
    learning_rate: float = 1e-3
    last_rate: float = 1e-4

    def rate_at(self, step: int) -> float:
        """The learning rate at a step."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / (self.warmup + 1)
        progress = (step - self.warmup) / (self.steps - self.warmup)
        fall = (1 + math.cos(math.pi * progress)) / 2
        return self.last_rate + fall * (self.learning_rate - self.last_rate)


class ReferenceBlock(nn.Module):
    """LayerNorm, attention, LayerNorm, MLP with exact GELU."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm1, self.norm2 = (nn.LayerNorm(width, bias=False) for _ in range(2))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        B, T, C = x.shape
        heads = self.qkv(self.norm1(x)).view(B, T, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = heads.unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(B, T, C))
        hidden: Tensor = self.down(F.gelu(self.up(self.norm2(x))))
        return x + hidden


class Reference(nn.Module):
    """A GPT-2: learned positions, and the embedding again as the output layer."""

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__()
        self.config = config
        width = config.d_model
        self.tokens = nn.Embedding(config.vocab_size, width)
        self.positions = nn.Embedding(config.context_length, width)
        blocks = (ReferenceBlock(width, config.n_heads) for _ in range(config.n_layers))
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                residual = name.endswith(("out.weight", "down.weight"))
                std = 0.02 / math.sqrt(2 * config.n_layers) if residual else 0.02
                nn.init.normal_(parameter, 0.0, std)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, T) to logits (B, T, V)."""
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.tokens.weight)


def train_reference(
    config: ReferenceConfig, train_tokens: TokenFile, seed: int
) -> tuple[Reference, float]:
    """Train the reference; returns it with the seconds that its training loop took."""
    torch.manual_seed(seed)
    tokens = torch.from_numpy(train_tokens.tokens.astype("int64"))
    model, length = Reference(config), config.context_length
    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.99))
    began = time.perf_counter()
    for step in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = config.rate_at(step)
        starts = torch.randint(len(tokens) - length, (config.batch_size,))
        inputs = torch.stack([tokens[at : at + length] for at in starts])
        targets = torch.stack([tokens[at + 1 : at + 1 + length] for at in starts])
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return model, time.perf_counter() - began
