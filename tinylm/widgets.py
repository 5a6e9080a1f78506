"""A choice among pictures: ipywidgets in a live kernel, the same choice without a kernel on a page.

`explore(draw, "A sine", frequency=[1, 2, 3])` shows `draw(frequency=1)` under a slider. With the
environment variable TINYLM_STATIC=1 every picture is drawn beforehand and a few lines of
JavaScript in the output switch between them.
"""

import base64
import hashlib
import io
import itertools
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from html import escape
from string import Template
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from tinylm.errors import BadInput
from tinylm.extras import needs

with needs("book"):
    import ipywidgets
    from IPython.display import HTML, display
    from PIL import Image

MAX_FRAMES = 40  # combinations of all choices; more would make the page heavy
DOTS_PER_INCH = 110
COLOURS = 255  # of a picture

Draw = Callable[..., Any]  # takes the choices by name; returns a Figure, HTML or text of HTML
Choices = Mapping[str, Sequence[Any]]

_SCRIPT = Template("""\
<script>
document.querySelectorAll('[data-frames="$key"]').forEach((root) => {
  const controls = [...root.querySelectorAll('input, select')];
  const frames = [...root.querySelectorAll('.tlm-frame')];
  const show = () => {
    let chosen = 0;
    for (const control of controls) {
      const options = JSON.parse(control.dataset.options);
      const at = Number(control.value);
      chosen = chosen * options.length + at;
      if (control.type === 'range') {
        control.setAttribute('aria-valuetext', options[at]);
        control.nextElementSibling.textContent = options[at];
      }
    }
    frames.forEach((frame, i) => { frame.hidden = i !== chosen; });
  };
  controls.forEach((control) => control.addEventListener('input', show));
  show();
});
</script>""")


def explore(draw: Draw, label: str, **choices: Sequence[Any]) -> None:
    """Show `draw(**choice)` under one control for each of the choices.

    A choice of texts becomes a menu, one of numbers a slider; the first option of each is shown
    first. `draw` returns a matplotlib Figure (closed here), an IPython HTML object or a str of
    HTML. `label` names the exhibit to screen readers; use each label once a page.

    Raises:
        TinyLMError: no choices, a choice without options, or more than 40 combinations.
    """
    if os.environ.get("TINYLM_STATIC") == "1":
        display(HTML(static_frames(draw, label, choices)))  # type: ignore[no-untyped-call]
    else:
        display(live_frames(draw, label, choices))  # type: ignore[no-untyped-call]


def static_frames(draw: Draw, label: str, choices: Choices) -> str:
    """HTML with every combination drawn, the first one shown; see `explore`.

    It works without a kernel; without JavaScript the first picture stays.
    """
    check_choices(label, choices)
    frames: list[str] = []
    for options in itertools.product(*choices.values()):
        choice = dict(zip(choices, options, strict=True))
        hidden = " hidden" if frames else ""
        content = frame_html(draw(**choice), label, choice)
        frames.append(f'<div class="tlm-frame"{hidden}>{content}</div>')
    key = hashlib.sha256(label.encode()).hexdigest()[:12]
    controls = "\n".join(_control_html(name, options) for name, options in choices.items())
    return (
        f'<div class="tlm-frames" data-frames="{key}" role="group" aria-label="{escape(label)}">\n'
        f'{controls}\n<div class="tlm-stage">\n' + "\n".join(frames) + "\n</div>\n"
        f"{_SCRIPT.substitute(key=key)}\n</div>"
    )


def live_frames(draw: Draw, label: str, choices: Choices) -> ipywidgets.VBox:
    """The controls and, as last child, an HTML widget that is redrawn when one changes; see
    `explore`.
    """
    check_choices(label, choices)
    controls = {name: _control_widget(name, options) for name, options in choices.items()}
    stage = ipywidgets.HTML()

    def redraw(_: object = None) -> None:
        choice = {name: control.value for name, control in controls.items()}
        stage.value = frame_html(draw(**choice), label, choice)

    for control in controls.values():
        control.observe(redraw, names="value")
    redraw()
    box = ipywidgets.VBox([*controls.values(), stage])
    box.add_class("tlm-frames")
    return box


