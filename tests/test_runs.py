"""Runs that are compared were judged on the same documents, and so was what stands beside them."""

from pathlib import Path

import pytest
from tiny_runs import SMOKE, tiny_config

from tinylm.corpora.token_files import prepare
from tinylm.errors import BadInput
from tinylm.ngrams import ngram_floors
from tinylm.studies.runs import evaluation_of
from tinylm.studies.size import ngram_baselines
from tinylm.texts import recorded_text
from tinylm.train import train


def test_counting_is_judged_on_the_documents_of_the_runs(project: Path) -> None:
    whole = train(tiny_config(), 0, store=SMOKE)
    few = train(tiny_config(evaluation={"final_tokens": 4_000}), 0, store=SMOKE)
    assert few.run_id != whole.run_id
    assert few.validation is not None
    assert whole.validation is not None
    data = prepare("fables", "bpe-512")
    judged = data.evaluated(few.config.evaluation)
    assert few.validation.tokens == judged.n_tokens <= 4_000 < whole.validation.tokens
    floors = ngram_baselines(SMOKE, recorded_text(few), (1, 2), evaluation_of([few]))
    assert floors == ngram_floors(data.train, judged, (1, 2))
    every = ngram_baselines(SMOKE, recorded_text(whole), (1, 2), evaluation_of([whole]))
    assert every == ngram_floors(data.train, data.validation, (1, 2)) != floors
    with pytest.raises(BadInput, match=r"cannot be compared: evaluation\.final_tokens is"):
        evaluation_of([whole, few])
