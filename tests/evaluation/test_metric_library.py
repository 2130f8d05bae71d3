"""torchmetrics: found quietly, or named with the extra that brings it."""

import sys

import pytest

from pigeon_recsys.errors import MissingExtra
from pigeon_recsys.evaluation.metric_library import torchmetric


def test_a_metric_is_found_without_a_warning():
    assert callable(torchmetric("functional.image", "structural_similarity_index_measure"))


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics.image.fid", None)
    with pytest.raises(MissingExtra, match=r'needs torchmetrics. .*"pigeon-recsys\[evaluation\]"'):
        torchmetric("image.fid", "FrechetInceptionDistance")
