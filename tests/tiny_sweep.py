"""Sweeps tiny runs in a process of its own:
python tiny_sweep.py PROFILE '[{"tokens": 512}, ...]' ['{"name": "local", "jobs": 2}'].

Tells what happens, a line of JSON each: what, run id, and the record, the reason or the step.
"""

import json
import sys
from typing import Any

from tiny_runs import tiny_config

from tinylm.config import Run
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.sweeps.executors import make_executor
from tinylm.sweeps.run import SweepListener, plan_sweep, sweep
from tinylm.trainer import Progress


def tiny_run(seed: int = 0, **fields: Any) -> Run:
    """A run of the embedded corpus, whose version is known without opening it."""
    from tinylm.corpora import corpus_version

    config = tiny_config(**fields)
    return Run(config, seed, config.identity(seed, corpus_version("fables")))


class Teller(SweepListener):
    def progressed(self, progress: Progress) -> None:
        self.tell("progressed", progress.run_id, progress.step)

    def finished(self, run: Run, record: RunRecord) -> None:
        self.tell("finished", run.run_id, json.loads(record.model_dump_json()))

    def retried(self, run: Run, reason: str) -> None:
        self.tell("retried", run.run_id, reason)

    def failed(self, run: Run, reason: str) -> None:
        self.tell("failed", run.run_id, reason)

    def tell(self, what: str, run_id: str, detail: Any) -> None:
        print(json.dumps([what, run_id, detail]), flush=True)


if __name__ == "__main__":
    wanted = [tiny_run(**fields) for fields in json.loads(sys.argv[2])]
    store = Store(sys.argv[1])
    plan = plan_sweep(wanted, store, timing="unknown")
    options = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {"name": "local", "jobs": 2}
    outcome = sweep(plan, store, make_executor(**options), listener=Teller())
    Teller().tell("ended", "", [len(plan.todo), len(outcome.trained), len(outcome.failed)])
