"""`explore`: the live path is driven by changing a control, the static one by reading its HTML."""

import base64
import json
import struct
from html.parser import HTMLParser
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
import pytest
from IPython.display import HTML
from matplotlib.figure import Figure

from tinylm import widgets
from tinylm.errors import TinyLMError
from tinylm.widgets import MAX_FRAMES, explore, live_frames, static_frames


def say(**choice: Any) -> str:
    return f"<p>{sorted(choice.items())}</p>"


def draw_line(n: int) -> Figure:
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot(range(n))
    axes.set_title(f"a line of {n}")
    return figure


class Page(HTMLParser):
    """Elements of a piece of HTML with their attributes, in order, and the text of frames."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.frame_texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if attributes.get("class") == "tlm-frame":
            self.frame_texts.append("")

    def handle_data(self, data: str) -> None:
        if self.frame_texts and self.elements[-1][0] == "p":
            self.frame_texts[-1] += data.strip()

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def controls(box: ipywidgets.VBox) -> list[Any]:
    return list(box.children[:-1])


def test_live_controls_redraw_the_stage() -> None:
    box = live_frames(say, "live", {"d_model": [16, 64], "norm": ["rms", "layer"]})
    slider, menu = controls(box)
    assert isinstance(slider, ipywidgets.SelectionSlider)
    assert isinstance(menu, ipywidgets.Dropdown)
    assert slider.description == "d model"
    assert box.children[-1].value == say(d_model=16, norm="rms")
    slider.value = 64
    assert box.children[-1].value == say(d_model=64, norm="rms")
    menu.value = "layer"
    assert box.children[-1].value == say(d_model=64, norm="layer")
    assert "tlm-frames" in box._dom_classes


def test_live_figures_change_and_are_closed() -> None:
    before = plt.get_fignums()
    box = live_frames(draw_line, "lines", {"n": [2, 5]})
    first = box.children[-1].value
    controls(box)[0].value = 5
    second = box.children[-1].value
    assert "a line of 2" in first
    assert "a line of 5" in second
    assert first.partition("base64,")[2] != second.partition("base64,")[2]
    assert plt.get_fignums() == before


def test_static_frames_hold_every_combination_in_the_order_of_the_controls() -> None:
    page = Page(static_frames(say, "all", {"a": [1, 2, 3], "b": ["x", "y"]}))
    assert page.frame_texts == [
        f"[('a', {a}), ('b', '{b}')]" for a in (1, 2, 3) for b in ("x", "y")
    ]
    frames = [e for e in page.all("div") if e.get("class") == "tlm-frame"]
    assert ["hidden" in frame for frame in frames] == [False] + 5 * [True]
    (slider,) = page.all("input")
    assert (slider["type"], slider["min"], slider["max"], slider["value"]) == (
        "range",
        "0",
        "2",
        "0",
    )
    assert slider["data-options"] == '["1", "2", "3"]'
    assert [option["value"] for option in page.all("option")] == ["0", "1"]


def test_static_controls_and_pictures_have_names() -> None:
    html = static_frames(draw_line, "Lines & more", {"n": [2, 5]})
    page = Page(html)
    tags = [tag for tag, _ in page.elements]
    assert tags.index("label") < tags.index("input")
    assert "<label><span>n</span> <input" in html
    assert page.all("input")[0]["aria-valuetext"] == "2"
    assert page.all("div")[0]["aria-label"] == "Lines & more"
    assert [img["alt"] for img in page.all("img")] == [
        "Lines & more. a line of 2. n 2",
        "Lines & more. a line of 5. n 5",
    ]


def test_static_pictures_are_png_of_one_size_whatever_the_style() -> None:
    with plt.rc_context({"savefig.bbox": "tight"}):
        page = Page(static_frames(draw_line, "sizes", {"n": [2, 5000]}))
    sizes = set()
    for image in page.all("img"):
        data = base64.b64decode(str(image["src"]).removeprefix("data:image/png;base64,"))
        assert data.startswith(b"\x89PNG")
        sizes.add(struct.unpack(">II", data[16:24]))
    assert sizes == {(220, 110)}


def test_static_output_is_the_same_each_time_and_differs_by_label() -> None:
    first = static_frames(draw_line, "one", {"n": [2, 5]})
    assert static_frames(draw_line, "one", {"n": [2, 5]}) == first
    key = Page(first).all("div")[0]["data-frames"]
    other = Page(static_frames(draw_line, "two", {"n": [2, 5]})).all("div")[0]["data-frames"]
    assert key != other
    assert f'[data-frames="{key}"]' in first.partition("<script>")[2]


def test_options_are_escaped() -> None:
    html = static_frames(say, '<b>"', {"text": ['<i>"', "plain"]})
    assert "<b>" not in html
    assert "<i>" not in html.replace(say(text='<i>"'), "")


def test_html_objects_are_shown_as_they_are() -> None:
    html = static_frames(lambda n: HTML(f"<em>{n}</em>"), "html", {"n": [1.5, "text|text"]})  # type: ignore[no-untyped-call]
    assert "<em>1.5</em>" in html
    assert json.loads(str(Page(html).all("select")[0]["data-options"])) == ["1.5", "text|text"]


@pytest.mark.parametrize(("static", "kind"), [("1", HTML), ("0", ipywidgets.VBox)])
def test_explore_obeys_the_environment(
    monkeypatch: pytest.MonkeyPatch, static: str, kind: type
) -> None:
    shown: list[object] = []
    monkeypatch.setattr(widgets, "display", shown.append)
    monkeypatch.setenv("TINYLM_STATIC", static)
    explore(say, "environment", n=[1, 2])
    assert [type(thing) for thing in shown] == [kind]


@pytest.mark.parametrize("build", [static_frames, live_frames])
@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "no choices"),
        ({"n": []}, "choice 'n' is empty"),
        ({"n": range(7), "m": range(6)}, f"42 pictures; expected at most {MAX_FRAMES}"),
    ],
)
def test_bad_choices_are_refused(build: Any, choices: dict[str, Any], message: str) -> None:
    with pytest.raises(TinyLMError, match=message):
        build(say, "bad", choices)


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(TinyLMError, match="draw returned int; expected a Figure or HTML"):
        static_frames(lambda n: n, "bad", {"n": [1]})
