# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A floor you can stand on
#
# Every scaling law has a loss that no model goes below, and nobody can look it up.
# What if we could?
#
# In this chapter the text is written by a grammar that knows the probability of every document it writes.
# So the floor is a fact, the loss above it is measured and not fitted, and a fitted floor can be wrong in public.
# After it you can say how far a model, an n-gram or a compressor stands above the entropy of its text, read an exponent off a line whose end you know, and tell which characters of a story a model has not learnt.
#
# The runs of this chapter had the first recipe of this book ({doc}`05_recipe`), which treats wide models worse than narrow ones.
#
# ```{guess} compressor
# :answer: guess_compressor_fold
# :scale: 1 8 0.1
# :unit: " times"
# A compressor reads thousands of stories that a program wrote.
# How many times their true entropy does the best one need?
# ```
#
# ```{dropdown} More to guess
# 1. From the smallest model to the largest, by what factor does the loss *above the floor* fall?
# 2. Fit the floor E of a cut instead of knowing it. Above or below the truth, and why?
#
# The answers stand under the figures below, in this order.
# ```

# %% tags=["parameters"]
profile = "paper"  # whose records are shown: smoke, quick or paper

# %% tags=["hide-input"]
import textwrap

import numpy as np
from IPython.display import Markdown, display

from tinylm.corpora.fables import VARIANTS, document, information
from tinylm.corpora.fables.source import HEAD
from tinylm.corpora.fables.text import PLOTS
from tinylm.laws import fit_power_law, fit_surface, local_exponents
from tinylm.plots import use_style
from tinylm.store import Store
from tinylm.studies import above_floor, excess, further, kinds_words, knowledge, stories, tails
from tinylm.studies.cuts import fables_study
from tinylm.studies.floor import entropies
from tinylm.studies.kinds import kinds_study
from tinylm.studies.shown import shown
from tinylm.studies.theory import finite_exponent, predicted_exponent
from tinylm.widgets import explore

# %matplotlib inline
use_style()

# %% [markdown]
# ## A text that knows its own probability
#
# A fable is made by choices: which plot, which character, which wording, which fruit.
# The grammar is unambiguous, so from the text alone one can read back every choice, and the probability of the text is the product of theirs.
# Here is the beginning of a document, and what its characters cost someone who knows the grammar and the world.

# %%
text = document("validation", 1)
nats = information(text)
for line in text.split("\n")[:3]:
    print(textwrap.fill(line, 70))
print(f"\n{len(text):,} characters, {nats.sum():.1f} nats in all")
print(f"{(nats == 0).mean():.0%} of the characters cost nothing")
who, where = VARIANTS["default"].n_characters, VARIANTS["default"].n_places
print(f"the world: {who:,} characters, {where:,} places")
print(f"the grammar: {len(PLOTS)} plots")

# %% [markdown]
# Most characters could be foreseen: the rest of a word that has begun, a sentence that the plot wants, and facts.
# Facts are free.
# Once the hero is named, who knows the world can foresee what creature it is, where it lives, and what it fears.
# A model has to have read that somewhere.
# The world has thousands of such characters, most of them rarely met, and the more of them a model has learnt, the nearer it comes to the floor.
#
# The entropy of a document is found exactly, by adding up over the grammar, not by sampling.
# `entropy("default")` does it in a few seconds; `tinylm report` has kept what it found, and that is read here.

# %%
store = Store(profile)
exact = entropies(store)
above_floor.entropy_table(exact)

# %% tags=["hide-input"]
Markdown(above_floor.entropy_words(exact["default"]))

# %% [markdown]
# That is below natural text: Shannon found 0.6 to 1.3 bits per letter in printed English {cite:p}`shannon1951prediction`.
# Sentences come from templates here.
#
# ## Does anything go below it?
#
# If the floor is right, nothing can.
# Three general compressors read one long text; n-gram models and our GPTs read the training documents and are judged on the validation documents.
# One predictor below the line would mean that the grammar is ambiguous or that somebody counted wrongly.

# %% mystnb={"figure": {"name": "fig-floor-bits", "caption": "Bits per byte of general compressors, of the best n-gram model and of GPTs, above the exact floor of the validation documents. Means over seeds."}}
study = fables_study(store)
above_floor.predictors_figure(study)

# %% tags=["hide-input"]
Markdown(above_floor.predictors_words(study))

# %% [markdown]
# ## Two cuts through the loss surface
#
# Now the scaling law, with its floor known.
# One cut makes the model larger on the most tokens; the other gives the largest model more tokens.
# The context holds a whole document, so nothing but learning is missing.
# On logarithmic axes the loss above the floor should be a straight line, and its slope is the exponent: no floor has to be fitted.

