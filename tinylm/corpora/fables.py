"""Fables: a small generated corpus that needs no download.

A document is a series of two to four short fables about the same few animals of one world. The
world holds thousands of characters, met with Zipf-like frequencies; their kind, home, friend,
favourite thing and fear never change. So a model can learn spelling, grammar and plots at once,
the common characters with more data and the rare ones only with more capacity, and within a
document whatever was told early helps with what is told late.

Document i of a split depends on (VERSION, split, i) alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TypeVar

from tinylm.corpora.documents import Corpus, Split, build_corpus

VERSION = "0.1"
N_DOCUMENTS: dict[Split, int] = {"train": 4_000, "validation": 200}
N_CHARACTERS = 4_000
T = TypeVar("T")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(","))


ANIMALS = _listed(
    "fox, hare, owl, mouse, bear, crow, frog, hedgehog, badger, goat, donkey, sparrow, otter, wolf,"
    "turtle, squirrel, ant, duck, rabbit, mole, heron, cat, dog, pig, hen, toad, beetle, lamb,"
    "stork, weasel"
)
TRAITS = _listed(
    "old, young, clever, careless, patient, proud, shy, brave, lazy, honest, greedy, gentle,"
    "stubborn, quick, quiet, cheerful, curious, humble, idle, eager, kind, vain"
)
PLACES = _listed(
    "under the old oak, by the mill pond, on the windy hill, behind the red barn,"
    "at the edge of the wood, beside the river, in the apple orchard, near the stone bridge,"
    "in the tall reeds, below the church tower, at the end of the lane, among the ferns,"
    "in the empty well house, on the small island, under the blackberry hedge,"
    "at the foot of the mountain, in the hollow tree, beyond the wheat field, by the salt marsh,"
    "next to the baker's shop"
)
THINGS = _listed(
    "silver bell, round cheese, red scarf, honey jar, copper key, old map, apple pie, blue feather,"
    "wooden flute, ivory comb, lantern, umbrella, ball of wool, bag of nuts, iron pot, glass bead,"
    "walking stick, picture book, yellow kite, orange lamp, clay cup, straw hat, loaf of bread,"
    "acorn ring, green ribbon, tin whistle, warm blanket, little drum, basket of pears,"
    "golden button"
)
FEARS = _listed(
    "the dark, deep water, thunder, high places, the farmer's dog, strangers, the cold wind, fire,"
    "the big snake, being laughed at, narrow tunnels, the hawk"
)
SEASONS = ("spring", "summer", "autumn", "winter")
SYLLABLES = (
    _listed("B,Br,C,D,Dr,F,Fl,G,Gr,H,J,K,L,M,N,P,Pr,Qu,R,S,St,T,Tr,V,W,Y,Z,Th,Sh,Ch"),
    _listed("a,e,i,o,u,ai,ee,oa,ou"),
    _listed("b,d,dd,l,ll,m,mm,n,nd,nn,p,pp,r,rr,s,ss,t,tt,v,x,z,rk,lm,nt"),
    _listed("a,en,er,ey,in,io,is,o,ow,um,y,ella,ard,us,ina"),
)
OPENINGS = (
    "There was once {a_trait} {kind} named {hero}, who lived {home}.",
    "{hero} was {a_trait} {kind}, and {his} home was {home}.",
    "Long ago {a_trait} {kind} called {hero} lived {home}.",
)
ABOUT_HERO = (
    "Of all {his} things {he} loved {his} {thing} best, but {he} was afraid of {fear}.",
    "{He} feared {fear}, and nothing was dearer to {him} than {his} {thing}.",
    "Everyone knew that {he} never went out without {his} {thing}, and that {he} feared {fear}.",
)
ABOUT_FRIEND = (
    "{His} best friend was {friend}, {friend_a_trait} {friend_kind} who lived {friend_home}.",
    "{friend} the {friend_kind}, who lived {friend_home}, was {his} closest friend.",
    "{He} often visited {friend}, {friend_a_trait} {friend_kind} with a house {friend_home}.",
)
LATER = (
    "The next {season}, {hero} the {kind} was {home} again.",
    "When {season} came, {hero} and {friend} met once more {friend_home}.",
    "Not long after that, on a fine {season} morning, {hero} left {his} home {home}.",
    "One {season} evening {friend} knocked at the door of {hero}.",
)
RECALLS = (
    '"Do you remember the {before_item}?" asked {friend}. "It was {before_place}," said {hero}.',
    "They still spoke of the {before_item} and of what had happened {before_place}.",
    '"I shall never forget the {before_item}," thought {hero}, "nor that day {before_place}."',
)
DETAILS = (
    "{friend} was as {friend_trait} as ever, and {hero} as {trait}.",
    "{He} thought of {his} {thing}, and that gave {him} heart.",
    "{other} the {other_kind} watched them from afar and said nothing.",
    "It was {season}, and the way was long.",
    '"I wish I were at home {home}," said {hero}.',
    '"Do not think of {fear}," said {friend} to {hero}.',
    "{hero} the {kind} said nothing for a while.",
    '"Let us go to my house {friend_home} first," said {friend}.',
)
ENDINGS = (
    "{hero} went home {home} with {his} {thing} and slept well.",
    '"I shall not forget this," said {hero} to {friend}.',
    "That night they sat together {friend_home} and told the story twice.",
    "And {friend}, who was {friend_trait}, told it to everyone {place}.",
    '"Now I know better," said {hero} the {kind}.',
    "{other} the {other_kind} heard of it {place} and thought about it for a long time.",
)


@dataclass(frozen=True)
class Plot:
    """Want, obstacle, attempt, outcome and moral, each in a few wordings."""

    want: Sequence[str]
    obstacle: Sequence[str]
    attempt: Sequence[str]
    outcome: Sequence[str]
    moral: Sequence[str]


PLOTS = (
    Plot(
        (
            "One day {hero} could not find {his} {item}.",
            "One {season} morning the {item} of {hero} was gone.",
        ),
        (
            "{He} looked {place}, but it was not there, and it was getting late.",
            '"Someone must have taken it," {he} cried, and {he} blamed {other} the {other_kind}.',
        ),
        (
            '"Let us look together," said {friend}. "Where did you have it last?"',
            '{friend} asked {him}, "Were you not {place} yesterday?" So they went there.',
        ),
        (
            "There lay the {item} {place}, just where {hero} had left it.",
            "They found the {item} {place}, and {hero} was ashamed of {his} hard words.",
        ),
        ("Look well before you blame.", "Two pairs of eyes see more than one."),
    ),
    Plot(
        (
            "{hero} had heard that {an_item} lay hidden {place}, and {he} wanted it.",
            "{other} the {other_kind} had {an_item} to give away {place}, and {hero} wanted it.",
        ),
        (
            "But {he} thought of {fear}, and {his} legs would not move.",
            '"I cannot go," {he} said. "You know how I fear {fear}."',
        ),
        (
            '"I shall walk in front of you," said {friend}, "and you will hold on to me."',
            '{friend} sang to {him}. "Think of your {thing}," {friend_he} said, "and walk."',
        ),
        (
            "Step by step they went, and {hero} laughed aloud when {he} held the {item}.",
            "Before {he} knew it {he} stood {place} with the {item}, and {his} fear was gone.",
        ),
        ("A friend makes a long road short.", "Courage grows with every step."),
    ),
    Plot(
        (
            "{other} the {other_kind} boasted that no one was faster than {other_he} was.",
            '"I can reach the place {place} before you all," said {other} the {other_kind}.',
        ),
        (
            "Nobody dared to race, though {an_item} would be the prize.",
            "The prize was {an_item}, and {hero} wished for it with all {his} heart.",
        ),
        (
            "{hero} went slowly and never stopped, while {other} lay down to sleep.",
            '"I shall try," said {hero}. {friend} told {him} of a path that few could find.',
        ),
        (
            "When {other} came at last, {hero} was already there, and {he} had the {item}.",
            "{hero} won, but {he} gave the {item} to {friend}, who had helped {him}.",
        ),
        ("Slow and steady goes far.", "He who boasts has far to fall."),
    ),
    Plot(
        (
            "Food was short that {season}, and {other} the {other_kind} was hungry.",
            "{other} the {other_kind} came to {hero} and asked for something to eat.",
        ),
        (
            "{hero} had only {an_item} left, and {he} wished to keep it.",
            '"Why should I share my {item}?" asked {hero}. "I worked while {other} sang."',
        ),
        (
            'But {friend} said, "One day you may be the one who asks." So {hero} shared.',
            "{He} thought about it all night, and in the morning {he} shared what {he} had.",
        ),
        (
            "Later {hero} fell into a ditch {place}, and it was {other} who pulled {him} out.",
            "When the fear of {fear} held {hero} fast, it was {other} who came to help {him}.",
        ),
        ("Kindness is never lost.", "What you give comes back to you."),
    ),
    Plot(
        (
            "{hero} promised {friend} to bring {friend_him} {an_item} before nightfall.",
            '"Bring me {an_item}," said {friend}, "and come straight back."',
        ),
        (
            'On the way {he} met {other} the {other_kind}. "Stay and play!" {other_he} said.',
            "Rain began to fall, and {other} the {other_kind} offered {him} a warm seat {place}.",
        ),
        (
            '"I gave my word," said {hero}, and {he} walked on past the place {place}.',
            "{hero} stayed for a little, and then for a little more, until {he} remembered.",
        ),
        (
            "{friend} was waiting {friend_home}, and {friend_his} eyes shone when {friend_he} saw "
            "the {item}.",
            "It was dark when {he} came, but {friend} had kept a light burning {friend_home}.",
        ),
        ("A promise is a debt.", "A true word is worth more than gold."),
    ),
    Plot(
        (
            "{other} the {other_kind} came to {hero} with {an_item} to sell.",
            '"Give me your {thing}," said {other} the {other_kind}, "and have {an_item}."',
        ),
        (
            "It was so bright that {hero} forgot everything {friend} had told {him}.",
            '"It is worth three of yours," {other_he} said. "But you must choose now."',
        ),
        (
            "{hero} asked for a day to think, and went to {friend} for advice.",
            '"Show it to me {place}, where the light is good," said {hero}.',
        ),
        (
            "In the sun they saw that the {item} was cracked, and {other} ran away.",
            "{hero} kept {his} {thing}, and the next day the {item} fell to pieces.",
        ),
        ("Not all that shines is sound.", "Good advice is cheap at any price."),
    ),
)


@dataclass(frozen=True)
class Character:
    """One animal of the world. `friend` is the number of another one."""

    name: str
    kind: str
    trait: str
    home: str
    thing: str
    fear: str
    friend: int
    male: bool


def pick(random: Random, options: Sequence[T]) -> T:
    """One of the options. Built on random() alone, whose sequence Python keeps for ever."""
    return options[int(random.random() * len(options))]


def article(noun: str) -> str:
    """The noun with a or an before it."""
    return f"an {noun}" if noun[0] in "aeiou" or noun == "honest" else f"a {noun}"


@cache
def world() -> tuple[Character, ...]:
    """All characters, the most often met first. No two have the same name."""
    random = Random(f"tinylm fables/{VERSION}/world")
    names: dict[str, None] = {}
    while len(names) < N_CHARACTERS:
        names.setdefault("".join(pick(random, part) for part in SYLLABLES))
    return tuple(
        Character(
            name=name,
            kind=pick(random, ANIMALS),
            trait=pick(random, TRAITS),
            home=pick(random, PLACES),
            thing=pick(random, THINGS),
            fear=pick(random, FEARS),
            friend=_other_than({i}, random),
            male=random.random() < 0.5,
        )
        for i, name in enumerate(names)
    )


def _other_than(taken: set[int], random: Random) -> int:
    """A character's number, with probability falling about as 1 / (number + 10)."""
    while True:
        number = int(10 * ((N_CHARACTERS / 10 + 1) ** random.random() - 1))
        if number not in taken:
            return number


