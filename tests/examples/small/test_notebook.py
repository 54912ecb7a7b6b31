"""The notebook runs from its first cell to its last, in a kernel of its own."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[3] / "examples" / "small" / "live_table.ipynb"


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_notebook_runs(tmp_path: Path) -> None:
    """All rides of both days are in the table, and the last cell shows updates of the topic."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    last = len(notebook.cells)
    notebook.cells.append(nbformat.v4.new_code_cell("print(int(table['rides'].sum()), len(updates) >= len(table))"))
    notebook.cells.append(nbformat.v4.new_code_cell("print(app.remove_data())"))
    NotebookClient(notebook, timeout=90, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    assert [cell.outputs[0].text.strip() for cell in notebook.cells[last:]] == ["5000 True", "True"]
