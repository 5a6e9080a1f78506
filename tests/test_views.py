"""What is seen of a sweep: a live table in a terminal, lines in a log, widgets in a notebook."""

import io
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbclient
import nbformat
import pytest
from rich.console import Console
from test_records import made_up_record
from tiny_runs import python_environment
from tiny_sweep import tiny_run

from tinylm.errors import TinyLMError
from tinylm.store import Store
from tinylm.sweeps import notebook
from tinylm.sweeps.executors import LocalExecutor, make_executor
from tinylm.sweeps.notebook import NotebookView, sweep_in_notebook
from tinylm.sweeps.overview import Overview, shape
from tinylm.sweeps.run import Outcome, Plan, SweepListener
from tinylm.sweeps.terminal import STATUS_SECONDS, TerminalListener, print_outcome
from tinylm.trainer import Progress

RUNS = [tiny_run(seed=seed) for seed in range(4)]
PLAN = Plan(RUNS, {}, RUNS, {run.run_id: 100.0 for run in RUNS})
DIED = "its process ended with signal 9"


def at_step(number: int, step: int, **fields: Any) -> Progress:
    return Progress(RUNS[number].run_id, step, 30, 2.5, **fields)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that only moves when told to."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


class Lines(Overview):
    def __init__(self) -> None:
        super().__init__(PLAN, 2)
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)


def test_the_time_left_follows_the_estimate_and_then_the_pace(clock: SimpleNamespace) -> None:
    view = Lines()
    assert view.seconds_left() == 200.0  # four runs of 100 s, two at a time
    clock.now += 50.0  # half as fast as was estimated: in 50 s half of 50 s' worth of two runs
    for number in range(2):
        view.progressed(at_step(number, 0))
        view.progressed(at_step(number, 7, seconds_left=1.0))
        view.progressed(at_step(number, 8))
    spent = 2 * 100 * 8 / 30
    assert view.seconds_left() == pytest.approx((400 - spent) / 2 * (50 * 2 / spent))


def test_what_earlier_sweeps_did_does_not_count_as_speed(clock: SimpleNamespace) -> None:
    view = Lines()
    view.progressed(at_step(0, 15))  # it goes on from its checkpoint
    assert view.seconds_left() == 175.0
    clock.now += 20.0
    view.progressed(at_step(0, 21))  # 20 s' worth in 20 s, on one of two slots
    assert view.seconds_left() == pytest.approx((400 - 70) / 2 * 2.0)
    view.retried(RUNS[0], DIED)
    assert view.seconds_left() == pytest.approx((400 - 70) / 2 * 2.0)  # the checkpoint keeps it


def test_every_end_is_a_line_and_counted() -> None:
    view = Lines()
    view.progressed(at_step(0, 10))
    view.retried(RUNS[0], DIED)
    assert view.under_way == {}
    view.finished(RUNS[0], made_up_record(RUNS[0]))
    view.progressed(at_step(0, 30))  # late words change nothing
    view.finished(RUNS[1], made_up_record(RUNS[1], diverged=True))
    view.failed(RUNS[2], DIED)
    assert view.under_way == {}
    named = [f"{run.run_id}  {shape(run)}" for run in RUNS]
    assert view.said == [
        f"{named[0]}: {DIED}; it will be tried again",
        f"[  1/4] {named[0]}: 1.2500 bits per byte, 2 s",
        f"[  2/4] {named[1]}: diverged, 2 s",
        f"[  3/4] {named[2]}: FAILED: {DIED}",
    ]
    assert view.summary().startswith("2 of 4 runs done, 1 failed, 1 left, about ")
    view.finished(RUNS[3], made_up_record(RUNS[3]))
    assert view.summary() == "3 of 4 runs done, 1 failed, 0 left"


def test_a_terminal_shows_a_row_for_each_run_under_way() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=120, color_system=None)
    with TerminalListener(console, PLAN, 2) as view:
        view.progressed(at_step(0, 10, tokens_per_second=1234.5, seconds_left=75.0))
        view.progressed(at_step(1, 30, tokens_per_second=1234.5, seconds_left=0.0))
        view.progressed(at_step(2, 3))
        with console.capture() as captured:
            console.print(view.render())
        rows = captured.get().splitlines()
        view.finished(RUNS[0], made_up_record(RUNS[0]))
        view.waited()
    assert rows[0].split() == ["run", "shape", "steps", "train", "loss", "tokens/s", "left"]
    assert rows[1].startswith(f"{RUNS[0].run_id[:8]}  {shape(RUNS[0])}")
    assert rows[1].split()[-5:] == ["10/30", "2.500", "1,234", "75", "s"]
    assert rows[2].split()[-4:] == ["30/30", "2.500", "1,234", "evaluating"]
    assert rows[3].split()[-2:] == ["3/30", "2.500"]
    assert rows[4].startswith("0 of 4 runs done, 4 left, about ")
    assert f"[  1/4] {RUNS[0].run_id}" in file.getvalue()


