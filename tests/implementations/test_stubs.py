"""The stubs of the two packages list what the packages have."""

from __future__ import annotations

import ast
import importlib

import pytest

from tests.implementations import write_stubs
from weight_port import arch


@pytest.mark.parametrize("package", write_stubs.PACKAGES)
def test_the_stub_is_what_the_table_gives(package: str) -> None:
    written = write_stubs.path(package).read_text()
    assert written == write_stubs.stub(package), "python -m tests.implementations.write_stubs"


@pytest.mark.parametrize("package", write_stubs.PACKAGES)
def test_an_editor_sees_every_public_name(package: str) -> None:
    module = importlib.import_module(package)
    names: set[str] = set()
    for node in ast.parse(write_stubs.path(package).read_text()).body:
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            names.add(ast.unparse(node.target))
    assert names == set(module.__all__)
    assert set(arch.ARCHITECTURES) <= names


@pytest.mark.parametrize("package", write_stubs.PACKAGES)
def test_every_network_is_its_packages(package: str) -> None:
    """Also those that are called as their module: alexnet, googlenet and nin."""
    module = importlib.import_module(package)
    importlib.import_module(f"{package}.alexnet")
    assert len(module.__all__) == len(set(module.__all__))
    for name in arch.ARCHITECTURES:
        assert getattr(module, name) is module.MODELS[name]
    scope: dict[str, object] = {}
    exec(f"from {package} import *", scope)  # noqa: S102
    assert set(module.__all__) <= set(scope)
    assert scope["resnet50"] is module.resnet50