def check_choices(label: str, choices: Choices) -> None:
    """Raise TinyLMError unless the choices make between 1 and 40 pictures."""
    if not choices:
        raise BadInput(f"explore {label!r}: no choices were given; expected at least one")
    for name, options in choices.items():
        if len(options) == 0:
            raise BadInput(f"explore {label!r}: choice {name!r} is empty; expected an option")
    frames = math.prod(len(options) for options in choices.values())
    if frames > MAX_FRAMES:
        raise BadInput(
            f"explore {label!r}: the choices make {frames} pictures; expected at most {MAX_FRAMES}"
        )


def frame_html(drawn: object, label: str, choice: Mapping[str, Any]) -> str:
    """What `draw` returned, as HTML. A figure becomes a PNG with a text alternative: the label,
    the figure's titles and the choice.
    """
    if isinstance(drawn, str):
        return drawn
    if isinstance(drawn, HTML):
        return str(drawn.data)
    if not isinstance(drawn, Figure):
        raise BadInput(
            f"explore {label!r}: draw returned {type(drawn).__name__}; expected a Figure or HTML"
        )
    buffer = io.BytesIO()
    with mpl.rc_context({"savefig.bbox": "standard"}):  # all of one size: no jump between frames
        drawn.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    plt.close(drawn)
    picture = Image.open(buffer).convert("RGB").quantize(COLOURS)  # a third of the size
    buffer = io.BytesIO()
    picture.save(buffer, format="png", optimize=True)
    titles = [axes.get_title(loc=loc) for axes in drawn.axes for loc in ("left", "center")]
    chosen = ", ".join(f"{_spoken(name)} {_shown(value)}" for name, value in choice.items())
    parts = [label, drawn.get_suptitle(), *titles, chosen]
    alternative = escape(". ".join(" ".join(part.split()) for part in parts if part))
    data = base64.b64encode(buffer.getvalue()).decode()
    width = round(drawn.get_figwidth() * DOTS_PER_INCH)
    return (
        f'<img alt="{alternative}" width="{width}" style="max-width: 100%; height: auto" '
        f'src="data:image/png;base64,{data}">'
    )


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _shown(value: object) -> str:
    """An option as the reader sees it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _is_ordered(options: Sequence[Any]) -> bool:
    """Numbers have an order and go on a slider; anything else goes into a menu."""
    return all(isinstance(option, int | float) for option in options)


def _control_html(name: str, options: Sequence[Any]) -> str:
    """A labelled range or select whose value is the index of the option."""
    shown = [escape(_shown(option)) for option in options]
    as_json = escape(json.dumps([_shown(option) for option in options], ensure_ascii=False))
    common = f'autocomplete="off" data-options="{as_json}"'
    if _is_ordered(options):
        control = (
            f'<input type="range" min="0" max="{len(shown) - 1}" step="1" value="0" {common} '
            f'aria-valuetext="{shown[0]}"><output>{shown[0]}</output>'
        )
    else:
        items = "".join(f'<option value="{i}">{text}</option>' for i, text in enumerate(shown))
        control = f"<select {common}>{items}</select>"
    return f"<label><span>{escape(_spoken(name))}</span> {control}</label>"


def _control_widget(name: str, options: Sequence[Any]) -> ipywidgets.Widget:
    """The same control as an ipywidget whose value is the option itself."""
    shown = [(_shown(option), option) for option in options]
    kind = ipywidgets.SelectionSlider if _is_ordered(options) else ipywidgets.Dropdown
    return kind(
        options=shown,
        value=options[0],
        description=_spoken(name),
        style={"description_width": "initial"},
    )
