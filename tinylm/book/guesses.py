"""Guesses that a reader makes in the page, locks and sees scored, by a directive:

    ```{guess} size-tenfold
    :answer: guess_tenfold_percent
    :scale: 0 60 1
    :unit: " %"
    By how many per cent does ten times the size lower the loss?
    ```

`answer` is a name in the profile's `summary.json`, or a number where arithmetic gives it; `scale`
is the least and the most that one can say, and the step, or the word `log`. `guess.js` makes it
live; it keeps guesses in the reader's browser alone, and `{guesses}` shows how good they were.
"""

import html
from dataclasses import dataclass

from tinylm.errors import BadInput
from tinylm.extras import needs

with needs("book"):
    from docutils import nodes  # type: ignore[import-untyped]
    from docutils.parsers.rst import directives  # type: ignore[import-untyped]
    from sphinx.util.docutils import SphinxDirective

LOG = "log"


@dataclass(frozen=True)
class Scale:
    """What one can say: from, to, and the step, or None for logarithmic."""

    low: float
    high: float
    step: float | None

    @classmethod
    def of(cls, text: str) -> "Scale":
        """That of an option.

        Raises:
            BadInput: it is no scale.
        """
        wrong = BadInput(f"scale {text!r}: expected least, most, and a step or {LOG}")
        try:
            low, high, step = text.split()
            scale = cls(float(low), float(high), None if step == LOG else float(step))
        except ValueError:
            raise wrong from None
        least_step = 1 if scale.step is None else scale.step
        if not scale.low < scale.high or least_step <= 0 or (scale.step is None and scale.low <= 0):
            raise wrong
        return scale


def attributes(name: str, chapter: str, answer: float, scale: Scale, unit: str) -> dict[str, str]:
    """What `guess.js` reads of a question.

    Raises:
        BadInput: the answer lies outside the scale.
    """
    if not scale.low <= answer <= scale.high:
        raise BadInput(f"guess {name}: the answer {answer:.4g} lies outside its scale")
    return {
        "data-name": name,
        "data-chapter": chapter,
        "data-answer": f"{answer:.4g}",
        "data-low": f"{scale.low:g}",
        "data-high": f"{scale.high:g}",
        "data-step": LOG if scale.step is None else f"{scale.step:g}",
        "data-unit": unit,
    }


class Guess(SphinxDirective):
    """`{guess} NAME`: a question with one number for an answer."""

    has_content = True
    required_arguments = 1
    option_spec = {  # noqa: RUF012
        "answer": directives.unchanged_required,
        "scale": directives.unchanged_required,
        "unit": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        """The question, and what makes it live where its answer was measured."""
        holder = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, holder)
        try:
            scale = Scale.of(self.options["scale"])
            told = self.options["answer"]
            answer = self.config.myst_substitutions.get(told)
            if answer is None:
                answer = None if told.startswith("guess_") else float(told)
            if answer is None:  # this profile has no such runs
                return list(holder.children)
            unit = self.options.get("unit", "").strip('"')
            about = attributes(self.arguments[0], self.env.docname, float(answer), scale, unit)
        except (BadInput, KeyError, ValueError) as error:
            raise self.error(str(error)) from None
        said = " ".join(f'{name}="{html.escape(value)}"' for name, value in about.items())
        shown = html.escape(f"{float(answer):.2g}{unit}")
        return [
            nodes.raw("", f'<div class="tlm-guess" {said}>', format="html"),
            *holder.children,
            nodes.raw("", f"<noscript><p>It is {shown}.</p></noscript></div>", format="html"),
        ]


class Guesses(SphinxDirective):
    """`{guesses}`: how good the reader's guesses were, in the whole book."""

    def run(self) -> list[nodes.Node]:
        """A place that `guess.js` fills."""
        told = "<noscript><p>Guesses are kept by JavaScript.</p></noscript>"
        return [nodes.raw("", f'<div class="tlm-guesses">{told}</div>', format="html")]