# %%
runs = study.cuts["N"].runs  # x is N, loss is in nats per token
for floor in (study.floor.nats, 0.0):
    law = fit_power_law(runs["x"], runs["loss"], floor=floor)
    print(f"above {floor:.3f} nats the loss falls as N^-{law.alpha:.3f}")

# %% [markdown]
# The second line is what one would read off without a floor.
#
# Each cut holds the other axis where it is, and what that withholds does not vanish.
# So every cut must leave its line somewhere and end above the floor; the question is whether it does within our range.

# %% mystnb={"figure": {"name": "fig-floor-cuts", "caption": "Loss above the true floor against model size at the largest number of tokens, and against tokens at the largest size, every run. Solid: the power law fitted with E at the true floor, with its exponent, and its 95% interval where the law holds. Dashed: the slope that a theory, told below, gives for this corpus."}}
above_floor.cuts_figure(study.cuts, study.floor.nats)

# %%
above_floor.cuts_table(study.cuts)

# %% tags=["hide-input"]
Markdown(above_floor.cuts_words(study.cuts))

# %% [markdown]
# ### What binds where
#
# Between two neighbours on a cut an exponent can be had without any law.
# Where both cuts end, at the largest model on the most tokens, the two last ones say what would help more: size or text.

# %%
points = runs["x"], runs["seed"], runs["loss"]
local_exponents(*points, floor=study.floor.nats).round(2)

# %% mystnb={"figure": {"name": "fig-floor-slopes", "caption": "Exponent of the loss above the true floor between neighbouring points of each cut, from the means over seeds, with 95% intervals from their spread; the line is the exponent of the one law that was fitted above."}}
above_floor.corner_figure(study.cuts)

# %% tags=["hide-input"]
Markdown(above_floor.corner_words(study.cuts))

# %% [markdown]
# ### What is left there
#
# The loss above the floor can be told apart by the words that it falls on.
# Some are names or facts that the story has told already, and could be copied; some are names of somebody who is met; some are facts told for the first time, the lasting traits, homes and friends of those who are named; the rest is grammar, plot and lists.

# %%
every = excess.leftover(store)  # of every model on every tail
parts = excess.of_study(every, study)
parts.kinds.drop(columns=["run_id", "corpus"]).tail(4)  # one model

# %% mystnb={"figure": {"name": "fig-floor-leftover", "caption": "Nats per document above the floor on the most tokens, by what the words are, against model size; means over seeds, of the models whose weights were at hand."}}
excess.kinds_figure(parts)

# %%
excess.kinds_table(parts)

# %% tags=["hide-input"]
Markdown(excess.kinds_words(parts, study))

# %% [markdown]
# ## Where does the exponent come from?
#
# A theory says that knowledge comes in pieces, the piece of rank $r$ being needed with probability $\propto r^{-(1+a)}$.
# A model that holds the first $n \propto N$ pieces misses $\sum_{r>n} r^{-(1+a)} \propto N^{-a}$.
# With plenty of size and few data, a piece is learnt once it has been met often enough, which after $D$ tokens is true up to rank $n \propto D^{1/(1+a)}$, and the rest is $\propto D^{-a/(1+a)}$ {cite:p}`hutter2021learning,maloney2022solvable,michaud2023quantization`.
# Here $a$ is known, because we chose it, and we can choose it again: three corpora differ in nothing else.
# On each the same two cuts are made, shorter than those above so that all can be had.
#
# ```{dropdown} Guess again
# In `fables-heavy` rare characters are met more often than in `fables`, in `fables-light` less often.
# On which of the three does the excess fall fastest as models grow?
# ```
#
# That theory has endless knowledge in mind, and our world ends.
# Where all characters are known but a few thousand, what is left shrinks faster than the power law says, and the first few dozen ranks are flatter than one, so that no single character tells it all.
# Both can be computed: the slope of the share of meetings that are with somebody unknown.

# %%
for name, variant in VARIANTS.items():
    endless = predicted_exponent("N", variant.tail)
    here = [finite_exponent("N", variant, n) for n in (1, 100, 1_000, 10_000)]
    print(f"{name:>8}: {endless:.2f} endless; here", np.round(here, 2))

# %% [markdown]
# From left to right those are exponents in N for one who knows the first 1, 100, 1,000 and 10,000 characters.

# %% tags=["hide-input"]
Markdown(tails.theory_words())

