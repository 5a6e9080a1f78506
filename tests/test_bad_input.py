"""Bad input: one sentence that starts with "error: ", exit code 2, and nothing written."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from tiny_runs import run_python, tiny_config, tinylm, tree

from tinylm.store import Store
from tinylm.sweeps.declare import experiment_names
from tinylm.train import train

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


def assert_one_sentence(code: int, err: str, said: str) -> None:
    assert code == 2, err
    assert err.startswith("error: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert said in err


def config_text(change: dict[str, Any]) -> str:
    values = tiny_config().model_dump(exclude={"model": {"vocab_size"}})
    for name, value in change.items():
        values[name] = values[name] | value if isinstance(value, dict) else value
    return json.dumps(values)


CONFIGS: list[tuple[dict[str, Any], str]] = [
    ({"data": {"corpus": "novels"}}, "unknown corpus 'novels': expected one of fables"),
    ({"data": {"tokenizer": "words"}}, "unknown tokenizer 'words': expected 'characters'"),
    ({"data": {"tokenizer": "bpe-12"}}, "unknown tokenizer 'bpe-12'"),
    ({"data": {"tokenizer": "bpe-999999"}}, "'bpe-999999': the corpus holds words for only"),
    ({"model": {"n_head": 2}}, "tiny.yaml: unknown field 'model.n_head' (value 2)"),
    ({"model": {"d_model": 15}}, "d_model 15 is not divisible by n_heads 2"),
    (
        {"model": {"context_length": 2**18}, "batch_tokens": 2**18},
        "context_length 262144 is longer than the data; expected at most",
    ),
    ({"data": {"train_documents": 10**6}}, "data.train_documents 1000000: the corpus has only 120"),
    ({"batch_tokens": 100}, "batch_tokens 100 is not a multiple of context_length 32"),
    ({"tokens": -1}, "tokens: Input should be greater than or equal to 1, not -1"),
    ({"tokens": True}, "tiny.yaml: tokens: expected no yes or no here, not True"),
    ({"optimizer": {"warmup_steps": 31}}, "warmup_steps 31 is more than the 30 steps that 7680 to"),
    ({"data": {"tokenizer": "bpe-99999999"}}, "'bpe-99999999': expected 'characters', or 'bpe-K'"),
]


@pytest.mark.parametrize(("change", "said"), CONFIGS, ids=[said for _, said in CONFIGS])
def test_a_bad_config(
    project: Path,
    tmp_path: Path,
    monkeypatch: Patch,
    capsys: Capture,
    change: dict[str, Any],
    said: str,
) -> None:
    monkeypatch.setattr("tinylm.corpora.fables.N_DOCUMENTS", {"train": 120, "validation": 6})
    path = tmp_path / "tiny.yaml"
    path.write_text(config_text(change))
    before = tree(project)
    arguments = ["train", "--config", str(path), "--profile", "smoke"]
    code, _, err = tinylm(arguments, monkeypatch, capsys)
    assert_one_sentence(code, err, said)
    assert tree(project) == before


COMMANDS = [
    (["sweep", "nope"], f"'nope'; expected one of {', '.join(experiment_names())}\n"),
    (["sweep", "model_size", "nope"], "unknown experiment 'nope'"),
    (["sweep", "model_size", "--profile", "nope"], "unknown profile 'nope'"),
    (["sweep", "model_size", "--executor", "pbs"], "unknown executor 'pbs'; expected one of local"),
    (["report", "--profile", "nope"], "unknown profile 'nope'"),
    (["report", "--profile", "smoke"], "runs have no record in results/smoke/runs"),
    (["reproduce", "--profile", "nope"], "unknown profile 'nope'"),
    (["train", "--config", "nope"], "unknown config 'nope'; expected one of base"),
    (["train", "--config", "nope.yaml"], "config file nope.yaml: cannot be read"),
    (["train", "--profile", "nope"], "unknown profile 'nope'; expected one of smoke, quick"),
    (["train", "--profile", "../smoke"], "unknown profile '../smoke'"),
    (["train", "--seed", str(2**64)], "seed 18446744073709551616: expected a whole number from 0"),
    (["data", "novels"], "unknown corpus 'novels'"),
    (["data", "fables", "novels"], "unknown corpus 'novels'"),
    (["data", "fables", "--tokenizer", "words"], "unknown tokenizer 'words'"),
    (["evaluate", "ffff"], "run 'ffff': no record under results/*/runs"),
    (["evaluate", "x"], "run 'x': expected at least 4 hexadecimal digits"),
    (["generate", "ffff"], "run 'ffff': no record"),
]


@pytest.mark.parametrize(("arguments", "said"), COMMANDS, ids=[" ".join(a) for a, _ in COMMANDS])
def test_a_bad_command(
    project: Path, monkeypatch: Patch, capsys: Capture, arguments: list[str], said: str
) -> None:
    before = tree(project)
    code, _, err = tinylm(arguments, monkeypatch, capsys)
    assert_one_sentence(code, err, said)
    assert tree(project) == before


@pytest.mark.parametrize("text", ["tokens: 1\ntokens: 2\n", "model: {d_model: 8, d_model: 16}\n"])
def test_a_key_that_is_given_twice_is_refused(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture, text: str
) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text(text)
    code, _, err = tinylm(["train", "--config", str(path)], monkeypatch, capsys)
    assert_one_sentence(code, err, "twice, again in line")


def test_an_option_out_of_range_is_refused(
    project: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    for arguments in (
        ["sweep", "model_size", "--jobs", "0"],
        ["sweep", "model_size", "--jobs", "-1"],
        ["train", "--seed", "-1"],
        ["train", "--seed", "x"],
        ["generate", "ffff", "--tokens", "0"],
        ["generate", "ffff", "--seed", "-1"],
        ["serve", "--port", "99999"],
    ):
        code, _, err = tinylm(arguments, monkeypatch, capsys)
        assert code == 2
        assert arguments[-2] in err
    assert not (project / "results").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "tinylm", "train", "--config", "nope"],
        ["-m", "tinylm", "sweep", "nope"],
        ["-m", "tinylm", "evaluate", "ffff"],
    ],
)
def test_in_a_process_of_its_own(tmp_path: Path, arguments: list[str]) -> None:
    """Nothing else on stderr, be it a warning or the remains of a progress bar."""
    done = run_python(arguments, tmp_path)
    assert_one_sentence(done.returncode, done.stderr, arguments[-1])
    assert done.stdout == ""
    assert tree(tmp_path) == {}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip])
@pytest.mark.parametrize("name", ["fables/bpe-512/train.bin", "tokenizers/fables-bpe-512.json"])
def test_damaged_data(
    project: Path,
    tmp_path: Path,
    monkeypatch: Patch,
    capsys: Capture,
    name: str,
    damage: Callable[[Path], None],
) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(config_text({}))
    damage(project / "data" / name)
    before = tree(project)
    for arguments in (["train", "--config", str(config)], ["sweep", "model_size"]):
        code, _, err = tinylm([*arguments, "--profile", "smoke"], monkeypatch, capsys)
        assert_one_sentence(code, err, Path(name).name)
        assert "make data" in err
    assert tree(project) == before


@pytest.mark.parametrize("damage", [cut, flip])
def test_a_damaged_checkpoint_or_record_or_model(
    project: Path,
    tmp_path: Path,
    monkeypatch: Patch,
    capsys: Capture,
    damage: Callable[[Path], None],
) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(config_text({}))
    again = ["train", "--config", str(config), "--profile", "smoke"]

    def stop(*arguments: Any) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tinylm.trainer.Trainer.take_step", stop)
        with pytest.raises(KeyboardInterrupt):
            train(tiny_config(), 0, store=Store("smoke"))
    (checkpoint,) = project.rglob("checkpoint.safetensors")
    whole = checkpoint.read_bytes()
    damage(checkpoint)
    before = tree(project)
    code, _, err = tinylm(again, monkeypatch, capsys)
    assert_one_sentence(code, err, "checkpoint.safetensors is damaged")
    assert tree(project) == before
    checkpoint.write_bytes(whole)
    run_id = train(tiny_config(), 0, store=Store("smoke")).run_id

    model = project / "results" / "smoke" / "models" / run_id / "model.safetensors"
    whole = model.read_bytes()
    damage(model)
    before = tree(project)
    for command in ("evaluate", "generate"):
        code, _, err = tinylm([command, run_id], monkeypatch, capsys)
        assert_one_sentence(code, err, "model.safetensors is damaged")
    model.write_bytes(whole)
    shutil.move(model, model.with_suffix(".elsewhere"))
    code, _, err = tinylm(["evaluate", run_id], monkeypatch, capsys)
    assert_one_sentence(code, err, "no weights in")

    record = Store("smoke").record_path(run_id)
    record.write_text(record.read_text().replace('"status": "done"', '"status": "dome"'))
    before = tree(project)
    for arguments in (again, ["evaluate", run_id], ["generate", run_id]):
        code, _, err = tinylm(arguments, monkeypatch, capsys)
        assert_one_sentence(code, err, f"{run_id}.json: status: Input should be 'done' or")
    assert tree(project) == before


def full(*arguments: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


def files_of(folder: Path) -> dict[str, str]:
    return {name: content for name, content in tree(folder).items() if content != "folder"}


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk(
    project: Path, tmp_path: Path, monkeypatch: Patch, capsys: Capture, call: str
) -> None:
    """Noticed before the first step; folders may have been made, but no file is left."""
    config = tmp_path / "tiny.yaml"
    config.write_text(config_text({}))
    before = files_of(project)
    monkeypatch.setattr("tinylm.trainer.Trainer.set_rates", full)  # it must not come to that
    monkeypatch.setattr(os, call, full)
    arguments = ["train", "--config", str(config), "--profile", "smoke"]
    code, _, err = tinylm(arguments, monkeypatch, capsys)
    assert_one_sentence(code, err, "No space left on device")
    assert err.startswith("error: cannot write ")
    assert files_of(project) == before


def test_a_full_disk_as_the_operating_system_has_it(project: Path, tmp_path: Path) -> None:
    """A process that may write no file above 8 kB: less than the first checkpoint."""
    config = tmp_path / "tiny.yaml"
    config.write_text(config_text({}))
    before = files_of(project)
    program = (
        "import resource, tinylm.cli\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "tinylm.cli.main()"
    )
    command = ["train", "--config", str(config), "--profile", "smoke"]
    done = run_python(["-c", program, *command], project)
    assert_one_sentence(done.returncode, done.stderr, "checkpoint.safetensors: File too large")
    assert files_of(project) == before


def test_results_that_cannot_be_written(
    project: Path, tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    """Also for the superuser, whom no permission stops: a file where a folder should be."""
    config = tmp_path / "tiny.yaml"
    config.write_text(config_text({}))
    (project / "results").write_text("")
    before = tree(project)
    arguments = ["train", "--config", str(config), "--profile", "smoke"]
    code, _, err = tinylm(arguments, monkeypatch, capsys)
    assert_one_sentence(code, err, "cannot write ")
    assert tree(project) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_results_folder(
    project: Path, tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(config_text({}))
    (project / "results").mkdir(mode=0o500)
    before = tree(project)
    arguments = ["train", "--config", str(config), "--profile", "smoke"]
    code, _, err = tinylm(arguments, monkeypatch, capsys)
    assert_one_sentence(code, err, "Permission denied")
    assert tree(project) == before
