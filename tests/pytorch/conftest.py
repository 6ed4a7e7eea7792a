"""Small modules run on fastconv, too, but where a test asks for the rule."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def whatever_the_size(request, monkeypatch):
    pytest.importorskip("torch")
    if "_by_rule" in request.node.name:
        return
    from fastconv.torch import runner

    monkeypatch.setattr(runner, "LEAST_PRODUCTS", 0)
    monkeypatch.setattr(runner, "LEAST_USES", 0)
