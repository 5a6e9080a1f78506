"""Corpora from the Hugging Face hub, or from a local folder in the hub's layout.

`TINYLM_HUB_MIRROR=/some/folder` names a folder with `<owner>/<name>/...` as on the hub, for
machines that cannot reach it. Everything is read by the `datasets` library, as a stream.

A corpus is the documents that its selection names, wherever they stand in the data set, so that it
is the same text for everybody. Of `<corpus>-all` the first `MAX_DOCUMENTS` of the data set are
taken, whatever these are.
"""

import os
import re
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from tinylm.corpora.address import Address
from tinylm.corpora.documents import Corpus, Split, build_corpus
from tinylm.corpora.own_text import held_out
from tinylm.corpora.reading import texts_of_rows
from tinylm.corpora.selection import read_selection, whole_of
from tinylm.errors import BadInput, CannotWrite, Missing, TinyLMError
from tinylm.extras import needs
from tinylm.files import check_writable

VERSION = "1"
MAX_DOCUMENTS: dict[Split, int] = {"train": 200_000, "validation": 5_000}
PROBE_SECONDS = 3.0
STORY_END = "<|endoftext|>"
T = TypeVar("T")
ADVICE = "set TINYLM_HUB_MIRROR to a folder that holds it, or use the corpus 'fables'"


def as_they_are(rows: Iterable[str]) -> Iterator[str]:
    """A row is a document."""
    yield from rows


def tidy_story(story: str) -> str:
    """A story with one blank between words and one line break between paragraphs, as mirrors of
    TinyStories have it; the hub's files have blank lines there.
    """
    return "\n".join(" ".join(line.split()) for line in story.splitlines() if line.strip())


def split_stories(lines: Iterable[str]) -> Iterator[str]:
    """Stories from the lines of a text file in which <|endoftext|> ends a story."""
    story: list[str] = []
    for line in lines:
        *endings, rest = line.split(STORY_END)
        for ending in endings:
            yield "\n".join([*story, ending])
            story = []
        if story or rest:
            story.append(rest)
    if story:
        yield "\n".join(story)


def join_articles(lines: Iterable[str]) -> Iterator[str]:
    """Articles from WikiText's lines: one begins at each top-level heading ' = Title = '.

    Such a heading stands between blank lines; equations and table keys that look like one do not.
    """
    article: list[str] = []
    held: str | None = None  # a heading, if the next line is blank
    for line in lines:
        if held is not None:
            if not line.strip():
                if article:
                    yield "".join(article)
                article = []
            article.append(held)
            held = None
        after_blank = not article or not article[-1].strip()
        if after_blank and re.fullmatch(r"= [^=].* =", line.strip()):
            held = line
        elif article or line.strip():
            article.append(line or "\n")
    yield "".join([*article, held or ""])


@dataclass(frozen=True)
class Source:
    """Where a data set is and how its rows become documents."""

    title: str
    licence: str
    repository: str
    revision: str  # commit of the data set on the hub that is read
    splits: dict[Split, str]  # our split: the hub's
    file: str  # a small one of its data files on the hub, to see whether the hub answers
    folder: str = ""  # sub-folder of the repository that holds this configuration
    text_files: dict[Split, str] | None = None  # on the hub: plain text files, not parquet
    mirror_repository: str = ""  # in a mirror: parquet whose rows are documents
    documents: Callable[[Iterable[str]], Iterator[str]] = as_they_are  # from the hub's rows
    tidy: Callable[[str], str] = str.strip  # the white space of a document


_STORIES = "f54c09fd23315a6f9c86f9dc80f725de7d8f9c64"
_SAME_SPLITS: dict[Split, str] = {"train": "train", "validation": "validation"}
SOURCES = {
    "tinystories": Source(
        title="TinyStories (Eldan and Li 2023)",
        licence="CDLA-Sharing-1.0",
        repository="roneneldan/TinyStories",
        revision=_STORIES,
        splits=_SAME_SPLITS,
        file="data/validation-00000-of-00001-869c898b519ad725.parquet",
        tidy=tidy_story,
    ),
    "tinystories-v2": Source(
        title="TinyStories V2, written by GPT-4 only (Eldan and Li 2023)",
        licence="CDLA-Sharing-1.0",
        repository="roneneldan/TinyStories",
        revision=_STORIES,
        splits=_SAME_SPLITS,
        file="TinyStoriesV2-GPT4-valid.txt",
        text_files={
            "train": "TinyStoriesV2-GPT4-train.txt",
            "validation": "TinyStoriesV2-GPT4-valid.txt",
        },
        mirror_repository="roneneldan/TinyStories-V2",
        documents=split_stories,
        tidy=tidy_story,
    ),
    "ag_news": Source(
        title="AG News (Zhang, Zhao and LeCun 2015); validation is its test split",
        licence="non-commercial research use",
        repository="fancyzhx/ag_news",
        revision="eb185aade064a813bc0b7f42de02595523103ca4",
        splits={"train": "train", "validation": "test"},
        file="data/test-00000-of-00001.parquet",
    ),
    "wikitext-2": Source(
        title="WikiText-2, lines joined into articles (Merity et al. 2017)",
        licence="CC BY-SA 3.0",
        repository="Salesforce/wikitext",
        revision="b08601e04326c79dfdd32d625aee71d232d685c3",
        splits=_SAME_SPLITS,
        file="wikitext-2-v1/test-00000-of-00001.parquet",
        folder="wikitext-2-v1",
        documents=join_articles,
    ),
}