def document(split: Split, i: int) -> str:
    """Document i of a split: two to four fables with one hero and one friend, 1 to 3.5 kB."""
    random = Random(f"tinylm fables/{VERSION}/{split}/{i}")
    hero = _other_than(set(), random)
    words = _words("hero", world()[hero]) | _words("friend", world()[world()[hero].friend])
    leads: Sequence[Sequence[str]] = (OPENINGS, ABOUT_HERO, ABOUT_FRIEND)
    plots = list(PLOTS)
    fables: list[str] = []
    for _ in range(2 + int(3 * random.random())):
        words |= _scene(random, hero, words.get("before_item"))
        plot = pick(random, plots)
        plots.remove(plot)
        fable = _fable(random, leads, plot, words)
        fables.append(fable)
        leads = (LATER,)
        if words["item"] in fable and words["place"] in fable:  # there is something to recall
            words |= {"before_item": words["item"], "before_place": words["place"]}
            leads = (LATER, RECALLS)
    return "\n\n".join(fables)


def _words(role: str, character: Character) -> dict[str, str]:
    """What templates may say of a character: {friend} is the name, {friend_home} the home and so
    on; for the hero plain {home}.
    """
    he, him, his = ("he", "him", "his") if character.male else ("she", "her", "her")
    words = {
        "kind": character.kind,
        "trait": character.trait,
        "a_trait": article(character.trait),
        "home": character.home,
        "thing": character.thing,
        "fear": character.fear,
        "he": he,
        "him": him,
        "his": his,
        "He": he.capitalize(),
        "His": his.capitalize(),
    }
    prefix = "" if role == "hero" else f"{role}_"
    return {role: character.name} | {prefix + key: word for key, word in words.items()}


