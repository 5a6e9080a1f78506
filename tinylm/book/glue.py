"""What the chapters show around their code: quoted text, the package's source, coloured tokens."""

import inspect
import math
import re
import textwrap
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np
from scipy import special

from tinylm import say
from tinylm.extras import needs
from tinylm.tokenizers import END_OF_TEXT, SPECIAL, Tokenizer

with needs("book"):
    from IPython.display import Markdown, display

COLOURS = ("#cfe8f5", "#fbe3c8", "#d5eed9", "#f4d9e8", "#fdf3bf")  # of neighbouring tokens


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
    """Mean of independent values and its 95% interval by Student's t: '48.6 [44.8, 52.4]'."""
    array = np.asarray(values, dtype=float)
    mean, n = array.mean(), len(array)
    half = special.stdtrit(n - 1, 0.975) * array.std(ddof=1) / math.sqrt(n)
    return f"{mean:.{digits}f} {say.interval((mean - half, mean + half), digits)}"