ALL = {whole_of(name): source for name, source in SOURCES.items()}


@dataclass(frozen=True)
class _Opened:
    """A data set that is being read."""

    origin: str
    where: str  # for sentences
    revision: str | None  # None: a mirror does not tell, and of a cache the latest is taken
    documents: Callable[[Split], Iterator[str]]  # of a split, in order, with their white space tidy

    def first_documents(self) -> dict[Split, list[str]]:
        """The first documents of both splits, at most `MAX_DOCUMENTS`."""
        return {split: list(islice(self.documents(split), n)) for split, n in MAX_DOCUMENTS.items()}

    def every(self) -> Iterator[str]:
        """Every document of both splits, those of the small one first."""
        return chain(self.documents("validation"), self.documents("train"))


def load(name: str) -> Corpus:
    """Load the hub corpus `name` from the mirror if one is named, else from the hub.

    With HF_HUB_OFFLINE set, only what the `datasets` library has cached is read.

    Raises:
        TinyLMError: mirror or cache without the data set or without a document of the selection; a
            hub that cannot be reached (known within `PROBE_SECONDS`).
    """
    source = (SOURCES | ALL)[name]
    selection = None if name in ALL else read_selection(name)
    opened = _open(name, source)
    provenance: dict[str, Any] = {
        "title": source.title,
        "source": f"https://huggingface.co/datasets/{source.repository}",
        "licence": source.licence,
        "origin": opened.origin,
        "revision": opened.revision,
    }
    if selection is None:
        taken = _reading(name, opened.where, opened.first_documents)
        provenance["limits"] = dict(MAX_DOCUMENTS)
        return build_corpus(name, VERSION, taken["train"], taken["validation"], provenance)
    taken = _reading(name, opened.where, lambda: selection.pick(opened.every(), opened.where))
    corpus = build_corpus(name, VERSION, taken["train"], taken["validation"], provenance)
    selection.check_text(corpus.provenance["sha256"])
    return corpus


def load_any(name: str, address: Address) -> Corpus:
    """Load a data set of the hub that is no corpus of this package: the first documents of a split,
    a share of them for validation, as of one's own text.

    Raises:
        TinyLMError: as `load`; a split, configuration or column that it has not.
    """
    place, options = address.place, address.options
    mirror = os.environ.get("TINYLM_HUB_MIRROR")
    where, folder = f"the hub ({place})", place
    if mirror:
        folder = str((Path(mirror) / place).resolve())
        where = f"the mirror (TINYLM_HUB_MIRROR={mirror})"
        if not Path(folder).is_dir():
            raise BadInput(f"TINYLM_HUB_MIRROR {mirror!r} lacks the data set {place!r}")
    elif not _is_offline():
        _probe_hub(name, [f"/datasets/{place}/resolve/main/README.md", f"/api/datasets/{place}"])
    rows = _reading(
        name,
        where,
        lambda: _load_dataset(
            folder, options.get("config"), split=options.get("split", "train"), streaming=True
        ),
    )
    limit = sum(MAX_DOCUMENTS.values())
    texts = texts_of_rows(rows, f"data set {place!r}", options.get("column"))
    documents = _reading(name, where, lambda: list(islice(texts, limit)))
    train, validation = held_out(documents)
    if not train or not validation:
        raise BadInput(f"data set {place!r} has {len(documents)} documents; expected some dozens")
    provenance: dict[str, Any] = {
        "title": place,
        "source": f"https://huggingface.co/datasets/{place}",
        "licence": "as its card says",
        "origin": "mirror" if mirror else "hub",
        "revision": None,
        "limits": {"documents": limit},
    }
    return build_corpus(name, VERSION, train, validation, provenance)


def _open(name: str, source: Source) -> _Opened:
    """The data set, where it is to be read from."""
    documents = source.documents
    revision: str | None = None
    mirror = os.environ.get("TINYLM_HUB_MIRROR")
    if mirror:
        origin = "mirror"
        where = f"the mirror (TINYLM_HUB_MIRROR={mirror})"
        open_split = _mirror_opener(source, Path(mirror))
        if source.mirror_repository:
            documents = as_they_are
    elif _is_offline():
        origin = "local cache"
        where = "the local cache (HF_HUB_OFFLINE is set)"
        open_split = _hub_opener(source, streaming=False)
    else:
        _probe_hub(name, _asked_of_hub(source))
        origin, revision = "hub", source.revision
        where = f"the hub ({source.repository} at revision {source.revision[:7]})"
        open_split = _hub_opener(source, streaming=True)

    def documents_of(split: Split) -> Iterator[str]:
        rows = _texts(open_split(split), f"corpus {name!r}: {split} row")
        yield from map(source.tidy, documents(rows))

    return _Opened(origin, where, revision, documents_of)


