"""Experiments: every declaration expands, under every profile, to the runs it promises."""

from pathlib import Path
from typing import Any

import pytest

from tinylm.config import Run
from tinylm.cost import flops_exact, parameter_count
from tinylm.errors import TinyLMError
from tinylm.store import PROFILES
from tinylm.sweeps import declare
from tinylm.sweeps.declare import (
    Experiment,
    expand,
    experiment_names,
    load_experiment,
    set_path,
    tokens_for,
)
from tinylm.sweeps.recipe import recipe

DECLARED = [
    (name, profile) for name in experiment_names() for profile in load_experiment(name).profiles
]


def experiment(**grid: Any) -> Experiment:
    base = {"model": {"context_length": 64}, "batch_tokens": 256}
    values = {"name": "x", "title": "X", "base": base, "profiles": {"smoke": grid}}
    return Experiment.model_validate(values)


def priced(run: Run, counted: str = "exact") -> float:
    """FLOPs of a run, with the vocabulary that its tokenizer's name promises."""
    size = int(run.config.data.tokenizer.removeprefix("bpe-"))
    model = run.config.model.model_copy(update={"vocab_size": size})
    tokens = run.config.steps * run.config.batch_tokens
    if counted == "exact":
        return flops_exact(model, tokens)
    return 6.0 * parameter_count(model).with_output * tokens


@pytest.mark.parametrize(("name", "profile"), DECLARED)
def test_every_declaration_expands_to_different_valid_runs(name: str, profile: str) -> None:
    assert profile in PROFILES
    runs = expand(load_experiment(name), profile)
    grid = load_experiment(name).profiles[profile]
    points = len(runs) // len(grid.seeds)
    assert len(runs) == points * len(grid.seeds)
    assert len(runs) > 1 or name == "storyteller"  # which is one model
    assert len({run.run_id for run in runs}) == len(runs)
    assert [run.seed for run in runs] == grid.seeds * points
    assert [run.run_id for run in expand(load_experiment(name), profile)] == [
        run.run_id for run in runs
    ]
    for path, value in grid.set.items():
        assert {read(run, path) for run in runs} == {value}
    for path in {path for part in grid.grids for path in part.axes}:
        values = {value for part in grid.grids for value in part.axes.get(path, [])}
        found = {read(run, path) for run in runs}
        assert values <= found
        assert len(found - values) <= 1  # the base's, in parts without that axis


def read(run: Run, path: str) -> Any:
    value: Any = run.config
    for part in path.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("profile", ["quick", "paper", "full"])
def test_what_every_profile_of_the_two_experiments_must_hold(profile: str) -> None:
    sizes = expand(load_experiment("model_size"), profile)
    non_embedding = sorted({parameter_count(run.config.model).non_embedding for run in sizes})
    assert len(non_embedding) >= 6
    decades = 1.5 if profile == "quick" else 2.0  # see model_size.yaml
    assert non_embedding[-1] / non_embedding[0] >= 10**decades
    contexts = expand(load_experiment("context_length"), profile)
    assert {run.config.model.context_length for run in contexts} == {128, 256, 512, 1024}
    assert {run.seed for run in sizes} == {run.seed for run in contexts} == {0, 1, 2}


@pytest.mark.parametrize(
    ("name", "profile"),
    [d for d in DECLARED if any(g.flops for g in load_experiment(d[0]).profiles[d[1]].grids)],
)
def test_runs_at_a_fixed_budget_spend_it_to_within_a_batch(name: str, profile: str) -> None:
    declared = load_experiment(name)
    for part in declared.profiles[profile].grids:
        alone = declared.profiles[profile].model_copy(
            update={"axes": part.axes, "flops": part.flops, "counted": part.counted, "parts": []}
        )
        assert part.flops is not None
        for run in expand(declared.model_copy(update={"profiles": {profile: alone}}), profile):
            spent = priced(run, part.counted)
            assert spent <= part.flops < spent + spent / run.config.steps
            assert run.config.tokens == run.config.steps * run.config.batch_tokens


def test_axes_and_seeds_are_combined_in_order() -> None:
    grid = {
        "axes": {"model.d_model": [8, 16], "optimizer.learning_rate": [0.1, 0.2]},
        "seeds": [5, 7],
        "set": {"tokens": 512},
    }
    runs = expand(experiment(**grid), "smoke")
    assert [(r.config.model.d_model, r.config.optimizer.learning_rate, r.seed) for r in runs] == [
        (d, rate, seed) for d in (8, 16) for rate in (0.1, 0.2) for seed in (5, 7)
    ]
    assert {r.config.tokens for r in runs} == {512}
    assert {r.config.model.context_length for r in runs} == {64}  # the base's, beside the axis


def test_fields_of_an_arm_go_together() -> None:
    arms = [{"optimizer.learning_rate": 0.1, "tokens": 512}, {"optimizer.learning_rate": 0.2}]
    runs = expand(experiment(axes={"model.d_model": [8, 16]}, arms=arms, seeds=[0]), "smoke")
    default = experiment().base.get("tokens", runs[1].config.tokens)
    assert [(r.config.model.d_model, r.config.optimizer.learning_rate) for r in runs] == [
        (d, rate) for d in (8, 16) for rate in (0.1, 0.2)
    ]
    assert [run.config.tokens for run in runs] == [512, default] * 2


