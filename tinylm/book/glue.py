"""What the chapters show around their code: quoted text, the package's source, coloured tokens, and
the trained model that they open.
"""

import inspect
import math
import re
import textwrap
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np
from IPython.display import Markdown, display
from scipy import special

from tinylm.checkpoints import load_model
from tinylm.config import Run
from tinylm.files import results_dir
from tinylm.model import GPT
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.tokenizers import END_OF_TEXT, SPECIAL, Tokenizer

COLOURS = ("#cfe8f5", "#fbe3c8", "#d5eed9", "#f4d9e8", "#fdf3bf")  # of neighbouring tokens
EXAMPLE_WIDTH = 64  # of the trained model that chapters open, or the nearest there is


def quote(text: str) -> None:
    """Show text as a quotation, its lines as they are; ∎ ends a document."""
    lines = text.replace(SPECIAL, " ∎ ").splitlines()
    display(Markdown("\n".join(f"> {line}" for line in lines)))  # type: ignore[no-untyped-call]


def source(piece: Callable[..., Any]) -> None:
    """Show the code of a function or method of the package, without its docstring."""
    code = textwrap.dedent(inspect.getsource(piece))
    code = re.sub(r'\n *""".*?"""', "", code, count=1, flags=re.DOTALL)
    display(Markdown(f"```python\n{code}```"))  # type: ignore[no-untyped-call]


def dotted(text: str) -> str:
    """Text with a dot for each space and a sign for each end of line."""
    return text.replace(" ", "·").replace("\n", "⏎")


def token_label(tokenizer: Tokenizer, token: int) -> str:
    """A token as a label: [E] for the special one, a dot for a space."""
    return "[E]" if token == END_OF_TEXT else dotted(tokenizer.token_text(token))


def coloured_tokens(tokenizer: Tokenizer, text: str) -> str:
    """HTML of a text in tokens, each on a colour of its own, and a line that counts them."""
    tokens = tokenizer.encode(text)
    spans = "<wbr>".join(
        f'<span style="background:{COLOURS[i % len(COLOURS)]};color:#1f2328;padding:0.15em 0.1em;'
        f'border-radius:0.25em">{escape(dotted(tokenizer.token_text(token)))}</span>'
        for i, token in enumerate(tokens)
    )
    n_bytes = len(text.encode())
    return (
        f'<p style="font-family:monospace;font-size:1.05em;line-height:2">{spans}</p>'
        f"<p>{n_bytes} bytes, {len(tokens)} tokens: {n_bytes / len(tokens):.2f} bytes per token. "
        f"A dot is a space.</p>"
    )


def told(story: str, note: str) -> str:
    """HTML of a text that a model wrote, and a note below it."""
    return (
        f'<blockquote style="min-height:7.5em"><p>{escape(story)} …</p></blockquote>'
        f"<p>{escape(note)}</p>"
    )


def mean_and_interval(values: Sequence[float], digits: int = 1) -> str:
    """Mean of independent values and its 95 % interval by Student's t: '48.6 [44.8, 52.4]'."""
    array = np.asarray(values, dtype=float)
    half = special.stdtrit(len(array) - 1, 0.975) * array.std(ddof=1) / math.sqrt(len(array))
    low, high = array.mean() - half, array.mean() + half
    return f"{array.mean():.{digits}f} [{low:.{digits}f},\N{NO-BREAK SPACE}{high:.{digits}f}]"


def example_model(profile: str) -> tuple[Run, GPT, Tokenizer]:
    """The trained model that the early chapters open, with its run and tokenizer: of the model-size
    experiment the width nearest 64, and the first seed.

    Raises:
        Missing: its weights are not on this machine.
    """
    runs = expand(load_experiment("model_size"), profile)
    run = min(runs, key=lambda run: (abs(run.config.model.d_model - EXAMPLE_WIDTH), run.seed))
    return run, *load_model(results_dir(profile) / "models" / run.run_id)
