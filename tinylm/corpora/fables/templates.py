r"""Templates: how the parts of a text are written down in the tables of words and plots.

| in a template | means |
|---|---|
| `[one\|3*another]` | a choice of wordings, the second three times as likely; they nest |
| `{:fruit}` | a word from the list `fruit`; `{a :fruit}` with a or an |
| `{gift:fruit}` | the same, noted as `gift`; `{more:fruit-gift}` any other than `gift` |
| `{gift}`, `{a gift}` | the word noted before |
| `{hero.home}`, `{a hero.kind}` | a fact of a character or place; `{he}` is `{hero.he}` |
| `{hero}` | the name; `hero`, `friend`, `home`, `haunt`, `goal` and so on are roles |
| `{+rival}` | a character or place enters in this role, and is named |
| `{!key text}` | says nothing, and notes a text without choices |
| `<rule>` | the template of that name |
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tinylm.corpora.fables.draws import Lexicon, article
from tinylm.corpora.fables.parts import (
    Choice,
    Enter,
    Fact,
    Note,
    Part,
    Parts,
    Said,
    Text,
    Word,
    Words,
)

CAST = ("elder", "rival", "little", "passer", "host", "guest")
ROLES = frozenset({"hero", "friend", "home", "haunt", "goal", *CAST})
PRONOUNS = frozenset({"he", "him", "his", "himself", "He", "His"})


class Plot(NamedTuple):
    """Templates of a plot: the heading, how later stories call it, and the story.

    A story ends in two or three ways. Each notes a `deed`, for later stories to recall, and has
    morals that follow from it.
    """

    title: str
    name: str
    story: str


def flow(text: str) -> str:
    """A template that was broken into lines for reading: a line break is a space, or nothing at the
    ends of an option and before a note; ¶ is a new line.
    """
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" ?([|\]]|\{!)", r"\1", text)
    text = re.sub(r"([\[|]) ", r"\1", text)
    return re.sub(r" ?¶ ?", "\n", text)


class Compiler:
    """Makes parts of templates, given word lists, named templates and the roles one can enter."""

    def __init__(
        self,
        lists: Mapping[str, Sequence[str]],
        rules: Mapping[str, str],
        roles: Mapping[str, Enter],
    ) -> None:
        self._lists = lists
        self._rules = rules
        self._roles = roles
        self._found: dict[str, Words] = {}

    def parts(self, template: str) -> Parts:
        """The parts of a template.

        Raises:
            KeyError: a list, rule or role that there is none of.
            ValueError: a bracket that does not close.
        """
        return self._sequence(template, 0, "")[0]

    def _sequence(self, template: str, at: int, closing: str) -> tuple[Parts, int]:
        """Parts from `at` to one of the closing characters, which is not read."""
        found: list[Part] = []
        text = ""
        while at < len(template) and template[at] not in closing:
            char = template[at]
            if char not in "[{<":
                text += char
                at += 1
                continue
            if text:
                found.append(Text(text))
                text = ""
            if char == "[":
                choice, at = self._choice(template, at + 1)
                found.append(choice)
            elif char == "<":
                end = template.index(">", at)
                found.extend(self.parts(self._rules[template[at + 1 : end]]))
                at = end + 1
            elif template[at + 1] == "!":
                key, _, rest = template[at + 2 :].partition(" ")
                noted, at = self._sequence(template, len(template) - len(rest), "}")
                found.append(Note(key, noted))
                at += 1
            else:
                end = template.index("}", at)
                found.append(self._slot(template[at + 1 : end]))
                at = end + 1
        if text:
            found.append(Text(text))
        return tuple(found), at

    def _choice(self, template: str, at: int) -> tuple[Choice, int]:
        options: list[Parts] = []
        weights: list[int] = []
        while True:
            weight = re.match(r"(\d+)\*", template[at:])
            weights.append(int(weight[1]) if weight else 1)
            option, at = self._sequence(template, at + (weight.end() if weight else 0), "|]")
            options.append(option)
            if at == len(template):
                raise ValueError(f"template {template!r} has a [ that is not closed")
            if template[at] == "]":
                numbers = Lexicon([str(i) for i in range(len(options))], weights)
                return Choice(options, numbers), at + 1
            at += 1

    def _slot(self, slot: str) -> Part:
        if slot[0] == "+":
            return self._roles[slot[1:]]
        if slot in PRONOUNS:
            return Fact("hero", slot)
        with_article = slot.startswith("a ")
        name = slot.removeprefix("a ")
        if ":" in name:
            key, _, rest = name.partition(":")
            which, *but = rest.split("-")
            return Word(self._words(which), with_article, key or None, tuple(but))
        if "." in name:
            role, _, fact = name.partition(".")
            return Fact(role, f"a {fact}" if with_article else fact)
        return Fact(slot, "name") if slot in ROLES else Said(slot)

    def _words(self, name: str) -> Words:
        if name not in self._found:
            words = self._lists[name]
            self._found[name] = Words(Lexicon(words), Lexicon([article(word) for word in words]))
        return self._found[name]
