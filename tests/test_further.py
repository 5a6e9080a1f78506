"""What the chapter says of a GPU's runs, on measurements that are made up."""

import math
from pathlib import Path

import pandas as pd
from planted_fables import plant, power_law, reported

from tinylm.store import Store
from tinylm.studies.cuts import CUTS, grid
from tinylm.studies.excess import RUN, Leftover
from tinylm.studies.findings import computing_findings
from tinylm.studies.further import (
    further_cuts,
    further_known,
    further_known_table,
    further_known_words,
    rates_words,
    reach_words,
    whose_words,
)
from tinylm.studies.marking import KINDS
from tinylm.sweeps.declare import expand, load_experiment

FULL = Store("full")


def made_up() -> Leftover:
    """Three sizes at 2M tokens, and the largest at 1M and 4M."""
    kinds, runs = [], []
    for n, tokens in ((100, 2), (200, 2), (400, 1), (400, 2), (400, 4)):
        for seed in (0, 1):
            values = (f"{n} {tokens} {seed}", "fables-long", n, tokens * 10**6, seed)
            run = dict(zip(RUN, values, strict=True))
            kinds += [run | {"kind": kind, "excess": 9.0 * tokens**-0.5} for kind in KINDS]
            runs.append(run | {"share": n / 1e3, "characters": float(n)})
    return Leftover(pd.DataFrame(kinds), pd.DataFrame(), pd.DataFrame(runs))


def test_a_gpus_runs_are_set_against_the_studys_own(few_fables: Path) -> None:
    floor = reported().floor.nats
    for name in CUTS.values():
        plant(grid(Store("smoke"), name), power_law(0.3, 0.4), floor)
        plant(grid(FULL, name), power_law(0.3, 0.4), floor, "full")
    study = reported()
    assert further_cuts(Store("smoke")) == {}
    with computing_findings():
        further = further_cuts(Store("quick"))
    assert set(further) == {"N", "D"}
    said = reach_words(study, further, made_up())
    assert "the cut in N is made at 2,000,000 tokens" in said
    assert "400 times the size" in said  # widths of 640 and 32
    assert "Not all" not in said
    known = further_known(study, made_up())
    assert known["tokens"].tolist() == [1_000_000, 2_000_000, 4_000_000]
    assert whose_words(Store("quick"), further) == "These runs are those of the published book."
    assert whose_words(Store("paper"), further) == ""
    assert "shows no runs of a GPU" in whose_words(Store("smoke"), {})
    assert rates_words(further) == ""
    tried = expand(load_experiment("fables_rates"), "full")
    plant(tried, lambda n, d: 0.5, floor, "full")
    told = rates_words(further)
    assert "12 short runs, of one seed, tried 6 pairs" in told
    assert "0.000 nats per token at width 128" in told
    assert "it has the largest of AdamW's rates tried" in told


def test_whether_the_theory_does_well_is_read_off_the_exponents() -> None:
    rows = {
        "tokens": [10, 20, 40],
        "seeds": [2, 2, 2],
        "share": [0.3, 0.5, 0.7],
        "characters": [30.0, 50.0, 70.0],
        "excess": [9.0, 6.0, 4.0],
        "exponent": [0.5, 0.6, math.nan],
        "theory": [0.45, 0.55, math.nan],
    }
    known = pd.DataFrame(rows)
    assert "does well**" in further_known_words(known, made_up())
    assert "differ by 0.05 at most" in further_known_words(known, made_up())
    off = known.assign(theory=[0.1, 0.2, math.nan])
    assert "differ by up to 0.40" in further_known_words(off, made_up())
    falling = known.assign(exponent=[0.6, 0.5, math.nan])
    assert "does well" not in further_known_words(falling, made_up())
    assert "From 100 parameters to 200 the facts known rise from 10% to 20%" in (
        further_known_words(known, made_up())
    )
    table = further_known_table(known)
    assert table["exponent to the next"].tolist() == ["0.50", "0.60", ""]
