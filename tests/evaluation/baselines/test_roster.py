"""The baselines by name."""

import pytest

from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.evaluation.baselines.roster import BASELINE_KEYS, BaselineSource, load_baselines
from pigeon_recsys.evaluation.method_roster import ABLATION_KEYS, CONTROL_KEYS, METHOD_KEYS
from pigeon_recsys.evaluation.methods import Method
from pigeon_recsys.testing.fakes import FakeCatalog, FakeEmbedder
from tests.alignment.tiny_pigeon import save_tiny_run, tiny_pigeon


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    save_tiny_run(folder, tiny_pigeon())
    return folder


def load(keys, weights):
    source = BaselineSource(weights, FakeEmbedder())
    chosen = (weights / "embedder.safetensors",)
    return load_baselines(keys, FakeCatalog(), None, source, chosen)


def test_only_what_is_asked_for_is_loaded_and_it_says_what_selects(weights):
    """Stage 1 and the trained baselines are not in this folder, and nobody misses them."""
    methods = load(("own", "backbone", "dreambooth", "textual-inversion"), weights)
    assert list(methods) == ["backbone", "textual-inversion", "dreambooth"]
    for method in methods.values():
        assert isinstance(method, Method)
        assert method.selection_weights == (weights / "embedder.safetensors",)


def test_a_run_without_its_stage_1_says_so(weights):
    with pytest.raises(ArtifactError, match=r"stage1/pigeon\.json is missing"):
        load(("stage1",), weights)


def test_controls_and_baselines_are_all_methods_and_share_no_name():
    assert (*CONTROL_KEYS, *ABLATION_KEYS, *BASELINE_KEYS) == METHOD_KEYS
    assert len(set(METHOD_KEYS)) == len(METHOD_KEYS)
