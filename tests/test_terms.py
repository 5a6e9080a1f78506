"""Which words of a text are a term of the glossary."""

import pytest

from tinylm.book.terms import Term, in_letters


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("bootstrap", "The bootstrap draws runs again.", "bootstrap"),
        ("bootstrap", "Bootstrap the runs.", "Bootstrap"),
        ("FLOP", "It takes 6 FLOPs for each.", "FLOPs"),
        ("FLOP", "Nothing flops here.", None),
        ("nat", "A loss of 2 nats per token.", "nats"),
        ("nat", "Native words, and international ones.", None),
        ("power law", "Two power laws.", "power laws"),
        ("seed", "It was reseeded.", None),
        ("n-gram", "Longer n-grams, a 6-gram.", "n-grams"),
        ("entropy", "cross-entropy", None),
    ],
)
def test_a_term_is_found_as_a_word(word: str, text: str, found: str | None) -> None:
    match = Term(word, "book/glossary", "term", "").pattern.search(text)
    assert (match and match.group()) == found


def test_a_formula_in_letters() -> None:
    assert in_letters(r"L = A x^{-\alpha}") == "L = A x^-α"
