"""Models are measured once, where their weights are, and read everywhere."""

import json
import shutil
from pathlib import Path

import pytest
from tiny_runs import SMOKE, tree

from tinylm.errors import Missing
from tinylm.studies import quantized as study
from tinylm.studies.quantized import BITS, GPTQ, ROW, measure_quantized, quantized
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.train import train


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
