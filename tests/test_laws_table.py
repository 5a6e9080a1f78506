"""Anybody's table of runs: what is read, what is told, and what is wrong with it."""

import io
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tiny_runs import tinylm

from tinylm import say
from tinylm.errors import TinyLMError
from tinylm.laws.surface import SurfaceWithIntervals, bootstrap_surface
from tinylm.laws.table import RunTable, doubts, read_table
from tinylm.laws.table_words import describe

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


def fit_table(table: RunTable, floor: float | None, n_resamples: int) -> SurfaceWithIntervals:
    return bootstrap_surface(table.N, table.D, table.seed, table.loss, floor, n_resamples)


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
    assert len(read.loss) == 77
    assert read.left_out == {"": 1, "inf": 1, "diverged": 1}
    assert read.seed is not None
    assert set(read.seed.tolist()) == {0, 1}


@pytest.mark.parametrize("separator", [";", "\t", "|", " "])
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
        assert say.interval((low, high), 5, "g").replace(say.NO_BREAK, " ") in line
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


def test_losses_and_budgets_are_predicted_under_a_chosen_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(runs(), tmp_path)
    asked = ["--resamples", "60", "--predict", "1e9,1e11", "--predict", "7e10,1.4e12"]
    command = ["fit", str(path), *asked, "--budget", "1e21"]
    code, out, err = tinylm([*command, "--form", "power"], monkeypatch, capsys)
    assert (code, err) == (0, "")
    assert "L(N, D) = E + (A/N^alpha + B/D^beta)^g, 40 runs" in out
    lines = [line.strip() for line in out.splitlines()]
    (best,) = [line for line in lines if line.startswith("C = 1e+21: ")]
    assert "beyond" not in best
    (inside,) = [line for line in lines if line.startswith("N = 1e+09, D = 1e+11: ")]
    truth = 1.8 + 480 * 1e9**-0.35 + 2000 * 1e11**-0.37
    assert float(inside.split()[6]) == pytest.approx(truth, rel=0.01)
    assert "times the compute" not in inside
    (beyond,) = [line for line in lines if line.startswith("N = 7e+10, D = 1.4e+12: ")]
    assert beyond.endswith(", 196 times the compute of the largest run; beyond the N of all runs")
    others = [line.split()[0] for line in lines if ": residuals " in line]
    assert others == ["sum", "kaplan"]
    _, out, _ = tinylm([*command, "--budget", "1e25"], monkeypatch, capsys)
    assert "; beyond the N of all runs" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--predict", "1e9"], "--predict 1e9: expected N,D, such as 1e6,2e7"),
        (["--predict", "1e9,many"], "--predict 1e9,many: expected N,D"),
        (["--predict", "0,1"], "--predict 0,1: expected parameters and tokens, from 1 to"),
        (["--budget", "nan"], "--budget nan: expected a positive number of FLOPs"),
        (["--form", "cubic"], "form 'cubic'; expected one of sum, power, kaplan, ends, both"),
        (["--ceiling", "9"], "form sum has no ceiling"),
        (["--form", "ends", "--ceiling", "1"], "above the largest loss"),
        (["--form", "kaplan", "--floor", "1"], "Kaplan's form has E = 0"),
    ],
)
def test_questions_that_make_no_sense_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    path = write(runs(), tmp_path)
    code, out, err = tinylm(["fit", str(path), *options], monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert message in err
    assert not path.with_suffix(".png").exists()


def test_a_run_that_lies_far_off_is_named(tmp_path: Path) -> None:
    table = runs()
    read = read_table(write(table, tmp_path))
    assert "is it right?" not in describe(read, fit_table(read, None, 50), None)
    table["loss"] *= np.where(table.index == 11, 1.1, 1.0)
    read = read_table(write(table, tmp_path))
    told = describe(read, fit_table(read, None, 50), None)
    row = table.loc[11]
    assert f"the run with N = {row['N']:.3g}, D = {row['D']:.3g} and loss {row['loss']:.5g}" in told
    assert told.count("is it right?") == 1


def test_a_form_that_does_not_hold_is_said_to_be_none(tmp_path: Path) -> None:
    table = runs(seeds=3)
    table["loss"] *= 1 + 0.05 * np.sin(8 * np.log(table["N"]))
    read = read_table(write(table, tmp_path))
    told = describe(read, fit_table(read, None, 50), None)
    assert "WARNING: a misfit above 3: this form does not hold on these runs" in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("N,loss\n1,2\n", "has the columns N, loss; expected loss and two of N, D and C"),
        ("N,D\n1,2\n", "has the columns N, D; expected loss"),
        ("N,D,loss\n1,2,3\n1,lots,3\n", "has D 'lots' in row 2; expected a positive number"),
        ("N,D,loss\n1,2,3\n,4,3\n", "has N nothing in row 2; expected a positive number"),
        ("N,D,loss\n1,2,3\n0,4,3\n", "has N '0' in row 2; expected a positive number"),
        ("N,D,loss\n1,2,3\n1,4,-3\n", "has loss '-3' in row 2; expected a positive number"),
        ("N,D,loss\n7B,2,3\n", r"has N '7B' in row 1; .* a decimal point and nothing else, such"),
        ("N,n,D,loss\n1,2,3,4\n", "expected N once, not 2 times"),
        ("N,D,C,loss\n1,2,12,4\n1,2,24,4\n", "has C 24 in row 2, where 6·N·D is 12"),
        ("N,D,loss,seed\n1,2,3,a\n1,3,3,\n", "has no seed in row 2; expected one"),
        ("N,D,loss\n1,2,3\n1,2,3,21\n", r"4 fields in row 2 and 3 columns; .* is a comma in a n"),
        ("N,D,loss\n1,2,nan\n", "has no run with a finite loss"),
        ("N,D,loss\n1,1e300,3\n", r"has D = 1e\+300 in row 1; expected parameters, tokens and"),
        ("N,C,loss\n1e9,2.5,3\n", "has D = 4.17e-10 in row 1; expected .* not millions or PF-d"),
        ("my runs\nN,D,loss\n1,2,3\n", "has the columns my runs; expected loss and two of"),
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


@pytest.mark.parametrize("loss", ["3.21*", "3.21±.01", '"3,210"', "3_21", "3.2.1", "1.#INF", "0x3"])
def test_a_loss_that_is_nearly_a_number_is_not_dropped(tmp_path: Path, loss: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(f"N,D,loss\n1000,2000,3\n1000,3000,{loss}\n", encoding="utf-8")
    shown = loss.strip('"')
    said = f"has loss {shown!r} in row 2; expected a positive number with a decimal point and noth"
    with pytest.raises(TinyLMError, match=re.escape(said)):
        read_table(path)


def test_a_decimal_comma_is_told_whatever_separates(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("N;D;loss\n1000;2000;3,21\n")
    with pytest.raises(TinyLMError, match=r"has loss '3,21' in row 1; .* with a decimal point"):
        read_table(path)


def test_tables_as_people_have_them(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    text = "sep=,\r\n# of last week\r\nN,D,loss,notes\r\n"
    text += '1e3,2000,3.0,"ok, fine"\r\n\r\n1000,4e3,2.5,"said ""no"", twice"\r\n'
    text += '"2000","4000","2.25",\r\n2000,8000,,never ran\r\n2000,9000,OOM\r\n,,,\r\n'
    for encoding in ("utf-8-sig", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1"):
        path.write_bytes(text.replace("ok", "gut für").encode(encoding))
        read = read_table(path)
        np.testing.assert_array_equal(read.N, [1000, 1000, 2000])
        np.testing.assert_array_equal(read.D, [2000, 4000, 4000])
        np.testing.assert_array_equal(read.loss, [3, 2.5, 2.25])
        assert read.left_out == {"": 1, "OOM": 1}


def test_units_that_make_no_sense_are_doubted(tmp_path: Path) -> None:
    def doubted(**changed: pd.Series) -> str:
        return " ".join(doubts(read_table(write(table.assign(**changed), tmp_path))))

    table = runs()[["N", "D", "loss"]]
    assert doubted() == ""
    assert "is D in tokens, not in billions?" in doubted(N=table["N"] / 1e6, D=table["D"] / 1e7)
    assert "tokens per parameter; are N and D in ones?" in doubted(N=table["N"] / 1e6)
    with pytest.raises(
        TinyLMError, match=r"has D = 0\.1 in row 8; expected parameters, tokens and"
    ):
        doubted(D=table["D"] / 1e9)
    assert "is it in nats per token?" in doubted(loss=table["loss"] * 1e6)
    twice = pd.concat([table, table])
    read = read_table(write(twice, tmp_path))
    assert "80 runs have 40 different (N, D) and no seed" in " ".join(doubts(read))


def test_standard_input_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = io.BytesIO(write(runs(), tmp_path).read_bytes())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=content))
    monkeypatch.chdir(tmp_path)
    code, out, err = tinylm(["fit", "-", "--resamples", "60"], monkeypatch, capsys)
    assert (code, err) == (0, "")
    assert "written: fit.png" in out
    assert (tmp_path / "fit.png").stat().st_size > 10_000


def test_an_unfit_plot_is_told_before_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "missing.csv")
    code, out, err = tinylm(["fit", path, "--plot", "plot.pdf"], monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert "figure plot.pdf has suffix '.pdf'; expected .png or .svg" in err


def test_the_figure_does_not_replace_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write(runs(), tmp_path).rename(tmp_path / "runs.png")
    before = table.read_bytes()
    code, out, err = tinylm(["fit", str(table)], monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert "the figure would replace the table; name another file" in err
    assert table.read_bytes() == before


def test_seeds_that_are_copies_are_told(tmp_path: Path) -> None:
    table = pd.concat([runs().assign(seed=seed) for seed in range(3)])
    read = read_table(write(table, tmp_path))
    told = describe(read, fit_table(read, None, 50), None)
    assert "WARNING: seeds tell no noise" in told
    assert "random weights" in told


def test_a_folder_is_no_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = tinylm(["fit", "."], monkeypatch, capsys)
    assert code == 2
    assert "error: file . cannot be read as CSV (Is a directory)" in err


@pytest.mark.parametrize("place", [1, 11, 20])
def test_a_quote_that_is_never_closed_swallows_no_run(tmp_path: Path, place: int) -> None:
    path = write(runs()[["N", "D", "loss"]].assign(note="x"), tmp_path)
    lines = path.read_text().splitlines()
    lines[place] = lines[place].removesuffix("x") + '"see log'
    for end in ("", '"and another"'):
        path.write_text("\n".join([*lines, *([f"1e9,1e9,2,{end}"] if end else [])]))
        with pytest.raises(TinyLMError, match=r"cannot be read as CSV .* is each quote closed"):
            read_table(path)


def test_a_stray_quote_in_a_header_does_not_hide_its_column(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text('N"\tD\tloss\n1e6\t1e8\t3\n', encoding="utf-8")
    assert read_table(path).N.tolist() == [1e6]


def test_runs_whose_names_begin_with_a_hash_are_runs(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("# mine\n#,N,D,loss\n#1,1000,2000,3\n#2,2000,2000,2.5\n")
    assert read_table(path).loss.tolist() == [3, 2.5]


def test_standard_input_that_is_closed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(TinyLMError, match=r"standard input cannot be read as CSV \(it is closed"):
        read_table(Path("-"))
