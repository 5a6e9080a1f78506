"""Laws of kinds of word are found as planted, and their sum foresees what one law does not."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted import planted_records, planted_store

from tinylm.corpora.fables import VERSION
from tinylm.errors import Missing
from tinylm.studies import kinds as study
from tinylm.studies import kinds_words as words
from tinylm.studies.findings import computing_findings
from tinylm.studies.kinds import WHOLE, KindsStudy, fit_kinds, kinds_study
from tinylm.studies.marking import DOCUMENTS, KINDS, Words
from tinylm.sweeps.declare import expand, load_experiment

FLOORS = dict(zip(KINDS, (5.0, 25.0, 2.0, 420.0), strict=True))
CEILINGS = dict.fromkeys(KINDS, 5e4) | {WHOLE: 2e5}
# A, alpha, B, beta of what each kind costs above its floor, in nats per document.
LAWS = dict(
    zip(
        KINDS,
        ((4e4, 0.7, 6e6, 0.8), (60.0, 0.2, 90.0, 0.2), (9e2, 0.2, 2e3, 0.2), (2e4, 0.45, 3e5, 0.5)),
        strict=True,
    )
)


def planted(noise: float = 0.003) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for width in (12, 24, 48, 96, 192):
        for tokens in (250_000, 500_000, 1_000_000, 2_000_000, 4_000_000):
            for seed in range(3):
                n = 24 * width**2
                row: dict[str, float] = {"N": n, "D": tokens, "asked": tokens, "seed": seed}
                for kind, (a, alpha, b, beta) in LAWS.items():
                    true = FLOORS[kind] + a / n**alpha + b / tokens**beta
                    row[kind] = true * np.exp(noise * rng.standard_normal())
                rows.append(row | {"C": 6.0 * n * tokens, "run_id": f"{width}-{tokens}-{seed}"})
    runs = pd.DataFrame(rows)
    return runs.assign(**{WHOLE: runs[list(KINDS)].sum(axis=1)})


@pytest.fixture(scope="module")
def found() -> KindsStudy:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "N_RESAMPLES", 40)
        runs, floors = planted(), FLOORS | {WHOLE: sum(FLOORS.values())}
        return KindsStudy(runs, floors, CEILINGS, **fit_kinds(runs, floors, CEILINGS))


def test_each_kind_has_its_own_exponents(found: KindsStudy) -> None:
    for kind, (_, alpha, _, beta) in LAWS.items():
        law = found.fits[kind]["sum"]
        assert pytest.approx(FLOORS[kind]) == law.surface.E
        assert law.surface.alpha == pytest.approx(alpha, abs=0.05)
        assert law.surface.beta == pytest.approx(beta, abs=0.05)
        assert law.misfit < 2
        assert found.best(kind) in found.fits[kind].values()


def test_the_sum_foresees_what_one_law_cannot(found: KindsStudy) -> None:
    errors = found.hidden[["whole", "summed"]].abs().max()
    assert errors["summed"] < 0.01
    assert errors["summed"] < errors["whole"]
    assert f"{100 * errors['summed']:.1f}" in words.hidden_said(found)
    assert len(words.hidden_table(found)) == len(found.hidden)


def test_tables_and_sentences_name_every_kind(found: KindsStudy) -> None:
    assert list(words.laws_table(found).index) == [*KINDS, WHOLE]
    assert "E fitted as well" in words.floor_said(found)
    assert "A law holds for told before, new names, new facts" in words.laws_said(found)


def test_runs_that_were_not_measured_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = expand(load_experiment("fables_grid"), "paper")
    records = planted_records(runs, lambda record, tokens: 2.0 + 1e3 / tokens**0.5)
    store = planted_store(tmp_path, records, monkeypatch, "paper")
    with pytest.raises(Missing, match=f"what {len(runs)} models pay for kinds of word"):
        kinds_study(store)
    table = planted().set_index("run_id")[list(KINDS)]
    paid = dict(zip((run.run_id for run in runs), table.to_numpy().tolist() * 2, strict=False))
    path = store.folder / "floors" / "fables-kinds.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {"version": VERSION, "documents": DOCUMENTS["paper"], "kinds": list(KINDS)}
    kept["ceiling"] = [CEILINGS[kind] for kind in KINDS]
    path.write_text(json.dumps({**kept, "models": paid}))
    floor = Words(np.array(list(FLOORS.values())), np.array([1]))
    monkeypatch.setattr(study, "words_of", lambda *_: floor)
    monkeypatch.setattr(study, "N_RESAMPLES", 2)
    with computing_findings():
        made = kinds_study(store)
    assert len(made.runs) == len(runs)
    assert made.floors[WHOLE] == sum(FLOORS.values())
    assert kinds_study(store).floors == made.floors  # read, not computed again
