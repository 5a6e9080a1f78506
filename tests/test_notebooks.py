"""Every chapter still does what its committed outputs say (nbval, by `tinylm.book.compare`)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinylm.book import CHECKOUT
from tinylm.book.pairs import check_pairs

pytestmark = pytest.mark.notebook

NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
TRAINS = {"04_training"}  # chapters that train while they run: outputs are not compared


def test_the_two_files_of_every_chapter_agree() -> None:
    assert check_pairs(CHECKOUT / "notebooks") == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_chapter_repeats_its_outputs(notebook: Path) -> None:
    mode = "--nbval-lax" if notebook.stem in TRAINS else "--nbval"
    options = [mode, "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "--nbval-cell-timeout=120"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(notebook)],
        cwd=CHECKOUT,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
