"""Run by torchrun in two processes on a project: trains an undisturbed run, is refused what does
not fit, then trains a run whose first process is killed at its step 25.
"""

import os
import signal
import sys
from pathlib import Path

from tiny_runs import tiny_config

import tinylm.train
from tinylm.errors import TinyLMError
from tinylm.store import Store
from tinylm.sweeps.torchrun import SharedTrainer, Told, processes, train_shared


class Mortal(SharedTrainer):
    def set_rates(self) -> None:
        if self.state.step == 25 and self.group.first:
            os.kill(os.getpid(), signal.SIGKILL)
        super().set_rates()


if __name__ == "__main__":
    notes = Path(sys.argv[1])
    with processes("cpu") as group:
        said = []
        one = train_shared(tiny_config(), 0, group, store=Store("quick"))
        same = train_shared(tiny_config(), 0, group, store=Store("quick"))
        wild = train_shared(
            tiny_config(optimizer={"learning_rate": 1.0}), 0, group, store=Store("quick")
        )
        for config, seed in (
            (tiny_config(batch_tokens=96), 0),
            (tiny_config(data={"train_documents": 500}), 0),
            (tiny_config(), -1),
        ):
            try:
                train_shared(config, seed, group, store=Store("quick"))
            except TinyLMError as error:
                said.append(f"{type(error) is Told} {error}")
        notes = notes.with_suffix(f".{group.rank}")
        notes.write_text("\n".join([repr(one == same), wild.status, str(wild.steps), *said]))
        tinylm.train.CHECKPOINT_SECONDS = 0.0
        tinylm.sweeps.torchrun.SharedTrainer = Mortal  # type: ignore[misc]
        train_shared(tiny_config(), 0, group, store=Store("smoke"))
