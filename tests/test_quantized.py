"""Models are measured once, where their weights are, and read everywhere."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_runs import SMOKE, tree

from tinylm.errors import BadInput, Missing
from tinylm.studies import quantized as study
from tinylm.studies.quantized import (
    BITS,
    GPTQ,
    ROW,
    costs_table,
    measure_quantized,
    precision_law,
    precision_said,
    quantized,
)
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.train import train


@pytest.mark.filterwarnings("ignore:Mismatch dtype")  # torch on a kernel it does not use
def test_a_model_is_measured_once_and_read_without_its_weights(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = expand(load_experiment("grid"), "smoke")[0]
    monkeypatch.setattr(study, "expand", lambda *_: [run])
    with pytest.raises(Missing, match="1 of 1 runs have no record"):
        quantized(SMOKE)
    record = train(run.config, run.seed, store=SMOKE)
    with pytest.raises(Missing, match="what few bits cost 1 models of grid was not measured"):
        quantized(SMOKE)
    measure_quantized(SMOKE)
    before = tree(project)
    measure_quantized(SMOKE)
    assert tree(project) == before
    shutil.rmtree(SMOKE.model_dir(record.run_id))
    table = quantized(SMOKE)
    assert len(table) == 3 * len(BITS)
    assert (table["N"] == record.parameters.non_embedding).all()
    by_bits = table[table["method"] == ROW].set_index("bits")
    off = by_bits["loss"] - by_bits["plain"]
    assert abs(off[8]) < 0.01
    assert off[2] > abs(off[8])
    assert by_bits["bytes"].is_monotonic_decreasing
    gptq = table[table["method"] == GPTQ].set_index("bits")
    assert (gptq["bytes"] >= by_bits["bytes"]).all()  # as many steps are stored, or more


def test_models_that_are_not_here_are_left_out(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = expand(load_experiment("grid"), "smoke")[:2]
    monkeypatch.setattr(study, "expand", lambda *_: runs)
    records = [train(run.config, run.seed, store=SMOKE) for run in runs]
    shutil.rmtree(SMOKE.model_dir(records[0].run_id))
    measure_quantized(SMOKE)
    kept = json.loads((SMOKE.folder / "measured" / "quantized-grid.json").read_text())
    assert set(kept["models"]) == {records[1].run_id}


def planted_costs(by_d: float, by_n: float, scale: float) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for n in (1e4, 1e5, 1e6):
        for d in (5e5, 2e6):
            for seed in range(3):
                for bits in BITS:
                    cost = 3 * d**by_d * n**-by_n * np.exp(-bits / scale + rng.normal(0, 0.05))
                    rows.append(
                        {"run_id": f"{n}{d}{seed}", "N": n, "D": d, "asked": d, "method": ROW}
                        | {"bits": bits, "plain": 2.0, "loss": 2.0 * (1 + cost)}
                    )
    return pd.DataFrame(rows)


def test_a_planted_law_of_precision_is_found() -> None:
    law = precision_law(planted_costs(0.3, 0.2, 0.7), ROW)
    for (value, low, high), true in ((law.by_d, 0.3), (law.by_n, 0.2), (law.scale, 0.7)):
        assert low < value < high
        assert abs(value - true) < high - low
    assert law.scatter == pytest.approx(0.05, rel=0.3)
    assert law.runs == 18
    said = precision_said(law)
    assert said.startswith(
        f"Of 18 models: each bit less makes the cost {np.exp(1 / law.scale[0]):.1f}"
    )
    assert "with text it grows as the power 0.3" in said
    assert "with size it falls as the power 0.2" in said
    none = precision_said(precision_law(planted_costs(0.0, -0.2, 0.7), ROW))
    assert "which may be nothing" in none
    assert "with size it grows as the power 0.2" in none
    with pytest.raises(BadInput, match="method 'x': expected runs of three sizes or amounts"):
        precision_law(planted_costs(0.3, 0.2, 0.7), "x")


def test_costs_are_told_by_method_and_bits() -> None:
    table = costs_table(planted_costs(0.3, 0.2, 0.7))
    assert list(table.index) == [ROW]
    assert list(table.columns) == [f"{bits} bits" for bits in BITS]
