"""Anybody's table of runs: what is read, what is told, and what is wrong with it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_runs import tinylm

from tinylm import say
from tinylm.errors import TinyLMError
from tinylm.laws.table import describe, fit_table, read_table

TRUE = {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 2000.0, "beta": 0.37}


def runs(seeds: int = 1, noise: float = 0.002) -> pd.DataFrame:
    """A table of isoFLOP runs on a planted surface."""
    rng = np.random.default_rng(0)
    rows = [
        {"N": n, "D": flops / 6 / n, "C": flops, "seed": seed}
        for flops in np.geomspace(6e18, 3e21, 5)
        for n in np.geomspace(1e8, 1e10, 8)
        for seed in range(seeds)
    ]
    table = pd.DataFrame(rows)
    loss = (
        TRUE["E"]
        + TRUE["A"] * table["N"] ** -TRUE["alpha"]
        + TRUE["B"] * table["D"] ** -TRUE["beta"]
    )
    return table.assign(loss=loss * np.exp(noise * rng.standard_normal(len(table))))


def write(table: pd.DataFrame, folder: Path) -> Path:
    path = folder / "runs.csv"
    table.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("columns", [("N", "D"), ("N", "C"), ("D", "C"), ("N", "D", "C")])
def test_two_of_three_axes_are_enough(tmp_path: Path, columns: tuple[str, ...]) -> None:
    table = runs()
    read = read_table(write(table[[*columns, "loss"]], tmp_path))
    np.testing.assert_allclose(read.N, table["N"])
    np.testing.assert_allclose(read.D, table["D"])
    np.testing.assert_allclose(read.flops, table["C"])
    assert read.seed is None


def test_capitals_and_other_columns_do_not_matter_and_diverged_runs_are_left_out(
    tmp_path: Path,
) -> None:
    table = runs(seeds=2).rename(columns={"N": "n", "loss": " Loss"}).assign(note="x")
    losses = [str(loss) for loss in table[" Loss"]]
    losses[3], losses[8], losses[9] = "", "inf", "diverged"
    table[" Loss"] = losses
    table["seed"] = table["seed"].map({0: "one", 1: "two"})
    read = read_table(write(table, tmp_path))
    assert (len(read.loss), read.left_out) == (77, 3)
    assert read.seed is not None
    assert set(read.seed.tolist()) == {0, 1}


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_are_read(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "runs.csv"
    runs().to_csv(path, index=False, sep=separator)
    np.testing.assert_allclose(read_table(path).loss, runs()["loss"])


def test_the_planted_surface_is_told_with_intervals(tmp_path: Path) -> None:
    table = read_table(write(runs(seeds=2), tmp_path))
    fit = fit_table(table, None, 200)
    told = describe(table, fit, None)
    assert fit.drawn_from == "seeds"
    for name, value in TRUE.items():
        low, high = fit.interval(name)
        width = high - low  # one interval in twenty does not hold the truth, but is near it
        assert low - width / 2 < value < high + width / 2
        line = next(line for line in told.splitlines() if line.startswith(f"{name} "))
        assert say.interval((low, high), 5, "g") in line
    assert "tokens per parameter" in told
    assert "WARNING" not in told
    known = describe(table, fit_table(table, 1.8, 100), 1.8)
    assert "given" in next(line for line in known.splitlines() if line.startswith("E "))


def test_a_table_without_a_term_is_told_to_be_one(tmp_path: Path) -> None:
    table = runs().assign(loss=lambda t: 2 + 480 * t["N"] ** -0.35)
    read = read_table(write(table, tmp_path))
    told = describe(read, fit_table(read, None, 50), None)
    assert "WARNING: B = 0" in told
    assert "best use" not in told
    lines = {line.split()[0]: line for line in told.splitlines()[:9] if line}
    assert lines["B"].split()[1] == "0"
    assert "the runs do not tell" in lines["beta"]
    assert "the runs do not tell" in lines["size_exponent"]
    assert float(lines["alpha"].split()[1]) == pytest.approx(0.35, abs=1e-3)


def test_the_command_prints_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(runs(), tmp_path)
    code, out, err = tinylm(["fit", str(path), "--resamples", "60"], monkeypatch, capsys)
    assert (code, err) == (0, "")
    assert "40 runs" in out
    assert path.with_suffix(".png").stat().st_size > 10_000
    plot = tmp_path / "other.svg"
    arguments = ["fit", str(path), "--resamples", "60", "--floor", "1.7", "--plot", str(plot)]
    code, out, err = tinylm(arguments, monkeypatch, capsys)
    assert (code, err) == (0, "")
    assert plot.exists()
    code, out, err = tinylm(["fit", str(path), "--floor", "9"], monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert "floor is 9; expected" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("N,loss\n1,2\n", "has the columns N, loss; expected loss and two of N, D and C"),
        ("N,D\n1,2\n", "has the columns N, D; expected loss"),
        ("N,D,loss\n1,2,3\n1,lots,3\n", "has D lots in row 2; expected a positive number"),
        ("N,D,loss\n1,2,3\n,4,3\n", "has N nan in row 2; expected a positive number"),
        ("N,D,loss\n1,2,3\n0,4,3\n", "has N 0.* in row 2; expected a positive number"),
        ("N,n,D,loss\n1,2,3,4\n", "expected N once, not 2 times"),
        ("N,D,C,loss\n1,2,12,4\n1,2,24,4\n", "has C 24 in row 2, where 6·N·D is 12"),
        ("N,D,loss,seed\n1,2,3,a\n1,3,3,\n", "has no seed in row 2; expected one"),
        ("N,D,loss\n1,2,3,9\n", "has more fields in its first row than columns"),
        ("N,D,loss\n1,2,nan\n", "has no run with a finite loss"),
        ("", "cannot be read as CSV"),
    ],
)
def test_tables_that_cannot_be_read_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(TinyLMError, match=message) as caught:
        read_table(path)
    assert str(caught.value).count("file ") == 1  # one sentence, not one inside another
    with pytest.raises(TinyLMError, match=r"missing\.csv cannot be read"):
        read_table(tmp_path / "missing.csv")
