"""Text to token ids and back, without loss: characters, and byte-level BPE of any size.

Both kinds share one layout: id 0 is the special token that begins and ends every document, ids 1
to 256 are the single bytes, and the ids after them are longer pieces of UTF-8. Any text can be
spelled in bytes, so no text is out of vocabulary.
"""

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import tokenizers

from tinylm.errors import BadInput, Damaged, TooFewWords
from tinylm.files import write_atomic

SPECIAL = "<|endoftext|>"
END_OF_TEXT = 0  # its id
FIRST_BYTE = 1  # byte b has id FIRST_BYTE + b
FIRST_PIECE = FIRST_BYTE + 256  # the first id of a character (characters) or merge (BPE)
MIN_CHARACTER_COUNT = 5  # rarer characters of the training text are spelled in bytes
LARGEST_VOCABULARY = 1_000_000
LONGEST_WORD = 512  # bytes: BPE takes time by the square of a word's length
LONG_RUN = re.compile(rf"\S{{{LONGEST_WORD // 4},}}|\s{{{LONGEST_WORD // 4},}}")  # may hold longer
FORMAT = "tinylm-tokenizer"
FORMAT_VERSION = 1


class Tokenizer(Protocol):
    """What the rest of the package may ask of a tokenizer."""

    name: str
    vocab_size: int

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; the special token is never among them, whatever the text says."""
        ...

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, on all cores where the kind allows it."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`: the inverse of `encode`. Bytes cut off mid-character show as U+FFFD."""
        ...

    def token_text(self, token: int) -> str:
        """How one token is shown to a reader; a byte that is no character shows as <0xNN>."""
        ...

    def save(self, path: Path) -> None:
        """Write the tokenizer as one JSON file with a checksum."""
        ...


class _PieceTokenizer(ABC):
    """A vocabulary of byte strings; how text is split into them is left to the two kinds."""

    def __init__(self, name: str, longer_pieces: Iterable[bytes]) -> None:
        self.name = name
        self.pieces = [SPECIAL.encode(), *(bytes([b]) for b in range(256)), *longer_pieces]
        self.vocab_size = len(self.pieces)

    @abstractmethod
    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text."""

    @abstractmethod
    def _content(self) -> dict[str, Any]:
        """What the kind needs, beside its name, to be built again."""

    def encode(self, text: str) -> list[int]:
        """Ids of one text."""
        return self.encode_batch([text])[0]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`; the special token shows as itself."""
        return b"".join([self.pieces[i] for i in ids]).decode("utf-8", errors="replace")

    def token_text(self, token: int) -> str:
        """The token's text, or <0xNN> for each of its bytes if they are no whole characters."""
        piece = self.pieces[token]
        try:
            return piece.decode("utf-8")
        except UnicodeDecodeError:
            return "".join(f"<0x{byte:02X}>" for byte in piece)

    def save(self, path: Path) -> None:
        """Write one JSON file: format, version, name, vocabulary size, content, checksum."""
        document = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "name": self.name,
            "vocab_size": self.vocab_size,
            **self._content(),
        }
        document["sha256"] = _checksum(document)
        write_atomic(path, json.dumps(document, ensure_ascii=False, indent=0) + "\n")


class CharacterTokenizer(_PieceTokenizer):
    """One token a character; characters outside the vocabulary are spelled in UTF-8 bytes."""

    def __init__(self, characters: str) -> None:
        super().__init__("characters", (c.encode() for c in characters))
        self.characters = characters  # those of more than one byte
        self._ids = {chr(b): FIRST_BYTE + b for b in range(0x80)}  # ASCII: a byte a character
        self._ids |= {c: FIRST_PIECE + i for i, c in enumerate(characters)}

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text."""
        return [self._encode(text) for text in texts]

    def _encode(self, text: str) -> list[int]:
        try:
            return [self._ids[c] for c in text]
        except KeyError:
            pass  # some rare character: take the longer way
        ids: list[int] = []
        for c in text:
            token = self._ids.get(c)
            if token is None:
                ids.extend(FIRST_BYTE + byte for byte in _utf8(c))
            else:
                ids.append(token)
        return ids

    def _content(self) -> dict[str, Any]:
        return {"characters": self.characters}


class BytePairTokenizer(_PieceTokenizer):
    """Byte-level BPE (Sennrich et al. 2016; GPT-2's split into words, Radford et al. 2019).

    `merges[k]` is the k-th most urgent pair of ids to be joined.
    """

    def __init__(self, name: str, merges: Sequence[tuple[int, int]]) -> None:
        pieces = [SPECIAL.encode(), *(bytes([b]) for b in range(256))]
        known = set(pieces[FIRST_BYTE:])
        for left, right in merges:
            joined = pieces[left] + pieces[right]
            if joined not in known:  # two merges may spell the same piece
                known.add(joined)
                pieces.append(joined)
        super().__init__(name, pieces[FIRST_PIECE:])
        self.merges = [(left, right) for left, right in merges]
        self._library = _library_tokenizer(self.pieces, self.merges)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, on all cores. Words longer than LONGEST_WORD bytes are cut there."""
        self._library.pre_tokenizer = _pre_tokenizer(texts)
        try:
            return [e.ids for e in self._library.encode_batch_fast(list(texts))]
        except TypeError:  # what the library says of text that is not Unicode
            for text in texts:
                _utf8(text)
            raise

    def library_json(self) -> str:
        """What the `tokenizers` library, and with it `transformers`, reads. Words are not cut."""
        library = tokenizers.Tokenizer.from_str(self._library.to_str())
        library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        library.decoder = tokenizers.decoders.ByteLevel()
        return library.to_str()

    def _content(self) -> dict[str, Any]:
        return {"merges": [list(pair) for pair in self.merges]}


def check_tokenizer_name(name: str) -> None:
    """Raise TinyLMError unless `name` is 'characters' or 'bpe-K' with K of 257 or more."""
    if name != "characters":
        _bpe_size(name)


def train_tokenizer(name: str, texts: Sequence[str]) -> Tokenizer:
    """Train the tokenizer called `name` on `texts`; the same texts give the same tokenizer.

    Raises:
        TinyLMError: unknown name, or too little text for a vocabulary of that size.
    """
    if name == "characters":
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text)
        frequent = (c for c, count in counts.items() if count >= MIN_CHARACTER_COUNT)
        return CharacterTokenizer("".join(sorted(c for c in frequent if not c.isascii())))
    size = _bpe_size(name)
    trained = BytePairTokenizer(name, _train_merges(size, texts))
    if trained.vocab_size != size:
        raise TooFewWords(
            f"tokenizer {name!r}: the corpus holds words for only {trained.vocab_size} tokens; "
            f"expected a vocabulary of at most that many"
        )
    return trained