def _texts(rows: Iterable[Mapping[str, Any]], what: str) -> Iterator[str]:
    """The text of each row; that of a row without one is empty, and will be dropped as such."""
    for i, row in enumerate(rows):
        if "text" not in row:
            raise BadInput(f"{what} {i} has no column 'text', only {', '.join(row)}")
        text = row["text"]
        if not isinstance(text, str | None):
            kind = type(text).__name__
            raise BadInput(
                f"{what} {i} holds {str(text)[:40]!r}, which is of type {kind}, in its column "
                f"'text'; expected text"
            )
        yield text or ""


def _mirror_opener(source: Source, mirror: Path) -> Callable[[Split], Any]:
    repository = source.mirror_repository or source.repository
    folder = mirror / repository / source.folder
    if not folder.is_dir():
        raise BadInput(
            f"TINYLM_HUB_MIRROR {str(mirror)!r} lacks the data set {repository!r}: expected a "
            f"folder {str(Path(repository, source.folder))!r} in it; or use the corpus 'fables'"
        )
    return lambda split: _load_dataset(
        str(folder.resolve()), split=source.splits[split], streaming=True
    )


def _hub_opener(source: Source, *, streaming: bool) -> Callable[[Split], Any]:
    def open_split(split: Split) -> Any:
        return _load_dataset(
            source.repository,
            source.folder or None,
            data_files={split: source.text_files[split]} if source.text_files else None,
            split=split if source.text_files else source.splits[split],
            revision=source.revision,
            streaming=streaming,
        )

    return open_split


def _load_dataset(*args: Any, **kwargs: Any) -> Any:
    with needs("hub"):
        import datasets  # takes a second: only when a hub corpus is asked for

    return datasets.load_dataset(*args, **kwargs)


def _reading(name: str, where: str, read: Callable[[], T]) -> T:
    """Call `read`; whatever goes wrong inside the libraries becomes one sentence."""
    try:
        return read()
    except TinyLMError:
        raise
    except Exception as error:  # a dozen kinds: network, cache, format, missing split
        if isinstance(error, OSError):
            _check_cache(name)
        lines = str(error).splitlines() or [type(error).__name__]
        raise BadInput(
            f"corpus {name!r} cannot be read from {where}: {lines[0].rstrip('.')}; {ADVICE}"
        ) from error


def _check_cache(name: str) -> None:
    """Tell if the cause is that the library cannot write its cache, which it does for mirrors too.

    Raises:
        TinyLMError: it cannot.
    """
    with needs("hub"):
        import datasets

    folder = Path(datasets.config.HF_DATASETS_CACHE)
    try:
        check_writable(folder)
    except CannotWrite as error:
        reason = getattr(error.__cause__, "strerror", None) or error.__cause__
        raise CannotWrite(
            f"corpus {name!r} cannot be read: the `datasets` library cannot write its cache, the "
            f"folder {folder} ({reason}); name a writable one with HF_HOME"
        ) from error


def _is_offline() -> bool:
    """Whether only what is cached is to be read."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def _asked_of_hub(source: Source) -> list[str]:
    """What the libraries will ask the hub for."""
    data_set, revision = f"datasets/{source.repository}", source.revision
    return [
        f"/{data_set}/resolve/{revision}/README.md",
        f"/api/{data_set}/revision/{revision}",
        f"/api/{data_set}/tree/{revision}",
        f"/{data_set}/resolve/{revision}/{source.file}",
    ]


def _probe_hub(name: str, asked: Iterable[str]) -> None:
    """Fail early if the hub does not answer, or answers and then hangs on what will be asked of it:
    the libraries would try for half a minute.
    """
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    paths = {"/", *asked}
    answered: set[str] = set()

    def ask(path: str) -> None:
        try:
            request = urllib.request.Request(endpoint + path, headers={"Range": "bytes=0-0"})
            urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()
            answered.add(path)
        except urllib.error.HTTPError:
            answered.add(path)  # any answer will do
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                answered.add(path)  # the libraries bring their own certificates
        except (OSError, ValueError):
            pass

    # Threads, for a name server may hang longer than urlopen.
    asking = [threading.Thread(target=ask, args=(path,), daemon=True) for path in paths]
    for thread in asking:
        thread.start()
    deadline = time.monotonic() + PROBE_SECONDS
    for thread in asking:
        thread.join(max(0.0, deadline - time.monotonic()))
    if not answered:
        raise Missing(f"corpus {name!r}: the hub at {endpoint} cannot be reached; {ADVICE}")
    if silent := sorted(paths - answered):
        raise Missing(
            f"corpus {name!r}: the hub at {endpoint} does not answer when asked for {silent[0]}; "
            f"{ADVICE}"
        )
