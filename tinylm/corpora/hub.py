"""Corpora from the Hugging Face hub, or from a local folder in the hub's layout.

`TINYLM_HUB_MIRROR=/some/folder` names a folder with `<owner>/<name>/...` as on the hub, for
machines that cannot reach it. Everything is read by the `datasets` library, as a stream: of very
large data sets only the first `MAX_DOCUMENTS` are taken.
"""

import os
import re
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from tinylm.corpora.documents import Corpus, Split, build_corpus
from tinylm.errors import BadInput, Missing, TinyLMError
from tinylm.extras import needs

VERSION = "1"
MAX_DOCUMENTS: dict[Split, int] = {"train": 200_000, "validation": 5_000}
PROBE_SECONDS = 3.0
STORY_END = "<|endoftext|>"
T = TypeVar("T")
ADVICE = "set TINYLM_HUB_MIRROR to a folder that holds it, or use the corpus 'fables'"


def as_they_are(rows: Iterable[str]) -> Iterator[str]:
    """A row is a document."""
    yield from rows


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
    splits: dict[Split, str]  # our split: the hub's
    folder: str = ""  # sub-folder of the repository that holds this configuration
    text_files: dict[Split, str] | None = None  # on the hub: plain text files, not parquet
    mirror_repository: str = ""  # in a mirror: parquet whose rows are documents
    documents: Callable[[Iterable[str]], Iterator[str]] = as_they_are  # from the hub's rows


_SAME_SPLITS: dict[Split, str] = {"train": "train", "validation": "validation"}
SOURCES = {
    "tinystories": Source(
        title="TinyStories (Eldan and Li 2023)",
        licence="CDLA-Sharing-1.0",
        repository="roneneldan/TinyStories",
        splits=_SAME_SPLITS,
    ),
    "tinystories-v2": Source(
        title="TinyStories V2, written by GPT-4 only (Eldan and Li 2023)",
        licence="CDLA-Sharing-1.0",
        repository="roneneldan/TinyStories",
        splits=_SAME_SPLITS,
        text_files={
            "train": "TinyStoriesV2-GPT4-train.txt",
            "validation": "TinyStoriesV2-GPT4-valid.txt",
        },
        mirror_repository="roneneldan/TinyStories-V2",
        documents=split_stories,
    ),
    "ag_news": Source(
        title="AG News (Zhang, Zhao and LeCun 2015); validation is its test split",
        licence="non-commercial research use",
        repository="fancyzhx/ag_news",
        splits={"train": "train", "validation": "test"},
    ),
    "wikitext-2": Source(
        title="WikiText-2, lines joined into articles (Merity et al. 2017)",
        licence="CC BY-SA 3.0",
        repository="Salesforce/wikitext",
        splits=_SAME_SPLITS,
        folder="wikitext-2-v1",
        documents=join_articles,
    ),
}


def load(name: str) -> Corpus:
    """Load the hub corpus `name` from the mirror if one is named, else from the hub.

    With HF_HUB_OFFLINE set, only what the `datasets` library has cached is read.

    Raises:
        TinyLMError: mirror or cache without the data set, or a hub that cannot be reached (known
            within `PROBE_SECONDS`).
    """
    source = SOURCES[name]
    documents = source.documents
    mirror = os.environ.get("TINYLM_HUB_MIRROR")
    if mirror:
        origin, revision = "mirror", None
        where = f"the mirror (TINYLM_HUB_MIRROR={mirror})"
        open_split = _mirror_opener(source, Path(mirror))
        if source.mirror_repository:
            documents = as_they_are
    elif os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        origin, revision = "local cache", None
        where = "the local cache (HF_HUB_OFFLINE is set)"
        open_split = _hub_opener(source, None, streaming=False)
    else:
        _probe_hub(name)
        origin = "hub"
        where = "the hub"
        revision = _reading(name, where, lambda: _hub_revision(source))
        open_split = _hub_opener(source, revision, streaming=True)
    train, validation = (
        _reading(name, where, partial(_first_documents, documents, open_split, split))
        for split in MAX_DOCUMENTS
    )
    provenance = {
        "title": source.title,
        "source": f"https://huggingface.co/datasets/{source.repository}",
        "licence": source.licence,
        "origin": origin,
        "revision": revision,
        "limits": dict(MAX_DOCUMENTS),
    }
    return build_corpus(name, VERSION, train, validation, provenance)


def _first_documents(
    documents: Callable[[Iterable[str]], Iterator[str]],
    open_split: Callable[[Split], Any],
    split: Split,
) -> list[str]:
    """The first documents of a split, at most `MAX_DOCUMENTS`."""
    return list(islice(documents(row["text"] for row in open_split(split)), MAX_DOCUMENTS[split]))


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


def _hub_opener(source: Source, revision: str | None, *, streaming: bool) -> Callable[[Split], Any]:
    def open_split(split: Split) -> Any:
        return _load_dataset(
            source.repository,
            source.folder or None,
            data_files={split: source.text_files[split]} if source.text_files else None,
            split=split if source.text_files else source.splits[split],
            revision=revision,
            streaming=streaming,
        )

    return open_split


def _load_dataset(*args: Any, **kwargs: Any) -> Any:
    with needs("hub"):
        import datasets  # takes a second: only when a hub corpus is asked for

    return datasets.load_dataset(*args, **kwargs)


def _hub_revision(source: Source) -> str | None:
    with needs("hub"):
        import huggingface_hub

    return huggingface_hub.HfApi().dataset_info(source.repository, timeout=10).sha


def _reading(name: str, where: str, read: Callable[[], T]) -> T:
    """Call `read`; whatever goes wrong inside the libraries becomes one sentence."""
    try:
        return read()
    except TinyLMError:
        raise
    except Exception as error:  # a dozen kinds: network, cache, format, missing split
        lines = str(error).splitlines() or [type(error).__name__]
        raise BadInput(
            f"corpus {name!r} cannot be read from {where}: {lines[0].rstrip('.')}; {ADVICE}"
        ) from error


def _probe_hub(name: str) -> None:
    """Fail early if the hub does not answer: the libraries would try for half a minute."""
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    answered = threading.Event()

    def ask() -> None:
        try:
            request = urllib.request.Request(endpoint, method="HEAD")
            urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()
            answered.set()
        except urllib.error.HTTPError:
            answered.set()  # any answer will do
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                answered.set()  # the libraries bring their own certificates
        except (OSError, ValueError):
            pass

    asking = threading.Thread(target=ask, daemon=True)  # a name server may hang longer than urlopen
    asking.start()
    asking.join(PROBE_SECONDS)
    if not answered.is_set():
        raise Missing(f"corpus {name!r}: the hub at {endpoint} cannot be reached; {ADVICE}")
