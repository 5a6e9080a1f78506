"""Where runs are trained: local processes, a Ray cluster, a Slurm cluster."""

from tinylm.experiments.executors.base import Ended, Executor, Finished

__all__ = ["Ended", "Executor", "Finished"]
