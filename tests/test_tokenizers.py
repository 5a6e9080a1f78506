import json
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tinylm.errors import TinyLMError
from tinylm.tokenizers import (
    END_OF_TEXT,
    FIRST_BYTE,
    FIRST_PIECE,
    LONGEST_WORD,
    SPECIAL,
    BytePairTokenizer,
    Tokenizer,
    check_tokenizer_name,
    load_tokenizer,
    train_tokenizer,
)

TEXTS = [
    "The old fox said “no” to the young hare — twice. The hare said nothing at all.",
    "A fox and a hare went to the mill pond,\nand the fox saw the moon in the pond.",
    "Ещё раз: лиса и заяц. Лиса и заяц! Le renard a mangé, le lièvre a rêvé.",
] * 5
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
BOTH = pytest.mark.parametrize("name", ["characters", "bpe-300"])


@cache
def trained(name: str) -> Tokenizer:
    return train_tokenizer(name, TEXTS)


@BOTH
@given(text=ANY_TEXT)
@example(text="  leading and trailing \n\n\t ")
@example(text=f"a{SPECIAL}b {SPECIAL}")
@example(text="日本 🦊\u200d\x00 e\u0301 \ufeff")
def test_decode_inverts_encode_and_text_is_never_the_special_token(name: str, text: str) -> None:
    tokenizer = trained(name)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert END_OF_TEXT not in ids
    assert all(0 < i < tokenizer.vocab_size for i in ids)


@BOTH
@given(texts=st.lists(ANY_TEXT, max_size=5))
def test_a_batch_is_encoded_as_its_texts_are(name: str, texts: list[str]) -> None:
    assert trained(name).encode_batch(texts) == [trained(name).encode(text) for text in texts]


@pytest.mark.parametrize("size", [257, 258, 300, 330])
def test_bpe_has_exactly_the_asked_vocabulary(size: int) -> None:
    tokenizer = train_tokenizer(f"bpe-{size}", TEXTS)
    pieces = {tokenizer.token_text(i) for i in range(size)}
    assert tokenizer.vocab_size == size
    assert len(pieces) == size
    assert tokenizer.token_text(END_OF_TEXT) == SPECIAL


def test_bpe_encodes_as_its_merges_say() -> None:
    """The library's encoder against the definition: join the most urgent pair until none is left.

    Words of letters alone, since the split into words is the library's.
    """
    tokenizer = trained("bpe-300")
    assert isinstance(tokenizer, BytePairTokenizer)
    rank = {pair: k for k, pair in enumerate(tokenizer.merges)}
    for word in ("the", "hare", "nothing", "foxhare", "saidthe", "лиса", "zzz"):
        ids = [FIRST_BYTE + byte for byte in word.encode()]
        while pairs := [p for p in pairwise(ids) if p in rank]:
            best = min(pairs, key=rank.__getitem__)
            at = next(i for i in range(len(ids)) if tuple(ids[i : i + 2]) == best)
            joined = tokenizer.pieces[best[0]] + tokenizer.pieces[best[1]]
            ids[at : at + 2] = [tokenizer.pieces.index(joined, FIRST_BYTE)]
        assert tokenizer.encode(word) == ids


def test_bpe_first_merge_is_the_most_frequent_pair() -> None:
    tokenizer = train_tokenizer("bpe-258", ["abab ab ab", "ab xy"])
    assert tokenizer.token_text(FIRST_PIECE) == "ab"


def test_characters_are_one_token_if_frequent_and_bytes_if_rare() -> None:
    tokenizer = train_tokenizer("characters", ["é" * 5 + "ü" * 4 + "abc"])
    assert tokenizer.vocab_size == FIRST_PIECE + 1
    assert len(tokenizer.encode("abé")) == 3
    assert tokenizer.encode("ü") == [FIRST_BYTE + byte for byte in "ü".encode()]


def test_a_byte_that_is_no_character_is_shown_as_such() -> None:
    tokenizer = trained("characters")
    assert tokenizer.token_text(FIRST_BYTE + 0xE2) == "<0xE2>"
    assert tokenizer.token_text(FIRST_BYTE + ord("a")) == "a"
    assert tokenizer.decode([FIRST_BYTE + 0xE2]) == "\ufffd"


@BOTH
def test_saved_and_loaded_is_the_same_and_so_is_trained_again(name: str, tmp_path: Path) -> None:
    trained(name).save(tmp_path / "first.json")
    train_tokenizer(name, TEXTS).save(tmp_path / "second.json")
    loaded = load_tokenizer(tmp_path / "first.json")
    assert (tmp_path / "first.json").read_bytes() == (tmp_path / "second.json").read_bytes()
    assert (loaded.name, loaded.vocab_size) == (name, trained(name).vocab_size)
    assert loaded.encode_batch(TEXTS) == trained(name).encode_batch(TEXTS)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _change(path: Path) -> None:
    path.write_text(path.read_text().replace("300", "301", 1))


def _other_json(path: Path) -> None:
    path.write_text(json.dumps(["no", "tokenizer"]))


def _binary(path: Path) -> None:
    path.write_bytes(b"\xff\x00\xfe")


@pytest.mark.parametrize("damage", [_truncate, _change, _other_json, _binary, Path.unlink])
def test_a_damaged_file_is_named(damage: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    trained("bpe-300").save(path)
    damage(path)
    with pytest.raises(TinyLMError, match=r"tokenizer\.json") as caught:
        load_tokenizer(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["", "bpe", "bpe-", "bpe-256", "bpe--300", "bpe-3e2", "bpe-٣٠٠", "words", "Characters"]
)
def test_unknown_names_are_refused(name: str) -> None:
    for use in (check_tokenizer_name, lambda name: train_tokenizer(name, TEXTS)):
        with pytest.raises(TinyLMError, match="unknown tokenizer"):
            use(name)


def test_too_little_text_for_the_vocabulary_is_refused() -> None:
    with pytest.raises(TinyLMError, match="'bpe-5000'"):
        train_tokenizer("bpe-5000", TEXTS)


@BOTH
def test_half_a_surrogate_pair_is_refused(name: str) -> None:
    with pytest.raises(TinyLMError, match="surrogate"):
        trained(name).encode("a\ud800")


def test_a_long_word_is_cut_without_loss_and_changes_no_other() -> None:
    """BPE takes time by the square of a word's length: three million letters would never end."""
    letters = "".join(chr(97 + i * i * 7919 % 26) for i in range(1_000_000))
    tokenizer = train_tokenizer("bpe-300", [letters, *TEXTS])
    for long in (letters, "ก" * 100_000, " " * 100_000, "!" * 100_000):
        assert tokenizer.decode(tokenizer.encode(long)) == long
    known, cut = trained("bpe-300"), " " + letters[:100_000]
    for text in TEXTS:
        plain = known.encode(text)
        assert known.encode(text + cut)[: len(plain)] == plain


def test_words_are_cut_only_beyond_the_longest() -> None:
    tokenizer = trained("bpe-300")
    assert isinstance(tokenizer, BytePairTokenizer)
    whole = "fo" * (LONGEST_WORD // 2)
    pair = tokenizer.encode("fo")
    assert len(pair) == 1
    assert tokenizer.encode(whole) == pair * (LONGEST_WORD // 2)
    assert tokenizer.encode("f" + whole) != tokenizer.encode("f") + pair * (LONGEST_WORD // 2)
    assert tokenizer.decode(tokenizer.encode("f" + whole)) == "f" + whole
