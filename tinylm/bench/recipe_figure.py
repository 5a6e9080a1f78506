"""The picture of what earns the time to loss, and the finding that its title states."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from tinylm.bench.findings import read_findings_table
from tinylm.plots import ablation_figure

COLUMNS = (
    *("table", "step", "nats", "std", "seeds"),
    *("tokens", "n_non_embedding", "tokens_per_second"),
)
NATS = "validation loss (nats a character)"


def read_recipe(folder: Path) -> pd.DataFrame | None:
    """`recipe.csv`; None if it was not measured yet.

    Raises:
        TinyLMError: it is damaged.
    """
    return read_findings_table("recipe.csv", COLUMNS, folder)


def parts(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The steps added one after another, the reference first; and the recipe without each."""
    by_name = table.set_index("step")
    added, removed = (by_name[by_name["table"] == name] for name in ("added", "removed"))
    return added, removed


def finding(table: pd.DataFrame) -> str:
    """In a sentence: the whole way, and the step that is missed most."""
    added, removed = parts(table)
    first, last = added["nats"].iloc[0], added["nats"].iloc[-1]
    said = f"Equal tokens: {first:.2f} nats a character with nanoGPT's settings, "
    said += f"{last:.2f} with the recipe"
    costs = (removed["nats"] - last).dropna()
    if len(costs) and costs.max() > 0:
        said += f"; without “{costs.idxmax()}” it loses {costs.max():.2f}, the most of all steps"
    return said


def recipe_figure(table: pd.DataFrame) -> Figure:
    """Every step's loss ± standard deviation over seeds, in company and alone."""
    added, removed = parts(table)
    return ablation_figure(added, removed, xlabel=NATS, title=finding(table))


def alt_text(table: pd.DataFrame) -> str:
    """What the figure shows, for who cannot see it."""
    added, removed = parts(table)
    each = "; ".join(f"{step} {nats:.3f}" for step, nats in added["nats"].items())
    without = "; ".join(f"{step} {nats:.3f}" for step, nats in removed["nats"].items())
    return (
        f"Two columns of dots with bars. Left, nats a character as steps are added: {each}. "
        f"Right, the recipe without one step: {without}."
    )