def test_parts_are_grids_one_after_another() -> None:
    parts = [
        {"axes": {"model.d_model": [8, 16]}},
        {"axes": {"model.d_model": [24], "tokens": [256]}},
        {"axes": {"model.d_model": [32]}, "flops": 1e8},
    ]
    runs = expand(experiment(parts=parts, seeds=[0], set={"tokens": 512}), "smoke")
    assert [run.config.model.d_model for run in runs] == [8, 16, 24, 32]
    assert [run.config.tokens for run in runs[:3]] == [512, 512, 256]
    assert priced(runs[3]) <= 1e8 < priced(runs[3]) * (1 + 1 / runs[3].config.steps)
    with pytest.raises(ValueError, match="parts beside axes, arms or flops"):
        experiment(parts=parts, axes={"model.d_model": [8]})


def test_an_axis_overrides_what_is_set_and_set_the_base() -> None:
    grid = {"axes": {"model.d_model": [8]}, "set": {"model.d_model": 4, "batch_tokens": 512}}
    run = expand(experiment(**grid), "smoke")[0]
    assert (run.config.model.d_model, run.config.batch_tokens) == (8, 512)


def test_set_path_makes_the_way() -> None:
    values: dict[str, Any] = {"a": {"b": 1}}
    for path in ("a.c", "d.e", "f"):
        set_path(values, path, 2)
    assert values == {"a": {"b": 1, "c": 2}, "d": {"e": 2}, "f": 2}


def test_a_budget_below_one_step_buys_one() -> None:
    config = expand(experiment(), "smoke")[0].config
    assert tokens_for(config, 1.0) == 256


def test_a_budget_needs_a_vocabulary_known_beforehand() -> None:
    grid = {"flops": 1e9, "set": {"data.tokenizer": "characters"}}
    with pytest.raises(TinyLMError, match="'characters': a grid with flops needs bpe-K"):
        expand(experiment(**grid), "smoke")


def test_unknown_names_are_listed() -> None:
    with pytest.raises(
        TinyLMError, match="unknown experiment 'nope'; expected one of architectures, context"
    ):
        load_experiment("nope")
    with pytest.raises(TinyLMError, match=r"unknown experiment '\.\./configs/base'"):
        load_experiment("../configs/base")
    with pytest.raises(TinyLMError, match="unknown profile 'nope' of experiment model_size"):
        expand(load_experiment("model_size"), "nope")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("titel: T\n", "experiment wrong: title: Field required"),
        (
            "title: T\nbase: {}\nprofiles: {smoke: {axis: {}}}\n",
            "unknown field 'profiles.smoke.axis'",
        ),
        ("title: T\nbase: {}\nprofiles: {smoke: {flops: -1}}\n", "flops: Input should be greater"),
        ("title: T\nbase: {}\nprofiles: {smoke: {seeds: []}}\n", "seeds: List should have at"),
        ("- 1\n", "expected a mapping of fields, got list"),
    ],
)
def test_a_wrong_declaration_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, said: str
) -> None:
    monkeypatch.setattr(declare, "FOLDER", tmp_path)
    (tmp_path / "wrong.yaml").write_text(content)
    with pytest.raises(TinyLMError) as caught:
        load_experiment("wrong")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_field_on_an_axis_is_named() -> None:
    with pytest.raises(TinyLMError, match=r"experiment x, smoke: unknown field 'model\.d_modle'"):
        expand(experiment(axes={"model.d_modle": [3]}), "smoke")
    with pytest.raises(TinyLMError, match="d_model 30 is not divisible by n_heads 4"):
        expand(experiment(set={"model.n_heads": 4}, axes={"model.d_model": [30]}), "smoke")


def by_recipe(**grid: Any) -> list[Run]:
    values = {"name": "x", "title": "X", "profiles": {"smoke": grid | {"recipe": True}}}
    base = {"model": {"context_length": 256}, "optimizer": {"beta2": 0.9}}
    return expand(Experiment.model_validate(values | {"base": base}), "smoke")


def test_what_an_experiment_leaves_out_is_the_recipes_for_the_tokens_of_each_run() -> None:
    runs = by_recipe(axes={"tokens": [250_000, 4_000_000]}, set={"model.shift": 2}, seeds=[0])
    for run, tokens in zip(runs, (250_000, 4_000_000), strict=True):
        rule = recipe(parameter_count(run.config.model).non_embedding, tokens, 256)
        assert run.config.batch_tokens == rule["batch_tokens"]
        assert run.config.optimizer.learning_rate == rule["optimizer"]["learning_rate"]
        assert run.config.model.mlp == rule["model"]["mlp"]
        assert run.config.optimizer.beta2 == 0.9  # given
        assert run.config.model.shift == 2


def test_the_recipe_has_a_batch_for_a_context_that_the_default_batch_does_not_hold() -> None:
    (run,) = by_recipe(set={"model.context_length": 1024}, axes={"tokens": [250_000]}, seeds=[0])
    assert run.config.batch_tokens == 1024


def test_at_a_budget_the_recipe_goes_by_the_tokens_that_it_buys() -> None:
    (run,) = by_recipe(flops=1e12, axes={"model.d_model": [32]}, seeds=[0])
    config = run.config
    n = parameter_count(config.model).non_embedding
    assert config.batch_tokens == recipe(n, config.tokens, 256)["batch_tokens"]
    assert config.tokens % config.batch_tokens == 0
    assert priced(run) <= 1e12 < priced(run) + priced(run) / config.steps
