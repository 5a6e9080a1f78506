# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Predictions
#
# A law that describes the runs it was fitted to has shown little.
# What does it say of a run that nobody has made?
#
# After this chapter you can bet on a law in a way that cannot be mended afterwards, score the bet, and look for the cause of a miss.
#
# ```{guess} predictions
# :answer: guess_prediction_percent
# :scale: 0 20 0.5
# :unit: " %"
# Laws say what models of five and ten times the compute will reach, before these are trained.
# By how many per cent of the loss are they off, on average?
# ```
#
# ```{dropdown} More to guess
# When a prediction fails, is the law to blame, or the runs?
#
# The answer stands under the tables below.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose records are shown

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import Markdown, display

from tinylm.laws import fit_power_law, fit_surface
from tinylm.plots import use_style
from tinylm.studies import predictions_words as words
from tinylm.studies.afterwards import (
    afterwards,
    afterwards_said,
    afterwards_table,
    judges_said,
)
from tinylm.studies.grid import forms, news_study, unigram_loss
from tinylm.studies.grid_words import forms_table
from tinylm.studies.predictions import read_bet
from tinylm.studies.runs import load_runs
from tinylm.studies.shown import shown

# %matplotlib inline
use_style()

# %% [markdown]
# ## How to bet
#
# A prediction is a file that `tinylm predict` writes while none of its runs has a record, and it is committed.
# Then the runs are made.
# The project's history tells which came first, and a test reads it there.
# No prediction is taken back: those that failed stand here first.
#
# ## The first bet
#
# Laws in $N$ alone, fitted to the sizes of the first recipe at one amount of text, of two models larger than any of them.

# %%
bet, note = shown(read_bet, "model_size_beyond", profile)
display(words.bet_table(bet), Markdown(note + words.bet_said(bet)))

# %% [markdown]
# What the first law said can be said again, from the same runs:

# %%
law = fit_power_law(bet.fitted.N, bet.fitted.loss)  # L = E + A/N^alpha
for target in bet.prediction.targets:
    said = float(law.loss(target.n_non_embedding))
    assert abs(said / target.by["E + A/N^α"].loss - 1) < 1e-4
    print(f"width {target.d_model}: {said:.3f} nats per token")

# %% mystnb={"figure": {"name": "fig-size-predictions", "caption": "The runs that were fitted, and what each law says of the mean of three runs at two larger sizes, with 95% intervals; beside them, where they have been made, the runs themselves."}}
words.bet_figure(bet)

# %% [markdown]
# ## Why it failed
#
# A law that misses by this much calls for a reason.
# The rate of the first recipe followed a rule that was tuned on smaller widths.
# So the same widths were trained once more under maximal updates ({doc}`05_recipe`), which carry a rate from one width to the next.

# %%
maximal = load_runs("size_maximal", "first")
recipes = words.recipes_table(bet, maximal)
display(recipes.round(3), Markdown(words.recipes_said(bet, recipes)))

# %% [markdown]
# ## The second bet
#
# The law of {doc}`08_compute` in all its forms, fitted to the grid of the new recipe, says what three models will reach that take several times the largest compute of the grid: one with more text, two with the same text and many more parameters.
# The recipe was swept up to width 128, and the widest of the three has 640.

# %%
second, note = shown(lambda store: read_bet(store, "grid_beyond"), "grid_beyond", profile)
display(words.bet_table(second), Markdown(note + words.bet_said(second)))

# %% tags=["hide-input"]
Markdown(words.outcome_said(second))

# %% mystnb={"figure": {"name": "fig-second-bet", "caption": "How far the mean of three runs lies from what the law in each form had said of it, against the exact training FLOPs of a run. Grey: ± two standard errors of such a mean by its seeds."}}
words.bet_misses_figure(second)

# %% [markdown]
# ### The form, or the runs?
#
# If the runs were at fault, as in the first bet, every form would have missed by about as much, to the same side.
# If the form was, another form should take the new runs in without moving.
# So add them to the grid, fit every form again, and see which constants had to move.
# One of the forms, a power between two ends (`both`), was thought of after all the bets of this chapter; none was placed on it.

# %%
after, _ = shown(afterwards, "grid_beyond", profile)
everything = pd.concat([after.grid.fitted, after.beyond])
for name, form in forms(unigram_loss(after.grid.ngrams)).items():
    law = fit_surface(everything.N, everything.D, everything.loss, form=form)
    print(f"{name:7} rms {100 * law.residual_rms:.2f} %, {law.formula}")

# %%
display(afterwards_table(after), Markdown(afterwards_said(after)))

# %% tags=["hide-input"]
Markdown(judges_said(after))

# %% [markdown]
# ## The third bet
#
# A cause found afterwards is a story until it has foreseen something.
# So the same laws of the grid, without the runs beyond it, say what one more model will reach, which reads its text more often than any of the grid; and this time the form that came closest is the one that is backed.

# %%
third, note = shown(lambda store: read_bet(store, "grid_further"), "grid_further", profile)
display(words.bet_table(third), Markdown(note + words.bet_said(third)))

# %% tags=["hide-input"]
Markdown(words.outcome_said(third))

# %% [markdown]
# ## The fourth bet: another text
#
# All of this was one text.
# {doc}`08_compute` has a smaller grid on news, by the same recipe; its laws say what a larger model reaches.
# Backed is the form that comes nearest to hidden settings there, which is another one than on stories.

# %%
fourth, note = shown(
    lambda store: read_bet(store, "grid_ag_news_beyond"), "grid_ag_news_beyond", profile
)
display(words.bet_table(fourth), Markdown(note + words.bet_said(fourth)))

# %% tags=["hide-input"]
Markdown(words.outcome_said(fourth))

# %% [markdown]
# ## The fifth bet: a better fit
#
# The grid on news was made once more, with the last step of today's recipe, and a fifth form was tried on it: a power between two ends.

# %%
again, _ = shown(news_study, "grid_ag_news_further", profile)
display(forms_table(again), Markdown(words.grounds_said(again)))

# %% [markdown]
# So that is backed, for a model with more text and for one with many more parameters.

# %%
fifth, note = shown(
    lambda store: read_bet(store, "grid_ag_news_further"), "grid_ag_news_further", profile
)
display(words.bet_table(fifth), Markdown(note + words.bet_said(fifth)))

# %% tags=["hide-input"]
Markdown(words.outcome_said(fifth))

# %% tags=["hide-input"]
Markdown(words.lesson_said(fifth, again))

# %% [markdown]
# ## Exercises
#
# ```{exercise} An honest interval
# :label: ex-bet-interval
#
# The intervals of the first bet hold the scatter of the seeds and the uncertainty of each law's constants.
# What else would have had to be in them to hold what came?
# ```
#
# ```{solution} ex-bet-interval
# :class: dropdown
#
# That the law may be another one beyond the runs, and that the recipe may suit the new runs less well.
# Neither can be read off the runs that were fitted.
# The spread between forms that fit alike is a lower bound of the first; of the second, a sweep at the largest size is ({doc}`05_recipe`).
# ```
