"""What several tests share: threads, Hypothesis, where real text is, and a prepared project."""

import os
import shutil
from pathlib import Path
from unittest import mock

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

# Before any test imports torch: tests run side by side, and are compared bit for bit.
os.environ["OMP_NUM_THREADS"] = "1"
ALL_DEVICES = os.environ.get("CUDA_VISIBLE_DEVICES")
os.environ["CUDA_VISIBLE_DEVICES"] = ""


def amount(few: int, many: int) -> int:
    """How often a test tries what is left to chance: few times at a desk, many under CI."""
    return many if os.environ.get("CI") else few


settings.register_profile(
    "tinylm",
    deadline=None,
    max_examples=amount(25, 100),
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("tinylm")

# Modules that rest on floating point: `make test-portable` runs them again.
NUMERICAL = frozenset({
    "test_above_floor", "test_afterwards", "test_amounts", "test_batches",
    "test_bench_measurements", "test_bf16", "test_by_hand", "test_checkpoints", "test_compress",
    "test_context", "test_cost", "test_cuda_graph", "test_cuts", "test_epochs", "test_evaluate",
    "test_excess", "test_fables", "test_fables_exact", "test_fables_json", "test_features",
    "test_floor", "test_forms", "test_further", "test_generate", "test_gpt2", "test_grid",
    "test_interventions", "test_knowledge", "test_laws_optimal", "test_laws_power",
    "test_laws_repetition", "test_laws_solver", "test_laws_surface", "test_laws_table",
    "test_model", "test_ngrams", "test_optim", "test_planning", "test_plans",
    "test_predictions", "test_quantized", "test_rates", "test_recipe", "test_results",
    "test_schedule_curves", "test_schedules", "test_side_by_side", "test_stacked",
    "test_stories", "test_study_pages", "test_synthetic", "test_tails", "test_token_files",
    "test_train", "test_trunks", "test_verdict",
})  # fmt: skip

CHECKOUT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.stem in NUMERICAL:
            item.add_marker("numerical")


@pytest.fixture(scope="session")
def hub_mirror() -> Path:
    """A folder of real data sets in the hub's layout; tests that need one are skipped without."""
    named = os.environ.get("TINYLM_HUB_MIRROR")
    mirror = Path(named) if named else CHECKOUT.parent / "shared" / "data"
    if not mirror.is_dir():
        pytest.skip("no real text here: TINYLM_HUB_MIRROR names no folder in the hub's layout")
    return mirror


@pytest.fixture(scope="session")
def prepared_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the first few fables, tokenised with bpe-512. Read it, never write to it."""
    from tinylm.corpora import fables
    from tinylm.corpora.token_files import prepare

    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # one for all workers
        base = base.parent
    project = base / "prepared-project"
    few = mock.patch.dict(fables.N_DOCUMENTS, {"train": 120, "validation": 6})
    here = mock.patch.dict(os.environ, {"TINYLM_ROOT": str(project)})
    with FileLock(base / "prepared-project.lock"), few, here:
        prepare("fables", "bpe-512")
    return project


@pytest.fixture
def other_project(prepared_project: Path, tmp_path: Path) -> Path:
    """A second one, for what is to be compared with the first."""
    root = tmp_path / "other-project"
    shutil.copytree(prepared_project, root)
    return root


@pytest.fixture
def project(prepared_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of the test's own, with the few fables prepared."""
    root = tmp_path / "project"
    shutil.copytree(prepared_project, root)
    monkeypatch.setenv("TINYLM_ROOT", str(root))
    return root


@pytest.fixture
def few_fables(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of the test's own whose corpus is the few fables that it has prepared."""
    from tinylm.corpora import fables
    from tinylm.studies.compressors import COMPRESSED_BYTES

    monkeypatch.setitem(fables.N_DOCUMENTS, "train", 120)
    monkeypatch.setitem(fables.N_DOCUMENTS, "validation", 6)
    monkeypatch.setitem(COMPRESSED_BYTES, "smoke", 20_000)
    return project
