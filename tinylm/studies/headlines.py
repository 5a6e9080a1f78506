"""What summary.json holds of the recipe, the law and the predictions, in a line each."""

from collections.abc import Callable
from typing import TypeVar

from tinylm.errors import Missing
from tinylm.laws.table_words import NO_LAW
from tinylm.store import Store
from tinylm.studies.afterwards import afterwards
from tinylm.studies.grid import Grid, GridStudy, grid_study, news_study
from tinylm.studies.kinds import WHOLE, kinds_study
from tinylm.studies.mistuning import recipe_study
from tinylm.studies.predictions import BACKED, FITTED, bet_store, read_prediction, score
from tinylm.studies.recipe_check import recipe_check
from tinylm.sweeps.declare import load_experiment

Study = TypeVar("Study")
Number = float | str | list[float]
EXPONENTS = {"n_non_embedding": "kaplan", "n_with_output": "chinchilla"}


def headlines(store: Store) -> dict[str, Number]:
    """Of what a profile has the runs: `recipe_mistuning_percent`, the largest anywhere in the
    sweep, and `recipe_mistuning_percent_unswept`, at the places of the check; `law_form`, and for
    each corpus of a grid `law_form_`, `law_misfit_`, `alpha_`, `beta_`, `E_` (each with `_low` and
    `_high`) and `ngram_gap_nats_`, largest model less best n-gram;
    `size_exponent_kaplan_count` and `size_exponent_chinchilla_count`; `law_form_with_beyond`, that
    of the grid and the runs beyond it, and `law_form_closest_beyond`, that the grid foresaw them
    by; and `prediction_error_percent`, of each target of each prediction in the order they were
    made; and of the kinds of word of fables `law_misfit_fables` and `floor_fables`, nats per
    document that the law of all words ends at if E is fitted, beside `true_floor_fables`, and
    `sum_error_percent_fables`, by how much the sum of their laws is off at worst where compute was
    hidden.
    """
    numbers: dict[str, Number] = {}
    if study := if_there(recipe_study, "recipe", store):
        numbers["recipe_mistuning_percent"] = float(study.cells["cost"].max())
    if check := if_there(recipe_check, "recipe_check", store):
        numbers["recipe_mistuning_percent_unswept"] = float(check.places["cost"].max())
    if grid := if_there(grid_study, "grid", store):
        numbers |= grid_numbers(grid)
    if news := if_there(news_study, "grid_ag_news", store):
        numbers |= law_numbers(news)
    if kinds := if_there(kinds_study, "fables_grid", store):
        numbers |= {
            "law_misfit_fables": float(kinds.best(WHOLE).misfit),
            "floor_fables": float(kinds.free.surface.E),
            "true_floor_fables": kinds.floors[WHOLE],
            "sum_error_percent_fables": 100 * float(kinds.hidden["summed"].abs().max()),
        }
    if after := if_there(afterwards, "grid_beyond", bet_store("grid_beyond", store)):
        numbers["law_form_with_beyond"] = after.best_form
        numbers["law_form_closest_beyond"] = after.closest[0]
    if errors := prediction_errors(store):
        numbers["prediction_error_percent"] = errors
    return numbers


def grid_numbers(study: GridStudy) -> dict[str, Number]:
    """Those of the law of the book."""
    numbers: dict[str, Number] = {"law_form": study.best_form, **law_numbers(study)}
    for count, name in EXPONENTS.items():
        key, row = f"size_exponent_{name}_count", study.size_exponent(count)
        numbers |= {key: row["exponent"], f"{key}_low": row["low"], f"{key}_high": row["high"]}
    return numbers


def law_numbers(grid: Grid) -> dict[str, Number]:
    """Those of the law of one corpus; no interval of a law that does not hold."""
    corpus, fit = grid.corpus, grid.best
    numbers: dict[str, Number] = {
        f"law_form_{corpus}": grid.best_form,
        f"law_misfit_{corpus}": float(fit.misfit),
    }
    for name in ("alpha", "beta", "E"):
        key = f"{name}_{corpus}"
        numbers[key] = float(getattr(fit.surface, name))
        if fit.misfit <= NO_LAW:
            low, high = fit.interval(name)
            numbers |= {f"{key}_low": low, f"{key}_high": high}
    means = grid.runs.groupby(["N", "asked"])["loss"].mean()
    largest = means.xs(means.index.get_level_values("N").max(), level="N").min()
    numbers[f"ngram_gap_nats_{corpus}"] = float(largest - grid.best_ngram.nats_per_token)
    return numbers


def prediction_errors(store: Store) -> list[float]:
    """Error in per cent at each target that has runs, of what was the law of the book when the
    prediction was made.
    """
    errors: list[float] = []
    for experiment in FITTED:
        place = bet_store(experiment, store)
        prediction = read_prediction(place, experiment)
        if prediction is None:
            continue
        scores = score(prediction, place).dropna(subset="error")
        if scores.empty:
            continue
        ours = scores[scores["method"] == BACKED[experiment]]
        errors += [100 * float(error) for error in ours["error"]]
    return errors


def if_there(make: Callable[[Store], Study], experiment: str, store: Store) -> Study | None:
    """A study, or None where the profile has no such runs, or not all of them."""
    if store.profile not in load_experiment(experiment).profiles:
        return None
    try:
        return make(store)
    except Missing:
        return None
