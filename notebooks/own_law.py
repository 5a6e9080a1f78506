# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own law in ten minutes
#
# The laws of this book are of its texts.
# What is the law of yours?
#
# After this chapter you can plan the runs that tell most of a law in the time there is, make them on any text with one command, and say where the answer should not be trusted.
#
# ```{dropdown} Guess before you read on
# 1. Ten times the minutes: does the exponent become ten times as sure?
# 2. Ten minutes on two cores: is the largest model better or worse than counting n-grams?
# 3. Which would lower its loss more: ten times the parameters, or ten times the text?
#
# The answers stand under the tables below, in this order.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose records are shown

# %% tags=["hide-input"]
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from IPython.display import Markdown, display

from tinylm.config import ModelConfig
from tinylm.corpora import described
from tinylm.cost import flops_exact
from tinylm.laws import fit_surface
from tinylm.plots import grid_figure, use_style
from tinylm.studies import own_law_words as words
from tinylm.studies.grid import unigram_loss
from tinylm.studies.own_law import forms_below, published_law, published_sentences, what_more_brings
from tinylm.studies.shown import shown
from tinylm.sweeps.own_plan import best_grid, expected_error

# %matplotlib inline
use_style()

# %% [markdown]
# ## The command
#
# ```
# tinylm law notes.txt --minutes 10
# ```
#
# A file of text, a table with a column of texts, a folder of either, or a data set of the hub, as `hub:owner/name`.
# The command says how it cuts the text into documents, and keeps about a tenth of them for validation.
# Which ones follows from their hashes, so that they stay the same when you add text.

# %%
with TemporaryDirectory() as folder:
    notes = Path(folder) / "notes.txt"
    notes.write_text("\n\n".join(f"Note {i}. The fox saw {i} crows." for i in range(2_000)))
    print(described(str(notes)))

# %% [markdown]
# It ends with one page in `results/own/`: figures, the law with its intervals, what ten times of everything would bring, doubts, and five sentences that the largest model wrote.
# When it is interrupted, the same command goes on.
#
# ## Which runs tell most
#
# A law in $N$ and $D$ needs several sizes and several amounts of text.
# More sizes, or longer runs?
# The command times a step of every width first, and then tries all grids that fit into the time.
# For each it works out how sure $\alpha$ would be, from the derivatives of the law by its constants ({doc}`06_model_size`).
#
# Here is that search with a simple clock, a start of two seconds and twenty billion operations a second:


# %%
def seconds_of(width, tokens, flops_per_second=2e10):
    """Of one run of two layers."""
    model = ModelConfig(d_model=width, n_layers=2, n_heads=2)
    return 2 + flops_exact(model, tokens) / flops_per_second


# %%
plans = {}
for minutes in (3, 10, 30, 100):
    widths, amounts, seconds = best_grid(1_000_000, seconds_of, budget=2 * 60 * minutes)
    plans[minutes] = {
        "widths": ", ".join(map(str, widths)),
        "tokens": ", ".join(f"{tokens:,}" for tokens in amounts),
        "standard error of α": f"{expected_error(widths, amounts):.3f}",
    }
pd.DataFrame(plans).T.rename_axis("minutes of two cores")

# %% [markdown]
# The plans keep three seeds for every setting, since without them nobody could tell a bend of the law from the luck of a run.
#
# ## A text, its runs, its law
#
# This is what the command found in ten minutes:

# %%
law, note = shown(published_law, "own_law", profile)
runs = law.runs  # N, D, asked, seed, loss ...
display(Markdown(note + words.made_said(law)))
runs.pivot_table(index="N", columns="asked", values="loss").round(3)  # means over seeds

# %% [markdown]
# Every form of the law, fitted here and now:

# %%
some = runs[runs["asked"] >= law.since]
for name, form in forms_below(unigram_loss(law.ngrams), runs).items():
    fit = fit_surface(some.N, some.D, some.loss, form=form)
    print(f"{name:5}  E = {fit.E:.2f}, α = {fit.alpha:.2f}, β = {fit.beta:.2f}")

# %% mystnb={"figure": {"name": "fig-own-size", "caption": "Validation loss against parameters without embeddings, a colour an amount of text, means over seeds with bars of ± one standard deviation. Lines: the law. Dotted: the best n-gram of the same text."}}
drawn = runs, law.fit.surface, law.floors
grid_figure(*drawn, title=words.headline(law), since=law.since)

# %% mystnb={"figure": {"name": "fig-own-text", "caption": "The same runs against the tokens read, a colour a size."}}
grid_figure(*drawn, title=words.text_title(law), since=law.since, along="asked")

# %%
display(words.law_table(law), Markdown(words.losses_said(law)))

# %% [markdown]
# ## What more would bring

# %%
words.more_table(what_more_brings(law))

# %% [markdown]
# The intervals are those of the constants.
# They do not know whether the form holds that far out.
#
# ## Where not to trust it

# %%
Markdown("\n".join(f"- {doubt}" for doubt in words.doubts(law)))

# %% [markdown]
# ## What it writes
#
# The largest model, asked for a few sentences:

# %%
written, note = shown(published_sentences, "own_law", profile)
Markdown("\n\n".join(f"> {line}" for line in written))

# %% [markdown]
# ## Exercises
#
# ```{exercise} Two texts
# :label: ex-own-two
#
# You have the laws of two texts, made with two tokenizers.
# Text A has the lower loss.
# Is it the easier one?
# ```
#
# ```{solution} ex-own-two
# :class: dropdown
#
# Not to be told from nats per token: a tokenizer with long tokens has fewer of them, and each costs more.
# Compare bits per byte, $L / (\ln 2 \cdot \text{bytes per token})$, which the page states for the largest model.
# And compare at the same number of bytes read, not of tokens.
# ```
#
# ```{exercise} A tenth of the text
# :label: ex-own-tenth
#
# What does the plan for ten minutes become if the text has 100,000 tokens instead of a million?
# What is lost?
# ```
#
# ```{solution-start} ex-own-tenth
# :class: dropdown
# ```

# %%
widths, amounts, seconds = best_grid(100_000, seconds_of, budget=1_200)
print(widths, amounts, f"{expected_error(widths, amounts):.3f}")

# %% [markdown]
# Runs may read a text four times at most, so that they are short now, and the time goes into larger models: α becomes surer, of a law that rests on a range of D with less text in it, much of it read again.
#
# ```{solution-end}
# ```
