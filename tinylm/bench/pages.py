"""What the book says of the measurements: rounded tables and words that follow from the numbers.

`page_texts()` gives each by the name that a page writes, `{{ bench_... }}`: Markdown, computed when
the book is built. What has not been measured yet says so.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tinylm.bench.coverage import PARABOLAS
from tinylm.bench.findings import Findings, read_findings, read_findings_table
from tinylm.bench.goals import NOTHING, goals_table
from tinylm.bench.recipe_figure import alt_text, parts, read_recipe
from tinylm.bench.summary import bench_dir
from tinylm.say import NO_BREAK, NO_BREAK_HYPHEN

NOT_MEASURED = "*Not yet measured.*"  # in place of a table or figure
SIDES = {"reference": "reference", "tinylm": "ours"}


def page_texts(folder: Path | None = None) -> dict[str, str]:
    """Every text about the measurements in a folder, `results/bench/` by default, by name.

    Raises:
        TinyLMError: a file of the folder is damaged.
    """
    folder = folder or bench_dir()
    found = read_findings(folder)
    texts = {
        "goals": markdown(goals_table(found), rest=":--"),
        "machine": _machine(found),
        "behind": _behind(found),
        "time_to_loss": _time_to_loss(folder),
        "recipe_added": _recipe(folder, removed=False),
        "recipe_removed": _recipe(folder, removed=True),
        "recipe_figure": _recipe_figure(folder),
        "sweep": _sweep(found, folder),
        "matmul_peak": _matmul_peak(folder),
        "step_profile": _step_profile(found, folder),
        "precision": _precision(found),
        "trunks": _trunks(folder),
        "branching": _branching(found),
        "cost_model": _cost_model(found, folder),
        "batched": _batched(found),
        "coverage": _coverage(folder),
    }
    words = {
        "ratio": _ratio(found),
        "most_missed": _most_missed(folder),
        "peak_range": _peak_range(found),
        "bit_equal": _bit_equal(found),
        "coverage_range": _coverage_range(folder),
    }
    blocks = {name: text or NOT_MEASURED for name, text in texts.items()}
    inline = {name: text or NOTHING for name, text in words.items()}
    return {f"bench_{name}": text for name, text in (blocks | inline).items()}


def markdown(table: pd.DataFrame, *, rest: str = "--:") -> str:
    """A table as Markdown; its first column is at the left, the others at the right or as told."""
    rules = [":--", *[rest] * (len(table.columns) - 1)]
    rows: list[Iterable[object]] = [table.columns, rules, *table.to_numpy(dtype=object)]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)


def percent(share: float, digits: int = 1) -> str:
    """A share (0 to 1) in percent: 41.5 %."""
    return f"{100 * share:.{digits}f}{NO_BREAK}%"


def _spread(values: "pd.Series[Any]", digits: int) -> str:
    return spread(float(values.mean()), float(values.std()), f".{digits}f")


def _loss(mean: float, std: float, digits: int = 3) -> str:
    return "diverged" if pd.isna(mean) else spread(mean, std, f".{digits}f")


def _figure(path: str, alt: str, caption: str) -> str:
    return f"```{{figure}} ../results/bench/{path}\n:alt: {alt}\n\n{caption}\n```"


# --- the answers to what the page lets its reader guess ------------------------------------------


def _ratio(found: Findings) -> str | None:
    if found.time_to_loss is None:
        return None
    if found.time_to_loss_ratio is None:
        return "the loss of the reference was not reached on every corpus"
    return f"{found.time_to_loss_ratio:.1f} times, on the corpus where it gains less"


def _most_missed(folder: Path) -> str | None:
    table = read_recipe(folder)
    if table is None:
        return None
    added, removed = parts(table)
    costs = (removed["nats"] - added["nats"].iloc[-1]).dropna()
    if not len(costs) or costs.max() <= 0:
        return "none; without any one of them the loss is as low"
    return f"{costs.idxmax()}; without it the loss is {costs.max():.3f} nats a character higher"


def _peak_range(found: Findings) -> str | None:
    by_width = (found.matmul_peak_fraction or {}).get("bf16")
    if not by_width:
        return None
    widths = sorted(by_width, key=int)
    said = " and ".join(
        f"{percent(by_width[width])} at width {width}" for width in (widths[0], widths[-1])
    )
    return f"{said}, in bf16"


def _bit_equal(found: Findings) -> str | None:
    if (seen := found.sweep_bit_equal) is None:
        return None
    return f"{seen.equal} of {seen.checked} are equal"


# --- where it was measured ------------------------------------------------------------------------


def _machine(found: Findings) -> str | None:
    """A sentence for each machine."""
    measured = [entry for entry in found.behind.values() if entry.reason is None]
    if not measured:
        return None
    lines = []
    names = [
        (entry.processor, entry.device, entry.platform.partition("-")[0], entry.torch)
        for entry in measured
    ]
    for name in dict.fromkeys(names):
        entries = [entry for entry, own in zip(measured, names, strict=True) if own == name]
        processor, device, platform, torch = name
        dates = sorted(entry.date[:10] for entry in entries)
        when = f"on {dates[0]}" if dates[0] == dates[-1] else f"from {dates[0]} to {dates[-1]}"
        threads = max(entry.threads for entry in entries)
        cores = "1 core" if threads == 1 else f"{threads} cores"
        where = ", ".join(part for part in (device, processor, cores, platform) if part)
        lines.append(f"Measured {when}: {where}, PyTorch {torch}.")
    return "\n".join(lines)


def _behind(found: Findings) -> str | None:
    """A row a file: when, with what and at which commit it was made."""
    rows = {}
    for entry in found.behind.values():
        if entry.file:
            date = entry.date[:10].replace("-", NO_BREAK_HYPHEN)
            tree = {True: "clean", False: "changed", None: "unknown"}[entry.clean]
            commit = (entry.commit or "unknown")[:10]
            rows[entry.file] = [f"`{entry.file}`", entry.threads, date, commit, tree]
    if not rows:
        return None
    headings = ["in `results/bench/`", "threads in all", "date", "commit", "tree"]
    return markdown(pd.DataFrame(list(rows.values()), columns=headings))


# --- time to loss ---------------------------------------------------------------------------------


def _time_to_loss(folder: Path) -> str | None:
    columns = ("corpus", "seed", "side", "seconds", "nats", "tokens", "threads")
    table = read_findings_table("time_to_loss.csv", columns, folder)
    if table is None:
        return None
    rows = []
    for corpus, of_corpus in table.groupby("corpus", sort=False):
        seconds = of_corpus.pivot(index="seed", columns="side", values="seconds")
        for side in SIDES:
            part = of_corpus[of_corpus["side"] == side]
            ratios = seconds["reference"] / seconds[side]
            rows.append(
                {
                    "corpus": corpus,
                    "trained": f"{SIDES[side]}, {_threads(part['threads'])}",
                    "tokens": f"{part['tokens'].max():,}",
                    "seconds": _spread(part["seconds"], 1),
                    "times as fast": "1" if side == "reference" else _spread(ratios, 1),
                    "nats a character": _spread(part["nats"], 3),
                    "seeds": len(part),
                }
            )
    return markdown(pd.DataFrame(rows))


def _threads(values: "pd.Series[Any]") -> str:
    number = _one(values)
    return "1 thread" if number == "1" else f"{number} threads"


def _one(values: "pd.Series[Any]") -> str:
    """The values of a column that should all be one."""
    return " or ".join(str(value) for value in sorted(set(values)))


def _recipe(folder: Path, *, removed: bool) -> str | None:
    table = read_recipe(folder)
    if table is None:
        return None
    added, without = parts(table)
    whole = added["nats"].iloc[-1]
    rows = []
    for step, row in (without if removed else added).iterrows():
        cells = {"without" if removed else "step": step}
        cells["nats a character"] = _loss(row["nats"], row["std"])
        if removed:
            more = row["nats"] - whole
            cells["more than the recipe"] = "" if pd.isna(more) else f"{more:+.3f}"
        else:
            cells["N"] = f"{row['n_non_embedding']:,}"
        cells["tokens/s"] = f"{row['tokens_per_second']:,.0f}"
        rows.append(cells | {"seeds": row["seeds"]})
    if removed:
        last = added.iloc[-1]
        cells = {"without": "nothing: the recipe", "nats a character": _loss(whole, last["std"])}
        cells |= {"more than the recipe": "", "tokens/s": f"{last['tokens_per_second']:,.0f}"}
        rows.insert(0, cells | {"seeds": last["seeds"]})
    return markdown(pd.DataFrame(rows))


def _recipe_figure(folder: Path) -> str | None:
    table = read_recipe(folder)
    if table is None or not (folder / "plots" / "recipe.png").exists():
        return None
    seeds, tokens = _one(table["seeds"]), _one(table["tokens"].map("{:,}".format))
    caption = (
        f"Mean ± standard deviation over {seeds} seeds; every run reads {tokens} tokens.\n"
        "Left, steps are taken from top to bottom and stay; right, each is the only one missing."
    )
    return _figure("plots/recipe.png", alt_text(table), caption)


# --- a sweep, its steps and their precision -------------------------------------------------------


def _sweep(found: Findings, folder: Path) -> str | None:
    columns = ("sweep", "d_model", "seed", "plain_seconds", "sweep_run_seconds")
    table = read_findings_table("sweep.csv", columns, folder)
    if table is None or found.sweep_seconds is None or found.sweep_ratio_by_precision is None:
        return None
    rows = []
    for width, part in table.groupby("d_model"):
        ways = {str(name): rows for name, rows in part.groupby("sweep")}
        cells = {"width": width, "plain loop": _spread(ways["fp32"]["plain_seconds"], 1)}
        for name in found.sweep_ratio_by_precision:
            cells[f"swept in {name}"] = f"{ways[name]['sweep_run_seconds'].mean():.1f}"
        rows.append(cells)
    total = {"width": "all, wall-clock", "plain loop": f"{found.sweep_seconds['plain']:.1f}"}
    times = {"width": "times as fast", "plain loop": "1"}
    for name, ratio in found.sweep_ratio_by_precision.items():
        total[f"swept in {name}"] = f"{found.sweep_seconds[name]:.1f}"
        times[f"swept in {name}"] = f"{ratio:.2f}"
    return markdown(pd.DataFrame([*rows, total, times]))


def _matmul_peak(folder: Path) -> str | None:
    columns = (
        *("d_model", "precision", "batch_tokens", "fraction", "lowest_fraction"),
        *("highest_fraction", "step_gflops_per_second", "peak_gflops_per_second"),
    )
    table = read_findings_table("matmul_peak.csv", columns, folder)
    if table is None:
        return None
    rows = []
    for (width, batch), part in table.groupby(["d_model", "batch_tokens"]):
        cells: dict[str, Any] = {"width": width, "tokens a step": f"{batch:,}"}
        for row in part.to_dict("records"):
            low, high = 100 * row["lowest_fraction"], 100 * row["highest_fraction"]
            cells[f"% of the {row['precision']} peak"] = (
                f"{100 * row['fraction']:.1f} [{low:.1f}, {high:.1f}]".replace(" ", NO_BREAK)
            )
            cells[f"GFLOP/s in {row['precision']}"] = f"{row['step_gflops_per_second']:.0f}"
        rows.append(cells)
    peaks = table.groupby("precision")["peak_gflops_per_second"].median()
    said = " and ".join(f"{peak:.0f} GFLOP/s in {name}" for name, peak in peaks.items())
    return f"{markdown(pd.DataFrame(rows))}\n\nThe peak is {said}, all cores together."


def _step_profile(found: Findings, folder: Path) -> str | None:
    if found.step_profile is None or not (folder / "plots" / "step_profile.png").exists():
        return None
    shown = found.step_profile
    return _figure("plots/step_profile.png", shown.alt, f"{shown.finding}.")


def _precision(found: Findings) -> str | None:
    if found.bf16_harmless is None:
        return None
    rows = [
        {
            "width": width,
            "fp32 (nats a token)": spread(each.fp32_nats, each.seed_std_nats),
            "bf16 less fp32": spread(
                each.mean_difference_nats, each.std_of_differences_nats, ".4f"
            ),
            "seeds": each.seeds,
            "bf16 is": "harmless" if each.harmless else "not harmless",
        }
        for width, each in found.bf16_harmless.items()
    ]
    return markdown(pd.DataFrame(rows))


# --- run reuse ------------------------------------------------------------------------------------


def _trunks(folder: Path) -> str | None:
    columns = ("way", "tokens", "seed", "nats", "steps_trained", "cpu_seconds")
    table = read_findings_table("trunks.csv", columns, folder)
    if table is None:
        return None
    rows = []
    for tokens, part in table.groupby("tokens"):
        ways = {str(way): rows.set_index("seed") for way, rows in part.groupby("way")}
        scratch, branched = ways["from scratch"], ways["branched"]
        apart = scratch["nats"] - ways["linear schedule"]["nats"]
        rows.append(
            {
                "tokens": f"{tokens:,}",
                "from scratch (nats a token)": _spread(scratch["nats"], 3),
                "branched": _spread(branched["nats"], 3),
                "equal bit for bit": _of(scratch["nats"] == branched["nats"]),
                "steps from scratch": f"{scratch['steps_trained'].mean():,.0f}",
                "steps branched": f"{branched['steps_trained'].mean():,.0f}",
                "less linear schedule": _spread(apart, 3),
            }
        )
    return markdown(pd.DataFrame(rows))


def _of(equal: "pd.Series[Any]") -> str:
    return f"{int(equal.sum())} of {len(equal)}"


def _branching(found: Findings) -> str | None:
    """In sentences: what is saved, and whether anything is lost."""
    if found.branch_compute_share is None or found.branching is None:
        return None
    lost = found.branching
    if lost.equal_bit_for_bit == lost.runs:
        verdict = f"All {lost.runs} branched runs end with the loss of the run from scratch, "
        verdict += "bit for bit."
    else:
        verdict = f"{lost.equal_bit_for_bit} of {lost.runs} branched runs end with the loss of the "
        verdict += "run from scratch, bit for bit; the largest difference is "
        verdict += f"{lost.largest_difference_nats:.2g} nats a token."
    return (
        f"Branching saves {percent(found.branch_compute_share)} of the training steps, and "
        f"{percent(lost.cpu_seconds_share)} of the processor time with evaluations.\n{verdict}"
    )


# --- many models in one program, and the cost model -----------------------------------------------


def _batched(found: Findings) -> str | None:
    if found.batched is None:
        entry = found.behind.get("batched")
        reason = (entry.reason or "").partition(": ")[2] if entry else ""
        return f"*Not yet measured: {reason}.*" if reason else None
    rows = [
        {
            "N": f"{each.non_embedding:,}",
            "models": each.members,
            "one at a time (tokens/s)": f"{each.one_at_a_time:,.0f}",
            "together (tokens/s)": f"{each.together:,.0f}",
            "times as fast": f"{each.ratio:.1f}",
        }
        for each in found.batched
    ]
    return markdown(pd.DataFrame(rows))


def _cost_model(found: Findings, folder: Path) -> str | None:
    names = {
        "wall_seconds": "wall-clock",
        "cpu_seconds": "processor time",
        "memory_mb": "peak memory",
    }
    columns = [f"{name}_off_percent" for name in names]
    table = read_findings_table("cost_model.csv", columns, folder)
    if table is None or found.cost_model is None:
        return None
    shares: Sequence[float] = (
        found.cost_model.wall_time_within_25_percent,
        found.cost_model.processor_time_within_25_percent,
        found.cost_model.memory_within_25_percent,
    )
    rows = []
    for column, name, share in zip(columns, names.values(), shares, strict=True):
        off = table[column]
        rows.append(
            {
                "predicted": name,
                f"of {len(table)} runs within 25{NO_BREAK}%": percent(share, 0),
                "off by (mean ± std, %)": _spread(off, 1),
                "median miss (%)": f"{off.abs().median():.1f}",
                "largest miss (%)": f"{off.abs().max():.1f}",
            }
        )
    return markdown(pd.DataFrame(rows))


# --- intervals ------------------------------------------------------------------------------------


def _coverage_table(folder: Path) -> pd.DataFrame | None:
    columns = ("plan", "of", "studies", "covered", "covered_low", "covered_high")
    return read_findings_table("coverage.csv", columns, folder)


def _coverage(folder: Path) -> str | None:
    """A row a kind of study and quantity; the kind is written once."""
    table = _coverage_table(folder)
    if table is None:
        return None
    held = [
        f"{percent(share)} [{100 * low:.1f}, {100 * high:.1f}]"
        for share, low, high in table[["covered", "covered_low", "covered_high"]].to_numpy(float)
    ]
    names = table["plan"].where(~table["plan"].duplicated(), "")
    shown = {"made-up studies": names, "interval of": table["of"], "holds the truth in": held}
    return markdown(pd.DataFrame(shown))


def _coverage_range(folder: Path) -> str | None:
    table = _coverage_table(folder)
    if table is None:
        return None
    parabolas = table["plan"] == PARABOLAS

    def shares(part: pd.DataFrame) -> str:
        return f"{percent(part['covered'].min())} to {percent(part['covered'].max())}"

    said = f"{table['studies'].min():,} studies of each kind, intervals held it in "
    if parabolas.all() or not parabolas.any():
        return said + shares(table)
    return (
        f"{said}{shares(table[~parabolas])} where a law or surface was fitted, and in "
        f"{shares(table[parabolas])} where parabolas were"
    )
