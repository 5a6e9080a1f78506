"""Riddles, rhymes and sums: texts of which one part goes with another."""

from tinylm.corpora.fables.words import NUMBERS

_RHYMES = (
    (
        "The moon is up, the road is white",
        "The lamp is lit, the door shut tight",
        "The owls are out and take their flight",
        "The wind is high, the fire bright",
        "and we shall all be home tonight",
        "and nothing here will bark or bite",
        "so sing with me by candlelight",
        "and in the end it comes out right",
    ),
    (
        "The cock has crowed, the sky is grey",
        "The rain came down and would not stay",
        "I met a goose upon the way",
        "The miller's cat is fond of hay",
        "so tune your fiddle up and play",
        "and who is cold must dance today",
        "and that is all I have to say",
        "and so goes night, and so goes day",
    ),
    (
        "My boots are old, my hat is too",
        "The hills are green, the smoke is blue",
        "The soup is hot, the bread is new",
        "I had one bun and now have two",
        "and half of it is meant for you",
        "and I shall sing the whole year through",
        "and every word of it is true",
        "so ring the bell, cuckoo, cuckoo",
    ),
    (
        "There was a snail who went to sea",
        "A beetle sat beneath a tree",
        "I asked a duck to dance with me",
        "The old grey goose at last is free",
        "and took along a pot of tea",
        "and hummed a song of one, two, three",
        "as happy as a duck can be",
        "and never paid the ferry fee",
    ),
    (
        "The boat is small, the lake is deep",
        "The hill before the house is steep",
        "The shepherd cannot find his sheep",
        "The farmer has his oats to reap",
        "but what you love is yours to keep",
        "so hush, my dear, and go to sleep",
        "and softly, softly, chickens peep",
        "and nobody has cause to weep",
    ),
    (
        "I had a hat, I had a shoe",
        "The crow has nothing else to do",
        "The geese are standing in a queue",
        "The kettle sings a tune or two",
        "and round and round the swallows flew",
        "and then the north wind blew and blew",
        "and I have still the broth to brew",
        "and all the rest is up to you",
    ),
    (
        "A little bell hangs in the hall",
        "The ivy climbs the garden wall",
        "The pears are ripe and soon will fall",
        "I heard the distant heron call",
        "and there is room enough for all",
        "and that is best when you are small",
        "so dance with me around the stall",
        "and no one is too short or tall",
    ),
    (
        "The river runs, the river sings",
        "The beggar dines with seven kings",
        "A swan goes by on heavy wings",
        "The blacksmith makes a thousand rings",
        "and who can tell what morning brings",
        "and bees have honey, bees have stings",
        "and off we go on rusty springs",
        "and I am fond of little things",
    ),
)

_RIDDLES = (
    ("What has teeth and never bites?", "a comb"),
    ("What has hands and cannot clap?", "a clock"),
    ("What runs all day and never leaves its bed?", "a river"),
    ("What grows smaller the longer it works?", "a candle"),
    ("What has one eye and sees nothing?", "a needle"),
    ("What gets wetter the more it dries?", "a towel"),
    ("What has a neck and no head?", "a bottle"),
    ("What goes up when the rain comes down?", "an umbrella"),
    ("What has four legs and never walks?", "a table"),
    ("What is full of holes and still holds water?", "a sponge"),
    ("What has a tongue and never speaks?", "a shoe"),
    ("What flies without wings and weeps without eyes?", "a cloud"),
    ("What has leaves and is not a tree?", "a book"),
    ("What has a back and no belly?", "a chair"),
    ("What must be broken before you can use it?", "an egg"),
    ("What belongs to you and is used most by others?", "your name"),
    ("What follows you all day and is gone at night?", "your shadow"),
    ("What has a head and a tail and no legs?", "a coin"),
    ("What has ears and hears nothing?", "a cornfield"),
    ("What is light as a feather, and no one can hold it for long?", "your breath"),
    ("What comes in through the keyhole and never knocks?", "a draught"),
    ("What answers every word and was never born?", "an echo"),
    ("What is taken from you before you ever see it?", "a portrait"),
    ("What can fill a room and weighs nothing?", "light"),
)


def _either(options: list[str]) -> str:
    return f"[{'|'.join(options)}]"


def _couplet(lines: tuple[str, ...]) -> str:
    """Any of the first four lines and any of the last four."""
    first, second = lines[:4], lines[4:]
    return (
        _either([f"{{!line {line}}}{line}" for line in first])
        + ", / "
        + _either([f"{{!rhyme {line}}}{line}" for line in second])
    )


RULES = {
    "couplet": _either([_couplet(lines) for lines in _RHYMES]),
    "riddle": _either([f"{{!answer {answer}}}{riddle}" for riddle, answer in _RIDDLES]),
    "sum": _either(
        [
            f"{{!gave {NUMBERS[gave - 1]}}}{{!left {NUMBERS[left - 1]}}}{NUMBERS[gave + left - 1]}"
            for gave in range(2, 7)
            for left in range(2, 7)
        ]
    ),
}