# %% mystnb={"figure": {"name": "fig-floor-exponents", "caption": "Exponents of the excess loss on the three corpora, over the tail exponent that was chosen for each: measured with E at the true floor, with its 95% interval where the law holds; as the theory says; and as it says in a world of this size."}}
tails.tails_figure(study)

# %%
tails.tails_table(tails.tail_exponents(study))

# %% [markdown]
# The same runs on the lightest tail and on the heaviest, divided by each other: their exponents' difference.

# %%
tails.tail_gaps(study).round(3)

# %% tags=["hide-input"]
Markdown(tails.tails_words(study))

# %% [markdown]
# ### Whom does a model know?
#
# The theory counts characters that are known and characters that are not, and that can be looked at.
# Give everybody in a validation document, and every place, a name that no fable has, and leave the facts.
# Under a stranger's name a model has to guess them from their lists.
# What it saves under the true name is what it knows of this character.

# %%
models = parts.ranks.groupby(["n_non_embedding", "tokens"])
saved = 1 - models["true_names"].sum() / models["other_names"].sum()
saved.round(3).tail(3)

# %% mystnb={"figure": {"name": "fig-floor-known", "caption": "Share of the facts of characters of a rank that a model knows: of the price under strangers' names, what true names save. Mean and standard deviation over seeds. Left: models of several sizes on the most tokens. Right: the largest model on several numbers of tokens."}}
knowledge.known_figure(parts)

# %% tags=["hide-input"]
Markdown(knowledge.known_words(parts))

# %%
top = knowledge.tail_knowledge(every, store)
knowledge.tail_knowledge_table(top)

# %% tags=["hide-input"]
Markdown(knowledge.tail_knowledge_words(top))

# %%
facts = knowledge.fact_exponents(every, store)
knowledge.fact_exponents_table(facts)

# %% tags=["hide-input"]
Markdown(knowledge.fact_exponents_words(facts, top))

# %% [markdown]
# ### Through the door
#
# What is behind it takes a GPU: larger models, on more text, of which the source of the stories does not run out.
# The recipe is the same but for larger batches and the rate that suits them; the floor is the same, since the validation documents are.

# %% mystnb={"figure": {"name": "fig-floor-further", "caption": "Loss above the true floor of models trained on a GPU: against model size at one number of tokens, and against tokens at the largest size, every run. Solid: the power law with E at the true floor. Dashed: the slope of the theory without an end."}}
gpu = further.further_cuts(store)
above_floor.cuts_figure(gpu, study.floor.nats, where="On a GPU")

# %% tags=["hide-input"]
if whose := further.whose_words(store, gpu):
    display(Markdown(whose))
if gpu:
    beyond = excess.leftover(Store("full"))
    display(Markdown(further.reach_words(study, gpu, beyond)))

# %%
if gpu:
    known = further.further_known(study, beyond)
    display(further.further_known_table(known))

# %% tags=["hide-input"]
if gpu:
    display(Markdown(further.further_known_words(known, beyond)))
    display(Markdown(further.rates_words(gpu)))

# %% [markdown]
# What does the simple theory leave out?
# It knows one kind of knowledge.
# These texts have at least four: the spelling of words, the order of sentences, the lists that words come from, and the facts of characters and places.
# The first three are met in every document, are not spread like the ranks of characters, and come first.
# And it has no skills, such as copying a name from a few lines above.
# It also takes each piece as learnt at once, at equal cost, by an optimiser that never runs out of steps.
#
# ## A law for every kind of word?
#
# Copying came late and all at once in these runs, and so the curves bend.
# Let the keys of induction heads start as their queries, as in the recipe of {doc}`05_recipe`, and words told before are found from the first step on.
# Here is a whole grid of such runs, every size with every amount of text, none of it read twice; and each kind of word gets a law of its own, above its own true floor: the sum, its power, or one of the forms with two ends of {doc}`08_compute`, whichever describes the runs best.

# %%
kinds, note = shown(kinds_study, "fables_grid", profile)
table = kinds.runs  # a row per run: N, D, seed, and nats per document of each kind of word
for kind, floor in kinds.floors.items():
    law = fit_surface(table.N, table.D, table[kind], floor)  # the sum, E at the true floor
    print(f"{kind:12} {law.formula}")

# %% mystnb={"figure": {"name": "fig-floor-kinds-size", "caption": "What each kind of word costs above its floor, in nats per document, against model size with the most text; means over seeds."}}
kinds_words.kinds_figure(kinds, "N")

# %% mystnb={"figure": {"name": "fig-floor-kinds-text", "caption": "The same against the text read, at the largest size."}}
kinds_words.kinds_figure(kinds, "asked")

# %%
display(kinds_words.laws_table(kinds), Markdown(note + kinds_words.laws_said(kinds)))

