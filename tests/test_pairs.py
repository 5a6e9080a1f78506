"""Pairs that drifted are found; chapters run with checked parameters and leave clean notebooks."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest

from tinylm.book import BookError, execute
from tinylm.book.commands import parse_parameter
from tinylm.book.execute import execute_notebook, notebook_parameters
from tinylm.book.pairs import check_pairs, read_text_notebook, scripts_of
from tinylm.errors import TinyLMError

CHAPTER = """\
# %% [markdown]
# # Sums

# %% tags=["parameters"]
profile = "paper"
count = 3

# %%
import os

print(profile, sum(range(count)), os.environ["TINYLM_STATIC"])

# %%
print(profile, sum(range(count)), os.environ["TINYLM_STATIC"])
"""


@pytest.fixture
def chapter(tmp_path: Path) -> Path:
    path = tmp_path / "01_sums.py"
    path.write_text(CHAPTER)
    return path


@pytest.fixture
def pair(chapter: Path) -> Path:
    """A pair without outputs."""
    nbformat.write(read_text_notebook(chapter), chapter.with_suffix(".ipynb"))
    return chapter


def edit(script: Path, old: str, new: str) -> None:
    text = script.read_text()
    assert old in text
    script.write_text(text.replace(old, new, 1))


def test_equal_pairs_pass(pair: Path) -> None:
    assert check_pairs(pair.parent) == []


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("count = 3", "count = 4", "-count = 4"),
        ('tags=["parameters"]', 'tags=["other"]', '-%% code {"tags": ["other"]}'),
        ("# # Sums", "# # Totals", "-# Totals"),
        ("# %% [markdown]\n# # Sums", "# %%\n# # Sums", "-%% code"),
    ],
    ids=["source", "tag", "prose", "type"],
)
def test_drift_is_shown_as_a_diff(pair: Path, old: str, new: str, line: str) -> None:
    edit(pair, old, new)
    report = check_pairs(pair.parent)
    assert report[:2] == ["--- 01_sums.py", "+++ 01_sums.ipynb"]
    assert line in report


def test_a_missing_half_is_named(pair: Path) -> None:
    pair.rename(pair.with_name("02_other.py"))
    assert check_pairs(pair.parent) == [
        "02_other.py has no 02_other.ipynb",
        "01_sums.ipynb has no 01_sums.py",
    ]


def test_a_damaged_notebook_is_named(pair: Path) -> None:
    pair.with_suffix(".ipynb").write_text("{")
    with pytest.raises(TinyLMError, match=r"01_sums\.ipynb"):
        check_pairs(pair.parent)


def test_outputs_are_no_drift_and_the_notebook_is_clean(chapter: Path) -> None:
    execute_notebook(chapter)
    first = chapter.with_suffix(".ipynb").read_bytes()
    notebook = json.loads(first)
    assert check_pairs(chapter.parent) == []
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [1, 2, 3]
    assert code[1]["outputs"][0]["text"] == ["paper 3 1\n"]
    assert all("execution" not in cell["metadata"] for cell in code)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert "version" not in notebook["metadata"]["language_info"]
    execute_notebook(chapter)
    assert chapter.with_suffix(".ipynb").read_bytes() == first


def test_a_sentence_that_is_empty_leaves_nothing(tmp_path: Path) -> None:
    script = tmp_path / "01_said.py"
    script.write_text(
        "# %%\nfrom IPython.display import Markdown\n\nMarkdown('')\n\n# %%\nMarkdown('said')\n"
    )
    first, second = nbformat.read(execute_notebook(script), 4).cells
    assert first.outputs == []
    assert second.outputs[0].data["text/markdown"] == "said"


def test_chapters_run_side_by_side_each_in_its_folder(tmp_path: Path) -> None:
    scripts = [tmp_path / name / "01_here.py" for name in ("first", "second")]
    for script in scripts:
        script.parent.mkdir()
        script.write_text("# %%\nfrom pathlib import Path\n\nprint(Path.cwd().name)\n")
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(execute_notebook, scripts))
    said = [nbformat.read(path, 4).cells[0].outputs[0].text for path in made]
    assert said == ["first\n", "second\n"]


def test_parameters_reach_the_notebook(chapter: Path, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere" / "mine.ipynb"
    execute_notebook(chapter, profile="quick", parameters={"count": 5}, out=out)
    outputs = [o for cell in nbformat.read(out, 4).cells for o in cell.get("outputs", [])]
    assert outputs[0].text == "quick 10 1\n"
    assert not chapter.with_suffix(".ipynb").exists()


def test_an_unknown_parameter_is_an_error_and_nothing_is_written(chapter: Path) -> None:
    with pytest.raises(TinyLMError, match=r"01_sums.*'cuont'.*7.*profile, count"):
        execute_notebook(chapter, parameters={"cuont": 7})
    assert list(chapter.parent.iterdir()) == [chapter]


def test_a_notebook_without_parameters_takes_none(chapter: Path) -> None:
    edit(chapter, ' tags=["parameters"]', "")
    assert notebook_parameters(read_text_notebook(chapter)) == {}
    with pytest.raises(TinyLMError, match="no cell tagged parameters"):
        execute_notebook(chapter, profile="quick")


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        ("1 / 0", "a cell failed(?s:.*)ZeroDivisionError"),
        ("os._exit(1)", "its kernel died"),
        ("raise SystemExit(0)", r"a cell called sys\.exit\(\)"),
    ],
    ids=["error", "killed kernel", "exit"],
)
def test_a_failed_cell_writes_nothing(pair: Path, failure: str, why: str) -> None:
    before = pair.with_suffix(".ipynb").read_bytes()
    pair.write_text(CHAPTER + f"\n# %%\n{failure}\n")
    with pytest.raises(BookError, match=rf"notebook 01_sums: {why}"):
        execute_notebook(pair)
    assert pair.with_suffix(".ipynb").read_bytes() == before


def test_an_endless_cell_is_stopped(chapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "CELL_TIMEOUT_SECONDS", 2)
    chapter.write_text("# %%\nwhile True:\n    pass\n")
    with pytest.raises(BookError, match="notebook 01_sums: a cell took longer than 2 s"):
        execute_notebook(chapter)
    assert list(chapter.parent.iterdir()) == [chapter]


def test_chapters_are_named_by_number_or_name(chapter: Path) -> None:
    folder = chapter.parent
    assert scripts_of(folder, ["01"]) == scripts_of(folder, ["01_sums.py"]) == [chapter]
    assert scripts_of(folder) == [chapter]
    with pytest.raises(TinyLMError, match=r"'09'.*01_sums"):
        scripts_of(folder, ["09"])


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=1e-3", 0.001), ("a=3", 3), ("a=[1, 2]", [1, 2]), ("a=b=c", "b=c"), ("a=true", True)],
)
def test_a_parameter_on_the_command_line(text: str, value: object) -> None:
    assert parse_parameter(text) == ("a", value)


@pytest.mark.parametrize("text", ["a", "=1", "a b=1", "a=[1"])
def test_a_malformed_parameter_is_an_error(text: str) -> None:
    with pytest.raises(TinyLMError, match="parameter"):
        parse_parameter(text)