def test_a_log_gets_lines_now_and_then(clock: SimpleNamespace) -> None:
    file = io.StringIO()
    with TerminalListener(Console(file=file, width=80), PLAN, 2) as view:
        view.progressed(at_step(0, 10))
        for _ in range(100):
            view.waited()
        assert file.getvalue() == ""
        clock.now += STATUS_SECONDS + 1
        for _ in range(100):
            view.waited()
        view.failed(RUNS[1], DIED)
    said, failed = file.getvalue().splitlines()
    assert said.startswith("0 of 4 runs done, 4 left, about ")
    assert said.endswith(f"; {shape(RUNS[0])} at step 10/30")
    assert failed.endswith(f"FAILED: {DIED}")


def test_the_end_names_each_failure_and_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path))
    log = Store("smoke").log_path(RUNS[0].run_id)
    log.parent.mkdir(parents=True)
    log.write_text("")
    outcome = Outcome([made_up_record()], {RUNS[0].run_id: DIED, RUNS[1].run_id: "refused"})
    file = io.StringIO()
    print_outcome(Console(file=file, width=80), outcome, Store("smoke"))
    assert file.getvalue().splitlines() == [
        f"FAILED {RUNS[0].run_id}: {DIED}; its log: {log}",
        f"FAILED {RUNS[1].run_id}: refused",
        f"1 runs trained, 2 failed; records in {tmp_path / 'results' / 'smoke' / 'runs'}",
    ]


def test_widgets_follow_the_sweep() -> None:
    view = NotebookView(PLAN, 2)
    view.progressed(at_step(0, 10, tokens_per_second=1234.5, seconds_left=75.0))
    view.progressed(at_step(1, 30, tokens_per_second=1234.5, seconds_left=0.0))
    (label, bar, text), (_, _, evaluating) = (row.children for row in view.rows.children)
    assert label.value == shape(RUNS[0])
    assert (bar.value, bar.max) == (10, 30)
    assert text.value == "10/30, loss 2.500, 1,234 tokens/s, 75 s left"
    assert evaluating.value == "30/30, loss 2.500, 1,234 tokens/s, evaluating"
    view.finished(RUNS[0], made_up_record(RUNS[0]))
    view.failed(RUNS[1], "<died>")
    assert view.rows.children == ()
    _, whole, text = view.whole.children
    assert (whole.value, whole.max) == (2, 4)
    assert text.value == view.summary()
    assert "1.2500 bits per byte" in view.log.value
    assert "FAILED: &lt;died&gt;" in view.log.value
    bundle = view.bundle()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == view.box.model_id
    assert bundle["text/plain"].splitlines() == [*view.lines, view.summary()]


class Finisher:
    """In place of `sweep`: every run has its record at once."""

    def __init__(self, plan: Plan, profile: str, executor: Any, listener: SweepListener) -> None:
        for run in plan.todo:
            listener.finished(run, made_up_record(run))


def test_without_a_kernel_a_notebooks_sweep_is_text(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(notebook, "sweep", Finisher)
    monkeypatch.setattr(notebook, "plan_sweep", lambda runs, store, timing: PLAN)
    sweep_in_notebook("model_size", "smoke", jobs=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("0 of 4 runs done, 4 left, about ")
    assert lines[1].startswith(f"[  1/4] {RUNS[0].run_id}")
    assert lines[-1] == "4 of 4 runs done, 0 left"


def test_in_a_kernel_a_sweep_shows_widgets_and_leaves_text(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TINYLM_ROOT", "PYTHONPATH"):
        monkeypatch.setenv(name, python_environment(project)[name])
    monkeypatch.delenv("TINYLM_STATIC", raising=False)
    source = (
        "from tinylm.sweeps import declare, notebook\n"
        "from tiny_sweep import tiny_run\n"
        "notebook.expand = lambda experiment, profile: [tiny_run(), tiny_run(seed=1)]\n"
        "outcome = notebook.sweep_in_notebook(['model_size'], 'smoke', jobs=1)\n"
        "assert [record.seed for record in outcome.trained] == [0, 1]"
    )
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbclient.NotebookClient(book, kernel_name="python3", timeout=300).execute()
    (output,) = book.cells[0].outputs
    assert output.output_type == "display_data"
    assert "application/vnd.jupyter.widget-view+json" in output.data
    lines = output.data["text/plain"].splitlines()
    assert lines[0].startswith(f"[  1/2] {RUNS[0].run_id}")
    assert lines[-1] == "2 of 2 runs done, 0 left"


def test_executors_are_made_by_name() -> None:
    with make_executor("local", jobs=3) as made:
        assert isinstance(made, LocalExecutor)
        assert made.slots == 3
    with pytest.raises(TinyLMError, match="unknown executor 'pbs'; expected one of local, ray"):
        make_executor("pbs")
    with pytest.raises(TinyLMError, match="jobs 0: expected at least 1"):
        make_executor("local", jobs=0)
