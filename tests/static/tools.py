"""Static analysis tools, configured in pyproject.toml."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from local.home import ROOT

_SCRIPTS = Path(sysconfig.get_path("scripts"))


def output_of(tool: str, *arguments: str, folder: Path = ROOT, **environment: str) -> str:
    """The output of a tool that finds nothing; findings fail the test.

    :param tool: name of the command, installed beside this Python.
    :param folder: its working directory.
    :param environment: additional variables.
    """
    command = [str(_SCRIPTS / tool), *arguments]
    done = subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{tool} {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout


def imported(file: Path) -> set[str]:
    """The modules that a file imports, also within functions; without the standard library."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)}
    return {module for module in modules if module.partition(".")[0] not in sys.stdlib_module_names}
