"""One page on the law of one's own text: HTML that stands alone, and a picture."""

import base64
import html
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from tinylm import say
from tinylm.corpora import described, folder_of
from tinylm.corpora.address import is_address, parse_address
from tinylm.files import write_atomic
from tinylm.plots import grid_figure, save_figure
from tinylm.store import Store
from tinylm.studies.own_law import (
    OwnLaw,
    kept_plan,
    own_law,
    sentences,
    what_more_brings,
)
from tinylm.studies.own_law_words import (
    doubts,
    headline,
    law_table,
    losses_said,
    made_said,
    more_table,
    text_title,
)
from tinylm.sweeps.own_plan import PROFILE
from tinylm.sweeps.run import usable_cores
from tinylm.sweeps.terminal import run_all

STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.55 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto;
  padding: 0 1rem; }
img { max-width: 100%; background: #fdfdfb; border-radius: 4px; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #8884; text-align: left; }
blockquote { border-left: 3px solid #8886; margin: .5rem 0; padding-left: 1rem; }
"""


def law_of(name: str, minutes: float, jobs: int | None = None) -> Path | None:
    """Prepare a text, train what tells of its law, `jobs` runs at a time, by default one a core,
    and write its page; None if a run failed.

    Raises:
        TinyLMError: the text cannot be had, is too little, or there is too little time.
    """
    store, jobs = Store(PROFILE), jobs or usable_cores()
    if told := described(name):
        print(f"{name}: {told}", flush=True)
    plan = kept_plan(name, minutes, jobs)
    print(f"{plan}, of about {say.duration(plan.seconds / jobs)}", flush=True)
    if run_all(plan.runs, store, jobs=jobs).failed:
        return None
    return write_own_page(store, own_law(store, store.load(plan.runs)))


def write_own_page(store: Store, law: OwnLaw) -> Path:
    """Write `law.html`, `law.png` and `runs.csv` of a text below the results; the page's path.

    Raises:
        TinyLMError: the disk is full, or the largest model's weights are not here.
    """
    name = law.records[0].config.data.corpus
    folder = store.folder / folder_of(name)
    along_size, along_text = figures(law)
    save_figure(along_size, folder / "law.png")
    save_figure(along_text, folder / "text.png")
    write_atomic(folder / "runs.csv", law.runs.to_csv(index=False))
    write_atomic(folder / "law.html", page(store, law, folder))
    return folder / "law.html"


def figures(law: OwnLaw) -> tuple[Figure, Figure]:
    """Loss against size and against text read, with the law and the best n-gram."""
    drawn = law.runs, law.fit.surface, law.floors
    return (
        grid_figure(*drawn, title=headline(law), since=law.since),
        grid_figure(*drawn, title=text_title(law), since=law.since, along="asked"),
    )


def page(store: Store, law: OwnLaw, folder: Path) -> str:
    """The page as HTML, figures inside."""
    name = law.records[0].config.data.corpus
    more = what_more_brings(law)
    parts = [
        f"<h1>The scaling law of {html.escape(short_name(name))}</h1>",
        _said(losses_said(law)),
        _picture(folder / "law.png", "Loss against model size, a colour an amount of text"),
        _picture(folder / "text.png", "Loss against text read, a colour a size"),
        "<h2>The law</h2>",
        _said(f"{headline(law)}. L(N, D) = {law.fit.surface.formula}, with 95% intervals:"),
        _table(law_table(law)),
        "<h2>What more would bring</h2>",
        _table(more_table(more)) if more else _said("Nothing is computed from a law that breaks."),
        "<h2>Where not to trust it</h2>",
        f"<ul>{''.join(f'<li>{html.escape(one)}</li>' for one in doubts(law))}</ul>",
        "<h2>What the largest model writes</h2>",
        *(f"<blockquote>{html.escape(one)}</blockquote>" for one in sentences(store, law)),
        "<h2>How it was made</h2>",
        _said(made_said(law)),
    ]
    title = html.escape(f"The law of {short_name(name)}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def short_name(name: str) -> str:
    """A corpus as a title calls it: of a path the last part, without options."""
    if not is_address(name):
        return name
    address = parse_address(name)
    return address.path.name if address.kind == "path" else address.place


def _said(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"


def _picture(path: Path, text: str) -> str:
    content = base64.b64encode(path.read_bytes()).decode()
    return f'<p><img alt="{html.escape(text)}" src="data:image/png;base64,{content}"></p>'


def _table(table: pd.DataFrame) -> str:
    return table.reset_index().to_html(index=False, border=0)
