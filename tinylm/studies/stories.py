"""One story with what each character could cost and did, and the colours that show it."""

from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from tinylm.corpora.fables import document, information
from tinylm.corpora.token_files import prepare
from tinylm.model import GPT
from tinylm.store import Store
from tinylm.studies.cuts import FablesStudy
from tinylm.studies.floor import Floats
from tinylm.studies.kept import measured_once, read_kept
from tinylm.tokenizers import END_OF_TEXT, Tokenizer

STORY = 0  # the validation document that is shown
SHADES = 6  # of the colours of a story
BLUE, VERMILION, GREEN = "0, 114, 178", "213, 94, 0", "0, 158, 115"


@torch.inference_mode()
def character_losses(text: str, tokenizer: Tokenizer, model: GPT) -> Floats:
    """Nats that a trained model pays for each character of a document: those of its token, in equal
    shares. The closing token is left out.
    """
    ids = tokenizer.encode(text)
    tokens = torch.tensor([END_OF_TEXT, *ids], device=next(model.parameters()).device)
    logits = model(tokens[None, :-1])[0]
    nats = F.cross_entropy(logits, tokens[1:], reduction="none").double().cpu().numpy()
    lengths = np.array([len(tokenizer.token_text(token)) for token in ids])
    return np.repeat(nats / lengths, lengths)


def story(store: Store) -> dict[str, Any] | None:
    """One validation document with the exact information and the largest model's loss, character by
    character, as `measure_story` has measured them; None if it has not.

    Raises:
        Damaged: the file that keeps it is damaged.
    """
    return read_kept(store.folder / "floors" / "fables-story.json")


def measure_story(study: FablesStudy) -> None:
    """Measure the story if the weights of the largest model are here; keep it beside the records.

    Raises:
        Damaged: the file that keeps it is damaged, or the model is.
        CannotWrite: the disk is full.
    """
    done = [record for record in study.records if record.validation is not None]
    if not done:
        return
    best = min(done, key=lambda one: (-one.parameters.non_embedding, -one.tokens, one.seed))
    if not study.store.model_dir(best.run_id).is_dir():
        return

    def measure() -> dict[str, Any]:
        data = prepare("fables", best.config.data.tokenizer)
        text = document("validation", STORY)
        model, _ = study.store.load_model(best)
        losses = character_losses(text, data.tokenizer, model)
        return {
            "n_non_embedding": best.parameters.non_embedding,
            "tokens": best.tokens,
            "text": text,
            "floor": information(text).round(4).tolist(),
            "loss": losses.round(4).tolist(),
        }

    path = study.store.folder / "floors" / "fables-story.json"
    measured_once(path, {"run_id": best.run_id}, measure)


def coloured(text: str, nats: Floats, colour: str) -> str:
    """HTML of a text whose background is the stronger, the more nats a character has (len(text)).

    `colour` is red, green and blue, as CSS wants them: "0, 114, 178".
    """
    levels = np.minimum(SHADES, np.round(4 * np.sqrt(nats))).astype(int)
    cuts = [0, *(np.flatnonzero(np.diff(levels)) + 1).tolist(), len(text)]
    spans = []
    for begin, end in pairwise(cuts):
        piece, level = escape(text[begin:end]), levels[begin]
        shade = f"background: rgba({colour}, {level / 10:.1f})"
        spans.append(f'<span style="{shade}">{piece}</span>' if level else piece)
    style = "white-space: pre-wrap; line-height: 1.7; max-height: 30rem; overflow: auto"
    return (
        f'<div style="{style}" tabindex="0" role="region" aria-label="Story">{"".join(spans)}</div>'
    )


def story_views(told: dict[str, Any]) -> dict[str, str]:
    """The three ways to colour a story, by what they show."""
    floor, loss = np.array(told["floor"]), np.array(told["loss"])
    return {
        "what cannot be foreseen": coloured(told["text"], floor, BLUE),
        "what the model pays": coloured(told["text"], loss, VERMILION),
        "what it has not learnt": coloured(told["text"], np.maximum(0, loss - floor), GREEN),
    }


def story_words(told: dict[str, Any] | None) -> str:
    """What the story costs, in a sentence."""
    if told is None:
        return "No model of this profile has been kept, so there is no story to colour yet."
    return (
        f"The model has {told['n_non_embedding']:,} parameters and read {told['tokens']:,} tokens. "
        f"The story costs {sum(told['floor']):.0f} nats at the floor; the model pays "
        f"{sum(told['loss']):.0f}."
    )