def load_tokenizer(
    path: Path, advice: str = "delete it and run `make data` to make it again"
) -> Tokenizer:
    """Read what `save` wrote.

    Raises:
        TinyLMError: the file is missing, damaged or of another format; the sentence ends with the
            advice.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"tokenizer file {path} cannot be read ({reason}); {advice}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BadInput(f"file {path} is no tokenizer: expected the format {FORMAT!r}; {advice}")
    stated = document.pop("sha256", None)
    if document.get("version") != FORMAT_VERSION or stated != _checksum(document):
        raise Damaged(
            f"tokenizer file {path} is damaged or of another version (its checksum does not "
            f"match); {advice}"
        )
    if document["name"] == "characters":
        return CharacterTokenizer(document["characters"])
    return BytePairTokenizer(document["name"], [(a, b) for a, b in document["merges"]])


def _bpe_size(name: str) -> int:
    match = re.fullmatch(r"bpe-([0-9]{1,18})", name)
    if match is None or not FIRST_PIECE <= int(match[1]) <= LARGEST_VOCABULARY:
        raise BadInput(
            f"unknown tokenizer {name!r}: expected 'characters', or 'bpe-K' with a vocabulary K "
            f"of {FIRST_PIECE} (all bytes and the special token) to {LARGEST_VOCABULARY}"
        )
    return int(match[1])


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadInput(
            f"text {text[:20]!r} holds half a surrogate pair; expected valid Unicode"
        ) from None


def _checksum(document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _byte_alphabet() -> list[str]:
    """GPT-2's printable stand-in for each byte: itself if it prints, else a letter from U+0100."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    stand_ins = iter(range(0x100, 0x200))
    return [chr(b) if b in printable else chr(next(stand_ins)) for b in range(256)]


def _library_tokenizer(
    pieces: Sequence[bytes], merges: Sequence[tuple[int, int]]
) -> tokenizers.Tokenizer:
    """The `tokenizers` library's encoder. It is not told of the special token: text that happens
    to contain its name must be encoded as any other text.
    """
    alphabet = _byte_alphabet()
    spelled = [SPECIAL, *("".join(alphabet[byte] for byte in p) for p in pieces[FIRST_BYTE:])]
    vocabulary = {piece: i for i, piece in enumerate(spelled)}
    pairs = [(spelled[left], spelled[right]) for left, right in merges]
    return tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=pairs))


def _pre_tokenizer(texts: Sequence[str]) -> tokenizers.pre_tokenizers.PreTokenizer:
    """GPT-2's split into words, and a cut of long ones where some text may have such: it changes no
    shorter one, but takes time.
    """
    words = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    if not any(map(LONG_RUN.search, texts)):
        return words
    pattern = tokenizers.Regex(f".{{1,{LONGEST_WORD}}}")
    cut = tokenizers.pre_tokenizers.Split(pattern, behavior="isolated")
    return tokenizers.pre_tokenizers.Sequence([words, cut])


def _train_merges(vocab_size: int, texts: Sequence[str]) -> list[tuple[int, int]]:
    """The merges that the `tokenizers` library's trainer finds, as pairs of our ids."""
    alphabet = _byte_alphabet()
    library = tokenizers.Tokenizer(tokenizers.models.BPE())
    library.pre_tokenizer = _pre_tokenizer(texts)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[SPECIAL],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    library.train_from_iterator(texts, trainer)
    ids = {letter: FIRST_BYTE + byte for byte, letter in enumerate(alphabet)}
    merges: list[tuple[int, int]] = []
    for left, right in json.loads(library.to_str())["model"]["merges"]:
        merges.append((ids[left], ids[right]))
        ids.setdefault(left + right, len(ids) + FIRST_BYTE)
    return merges