def _scene(random: Random, hero: int, before_item: str | None) -> dict[str, str]:
    """The third character of a fable, the thing it is about, the place and the season."""
    friend = world()[hero].friend
    other = world()[_other_than({hero, friend}, random)]
    taken = {world()[hero].thing, before_item}
    item = pick(random, [thing for thing in THINGS if thing not in taken])
    homes = {world()[hero].home, world()[friend].home}
    place = pick(random, [place for place in PLACES if place not in homes])
    scene = {"item": item, "an_item": article(item), "place": place}
    return _words("other", other) | scene | {"season": pick(random, SEASONS)}


def _fable(
    random: Random, leads: Sequence[Sequence[str]], plot: Plot, words: Mapping[str, str]
) -> str:
    """One fable: its lead, then want, obstacle, attempt and outcome, and the moral on a line."""
    lead = [pick(random, options) for options in leads]
    story = [pick(random, plot.want)]
    details = list(DETAILS)
    for stage in (plot.obstacle, plot.attempt, plot.outcome):
        if random.random() < 0.6:
            detail = pick(random, details)
            details.remove(detail)
            story.append(detail)
        story.append(pick(random, stage))
    story.append(pick(random, ENDINGS))
    lines = (" ".join(lead), " ".join(story), f"Moral: {pick(random, plot.moral)}")
    return "\n".join(lines).format_map(words)


def load() -> Corpus:
    """Generate the corpus: about 8 MB of train text, in a few seconds."""
    train = [document("train", i) for i in range(N_DOCUMENTS["train"])]
    validation = [document("validation", i) for i in range(N_DOCUMENTS["validation"])]
    source = {
        "title": "Fables, generated stories of one small world",
        "source": "generated by tinylm.corpora.fables",
        "licence": "MIT",
        "origin": "generated",
        "revision": VERSION,
    }
    return build_corpus("fables", VERSION, train, validation, source)
