"""The examples in docstrings of the public names run as they stand."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ["api", "config.objects", "photos.memory", "tensors.arrays"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    module = importlib.import_module(f"zeroair_pl.{name}")
    failed, tried = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert tried
    assert not failed
