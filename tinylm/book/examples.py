"""What the early chapters open: a trained model, and short stories that it has not seen."""

from tinylm.config import Run
from tinylm.corpora.fables import CORPORA, document, short_of
from tinylm.model import GPT
from tinylm.store import Store
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.tokenizers import Tokenizer

EXAMPLES = ("storyteller", "model_size")  # the first of which a profile has runs
WIDTH = 64  # of the model, or the nearest there is
STORIES = (  # in the manner of TinyStories, written for this book
    "Once upon a time, there was a little girl named Lily. Lily had a red ball. One day, the ball "
    'rolled into the river. Lily was sad. Her mom said, "Do not cry, Lily. We can find the '
    'ball." They looked and looked. Then Lily saw the ball near a big rock. She was very happy.',
    "Tom had a small dog. The dog was named Max. Every day, Tom and Max went to the park. One day, "
    'Max ran away. Tom looked for Max behind the trees. He called, "Max, Max!" Then the dog came '
    "back with a stick. Tom hugged Max and they went home.",
    "There was a bird who could not fly. The bird lived in a tall tree with her friend, a cat. The "
    'cat said, "I will help you fly." The bird jumped and the cat cheered. The bird did not fall. '
    "The bird could fly! The cat was so proud of the bird.",
    "Ben and Mia were playing in the garden. Mia found a shiny stone. Ben wanted the stone too. "
    '"It is my stone," said Mia. Ben was angry. Then Mia said, "We can share the stone." Ben said '
    "sorry to Mia. They took turns and played with the stone all day.",
    "One day, a boy named Sam made a cake with his grandma. The cake was big and sweet. Sam wanted "
    'to eat the cake. Grandma said, "Wait, Sam. The cake is hot." Sam waited and waited. Then Sam '
    "and grandma ate the cake together. It was the best cake.",
    "A little frog lived near a pond. The frog liked to jump. One day, the frog saw a fly. The "
    "frog jumped, but the fly was too fast. The frog fell into the water. The fish laughed. The "
    "frog laughed too. The frog and the fish became good friends.",
    "Anna had a blue hat. She loved her blue hat. The wind took the hat away. Anna ran after the "
    'hat. A tall man got the hat. "Is this your hat?" asked the man. "Yes," said Anna. "Thank '
    'you!" Anna put on the hat and smiled at the man.',
    "It was a cold night. A mouse was looking for a warm home. The mouse saw a box. In the box was "
    'an old bear. "Can I come in?" asked the mouse. "Yes," said the bear. The bear and the mouse '
    "slept in the box. The mouse was warm, and the bear was not alone.",
)
BEGINNING = 400  # characters of a fable, which is longer than a story


def short_stories(corpus: str) -> list[str]:
    """Eight texts of the kind that a corpus holds: beginnings of unseen fables, or `STORIES`."""
    variant = CORPORA.get(short_of(corpus))
    if variant is None:
        return list(STORIES)
    return [document("validation", i, variant=variant)[:BEGINNING] for i in range(len(STORIES))]


def example_model(profile: str) -> tuple[Run, GPT, Tokenizer]:
    """A trained model, its run and its tokenizer: of the first of EXAMPLES that the profile asks
    for the width nearest 64, and the first seed.

    Raises:
        Missing: its weights are not on this machine.
    """
    asked = (load_experiment(name) for name in EXAMPLES)
    runs = expand(next(one for one in asked if profile in one.profiles), profile)
    run = min(runs, key=lambda run: (abs(run.config.model.d_model - WIDTH), run.seed))
    store = Store(profile)
    return run, *store.load_model(store.load([run])[0])


def storyteller(profile: str) -> str:
    """The run whose model was trained to write, or nothing where the profile has none."""
    experiment = load_experiment(EXAMPLES[0])
    return expand(experiment, profile)[0].run_id if profile in experiment.profiles else ""
