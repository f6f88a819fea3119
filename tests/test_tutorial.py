"""The fine-tuning tutorial: it runs from its first cell to its last, and its commands are those that there are."""

import re
import shlex
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from typer.main import get_command

from kinbench.cli.app import app

NOTEBOOK = Path(__file__).parent.parent / "docs" / "finetuning.ipynb"


@pytest.fixture(scope="module")
def stored():
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def words_of(notebook):
    """What every cell put out as text, numbers left out: they may differ in the last digit on another machine."""
    texts = [
        [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
        for cell in code_cells(notebook)
    ]
    return [[re.findall(r"[A-Za-z_@-]{3,}", text) for text in each] for each in texts]


def test_was_stored_as_it_ran_from_the_first_cell_to_the_last(stored):
    cells = code_cells(stored)
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    outputs = [output for cell in cells for output in cell.outputs]
    assert all(cell.outputs for cell in cells)
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert any("image/svg+xml" in output.get("data", {}) for output in outputs)


def test_every_command_in_it_is_one_that_a_person_can_type(stored):
    commands = get_command(app).commands
    text = "\n".join(cell.source for cell in stored.cells if cell.cell_type == "markdown")
    lines = [*re.findall(r"^kinbench .+$", text, re.M), *re.findall(r"`(kinbench [^`]+)`", text)]
    assert len(lines) >= 8
    for line in lines:
        _, name, *rest = shlex.split(line)
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert not [word for word in rest if word.startswith("-") and word not in known], line


def test_runs_anew_without_an_error_and_says_the_same(stored, tmp_path):
    again = nbformat.from_dict(stored.copy())
    for cell in code_cells(again):
        cell.outputs, cell.execution_count = [], None
    NotebookClient(again, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert words_of(again) == words_of(stored)
    assert (tmp_path / "kinbench-finetuning" / "weights-b" / "card.json").is_file()
