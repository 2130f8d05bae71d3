"""What must stay true of the project as a whole, whoever changes which part of it."""

import ast
import json
import os
import re
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pigeon_recsys

MAX_IMPORT_S = 1.0
MAX_FILE_BYTES = 16 * 2**20  # as much as one file of weights may weigh
HEAVY = {"torch", "transformers", "faiss", "onnxruntime", "pandas", "pyarrow"}
FOR_READERS = {"README.md", ".gitignore"}  # of the checkout; nothing reads them when installed
BUILT_IN_PLACE = {".git", ".venv", "__pycache__", "out"}

IMPORT = "import pigeon_recsys"
SHOW_HELP = """
from contextlib import redirect_stdout, suppress
from io import StringIO
from pigeon_recsys.cli import main
with suppress(SystemExit), redirect_stdout(StringIO()):
    main(["--help"])
"""
LIST_MODULES = "\nimport json, sys; print(json.dumps(sorted(sys.modules)))"


def project_files(root: Path) -> list[Path]:
    """Return the files git tracks or would track; in an unpacked archive, all of them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        paths = [root / name for name in listed.stdout.split("\0") if name]
    else:
        paths = [p for p in root.rglob("*") if BUILT_IN_PLACE.isdisjoint(p.relative_to(root).parts)]
    return [path for path in paths if path.is_file()]


@pytest.fixture(scope="module")
def pyproject(repo_root: Path) -> dict[str, Any]:
    """The parsed pyproject.toml."""
    return tomllib.loads((repo_root / "pyproject.toml").read_text())


def test_the_public_names_are_these_and_all_resolve() -> None:
    assert pigeon_recsys.__all__ == [
        "GenerationSlot",
        "Reference",
        "ScoredItem",
        "Slate",
        "SlotRequest",
    ]
    for name in pigeon_recsys.__all__:
        assert getattr(pigeon_recsys, name).__doc__
        assert name in dir(pigeon_recsys)


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'pigeon_recsys' has no attribute 'GenerationSlott'"):
        pigeon_recsys.GenerationSlott  # noqa: B018


@pytest.mark.parametrize("code", [IMPORT, SHOW_HELP], ids=["import", "--help"])
def test_importing_and_help_are_quick_and_load_nothing_heavy(code: str, repo_root: Path) -> None:
    """The best of three runs counts, because a busy machine only ever adds time."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        run = subprocess.run(
            [sys.executable, "-c", code + LIST_MODULES],
            cwd=repo_root,
            capture_output=True,
            text=True,
            check=True,
        )
        seconds.append(time.perf_counter() - start)
    assert HEAVY.isdisjoint(json.loads(run.stdout))
    assert min(seconds) <= MAX_IMPORT_S


def defined_names(source: Path) -> set[str]:
    """Return the functions and classes a file defines, without importing what it imports."""
    body = ast.parse(source.read_text()).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def test_entry_points_name_what_exists(pyproject: dict[str, Any]) -> None:
    project = pyproject["project"]
    targets = [*project["scripts"].values()]
    for group in project["entry-points"].values():
        targets += group.values()
    for target in targets:
        module, name = target.split(":")
        spec = find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        assert name in defined_names(Path(spec.origin))


def test_the_version_is_stated_alike_in_both_places(pyproject: dict[str, Any]) -> None:
    assert pyproject["project"]["version"] == pigeon_recsys.__version__


def named_requirements(pyproject: dict[str, Any]) -> Iterator[Requirement]:
    """Yield every requirement that pyproject.toml names, ourselves left out."""
    project = pyproject["project"]
    for names in (
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *pyproject["dependency-groups"].values(),
        pyproject["build-system"]["requires"],
    ):
        requirements = (Requirement(name) for name in names)
        yield from (each for each in requirements if each.name != project["name"])


def test_constraints_pin_every_requirement_within_its_bounds(
    pyproject: dict[str, Any], repo_root: Path
) -> None:
    lines = (repo_root / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    unpinned = [
        str(each)
        for each in named_requirements(pyproject)
        if not each.specifier.contains(pins.get(canonicalize_name(each.name), "0.dev0"))
    ]
    assert unpinned == []


def test_all_takes_in_every_extra_that_runs_on_any_machine(pyproject: dict[str, Any]) -> None:
    extras = pyproject["project"]["optional-dependencies"]
    (everything,) = (Requirement(name) for name in extras["all"])
    assert everything.extras == set(extras) - {"all", "cpu", "gpu"}


@pytest.fixture(scope="module")
def wheel(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=repo_root,
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_installs_two_packages_and_nothing_beside_them(wheel: zipfile.ZipFile) -> None:
    top_level = {name.split("/")[0] for name in wheel.namelist()}
    (metadata,) = {name for name in top_level if name.endswith(".dist-info")}
    assert top_level - {metadata} == {"pigeon_recsys", "pigeon_recsys_connectors"}


def test_the_wheel_holds_all_that_the_packages_and_feature_repo_read(
    wheel: zipfile.ZipFile, repo_root: Path
) -> None:
    """Weights, recipes, pages and `py.typed` are read from the installed package."""
    place_in_wheel = {
        "pigeon_recsys": "pigeon_recsys",
        "connectors/pigeon_recsys_connectors": "pigeon_recsys_connectors",
        "feature_repo": "pigeon_recsys_connectors/feature_repo",
    }
    expected = {
        f"{place}/{path.relative_to(repo_root / folder)}"
        for folder, place in place_in_wheel.items()
        for path in project_files(repo_root)
        if path.is_relative_to(repo_root / folder) and path.name not in FOR_READERS
    }
    assert expected - set(wheel.namelist()) == set()


def test_the_imports_follow_the_arrows(repo_root: Path) -> None:
    run = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=repo_root,
        env={**os.environ, "PYTHONPATH": f"{repo_root}:{repo_root / 'connectors'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_recipe_begins_with_the_command_that_runs_it(repo_root: Path) -> None:
    without = [
        path.name
        for path in (repo_root / "pigeon_recsys" / "recipes").glob("**/*.yaml")
        if not re.match(r"# .*pigeon-recsys ", path.read_text().split("\n", 1)[0])
    ]
    assert without == []


def code_blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the language and the text of each fenced block of a Markdown page."""
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        yield match[1], match[2]


def test_the_code_on_our_pages_parses(repo_root: Path) -> None:
    for page in [*repo_root.glob("*.md"), *repo_root.glob("docs/**/*.md")]:
        for language, code in code_blocks(page):
            if language == "python":
                ast.parse(code, filename=page.name)
            if language in ("bash", "sh"):
                subprocess.run(["bash", "-n"], input=code, text=True, check=True)


def test_no_file_is_too_large_for_the_repository(repo_root: Path) -> None:
    large = [p.name for p in project_files(repo_root) if p.stat().st_size > MAX_FILE_BYTES]
    assert large == []