# %% [markdown]
# Why not?
# The smallest size hardly gains from text, and the least text hardly rewards size: what one withholds, the other cannot give.
# The forms know two terms that add up, and a kind of word that is learnt as a whole, once both suffice, is no sum of two terms.
#
# Is a sum of laws worth more than one law of the sum all the same?
# Hide the settings that took most compute, fit both without them, and see which foresees them.

# %%
display(kinds_words.hidden_table(kinds), Markdown(kinds_words.hidden_said(kinds)))

# %% tags=["hide-input"]
Markdown(kinds_words.floor_said(kinds))

# %% [markdown]
# ## A fitted floor, in public
#
# Fit the law again to the very same runs, as one has to where the floor is unknown, and look where E lands.

# %%
free = fit_power_law(runs["x"], runs["loss"])
print(f"fitted: E = {free.E:.3f}, true: {study.floor.nats:.3f} nats per token")

# %%
fitted = study.cuts | {f"{name}, on a GPU": cut for name, cut in gpu.items()}
floors = above_floor.fitted_floors(fitted, study.floor.nats)
floors

# %% tags=["hide-input"]
Markdown(above_floor.fitted_floors_words(floors))

# %% [markdown]
# ## Is this a stand-in for natural text?
#
# No: it is a corpus whose answer is known, and it is worth having for that.
# How far it is from natural text shows in the law that chapter 6 fits to the other corpus, in the same way, with a free floor.

# %%
above_floor.beside_natural_text(study)

# %% [markdown]
# The two differ in more than the text: in tokenizer, context, optimiser and tokens.
# So the table says what was found on each, and not why.
#
# ## Where in a document is the gap?
#
# The exact information is known at every place, so the loss by position can be split into what cannot be known and what has not been learnt.

# %%
study.floor.by_position.round(2).tail(4)  # nats per token at the floor

# %% mystnb={"figure": {"name": "fig-floor-positions", "caption": "Loss by position in the document, mean over seeds, and the exact floor at that position. The distance between a curve and the floor is what the model has not learnt. The first token is left out: it is the same in every document, costs nothing at the floor, and costs a model up to many nats, since a training window seldom begins with a document."}}
above_floor.position_gap_figure(study)

# %% [markdown]
# ## What the model has not learnt
#
# One validation story, character by character.
# The menu chooses what is coloured: what the story tells that nobody could foresee, what the largest model pays, or the difference, which is what it could still learn.

# %%
told = stories.story(store)
if told:
    views = stories.story_views(told)
    explore(lambda show: views[show], "A story in colours", show=list(views))

# %% tags=["hide-input"]
Markdown(stories.story_words(told))

# %% [markdown]
# The model's loss comes by the token; each character of a token has an equal share of it.
# The floor comes by the character, so a difference in single characters says less than one in words.
#
# ## Exercises
#
# ```{exercise} A swap that costs nothing
# :label: ex-floor-swap
#
# Exchange one fruit for another in a document.
# By how much does its probability change?
# And if you exchange the dish that a character loves?
# ```
#
# ```{solution} ex-floor-swap
# :class: dropdown
#
# Fruits are drawn evenly from a list, so the new text is exactly as likely, if you exchange the fruit everywhere it comes back.
# The dish is a fact of the character.
# No choice was made there, no other word can stand there, and the new text has probability 0: `log_probability` raises an error.
# ```
#
# ```{exercise} The price of a name
# :label: ex-floor-name
#
# What does it cost to name the character of rank 1, and that of rank 10,000?
# The weight of rank $r$ is $(r + h)^{-(1+a)}$; the code has $h$, $a$ and the number of characters.
# ```
#
# ```{solution-start} ex-floor-name
# :class: dropdown
# ```

# %%
world = VARIANTS["default"]
weight = (np.arange(1, world.n_characters + 1) + HEAD) ** -(1 + world.tail)
p = weight / weight.sum()
for rank in (1, 10_000):
    print(f"rank {rank:>6,}: {-np.log(p[rank - 1]):5.2f} nats")
print(f"on average {-(p * np.log(p)).sum():5.2f} nats")

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} Below the floor
# :label: ex-floor-below
#
# On the validation documents, could an honest model have a loss below the *entropy*?
# And below the floor that this chapter uses?
# ```
#
# ```{solution} ex-floor-below
# :class: dropdown
#
# Below the entropy, yes: these documents may happen to be likelier than most.
# The floor of this chapter is the mean exact code length of these very documents.
# A model could beat it on a few documents by luck, by giving them more than their true probability, but then it gives others less; over many documents nothing can.
# ```
