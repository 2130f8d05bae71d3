"""Setting up: which build is chosen, what is run, and what a second run leaves alone."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import setup_env
from setup_env import (
    KAFKA_PACKAGES,
    TEST_PACKAGES,
    Choice,
    Driver,
    Environment,
    SetupError,
    check_python,
    choose_device,
    explain_missing,
    install_system,
    installer_environment,
    missing_packages,
    package_manager,
    set_up,
)

NO_DRIVER = Driver(is_loaded=False, library_loads=False)
WORKING_DRIVER = Driver(is_loaded=True, library_loads=True)
DRIVER_WITHOUT_LIBRARY = Driver(is_loaded=True, library_loads=False)


class Recorder:
    """Stands in for the runner: records commands, and leaves what a new venv would."""

    def __init__(self, environment: Environment, fail_at: str | None = None) -> None:
        self.environment = environment
        self.fail_at = fail_at
        self.commands: list[str] = []

    def __call__(self, command: Sequence[str]) -> None:
        """Record one command; fail where a word of it is `fail_at`."""
        self.commands.append(" ".join(command))
        if self.fail_at in command:
            raise SetupError("interrupted")
        if "venv" in command:
            (self.environment.folder / "bin").mkdir(parents=True)
            version = "{}.{}.7".format(*self.environment.python_version)
            (self.environment.folder / "pyvenv.cfg").write_text(f"version = {version}\n")
        if command[-1] == "uv":
            (self.environment.folder / "bin" / "uv").touch()


def only(*commands: str) -> Callable[[str], bool]:
    """Return a `which` that finds these commands and no others."""
    return lambda command: command in commands


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A checkout without `.venv`."""
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "constraints.txt").write_text("numpy==2.4.6\n")
    (tmp_path / "overrides-cpu.txt").write_text('# no\nfbgemm-gpu ; python_version < "3"\n')
    (tmp_path / "overrides-gpu.txt").write_text('faiss-cpu ; python_version < "3"\n')
    return Environment(tmp_path, "cpu", (3, 11))


def test_a_machine_without_a_driver_gets_cpu_packages() -> None:
    assert choose_device(None, NO_DRIVER) == Choice(
        "cpu", "no NVIDIA driver is loaded; PIGEON_DEVICE=gpu overrides"
    )


def test_a_machine_with_a_working_driver_gets_gpu_packages() -> None:
    assert choose_device(None, WORKING_DRIVER) == Choice(
        "gpu", "an NVIDIA driver works; PIGEON_DEVICE=cpu overrides"
    )


def test_a_container_without_the_driver_library_gets_cpu_packages() -> None:
    """The kernel's driver shows in every container; only its library says the GPU is lent."""
    assert choose_device(None, DRIVER_WITHOUT_LIBRARY) == Choice(
        "cpu", "libcuda.so.1 does not load; PIGEON_DEVICE=gpu overrides"
    )


@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.parametrize("driver", [NO_DRIVER, WORKING_DRIVER])
def test_the_environment_variable_overrides_the_machine(device: str, driver: Driver) -> None:
    assert choose_device(device, driver) == Choice(device, f"PIGEON_DEVICE={device}")


def test_an_unknown_device_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(SetupError, match="PIGEON_DEVICE must be cpu or gpu, got 'tpu'. Unset it"):
        choose_device("tpu", NO_DRIVER)


def test_an_old_python_is_refused_with_the_way_to_name_another() -> None:
    with pytest.raises(SetupError, match=r"Python 3\.11 or newer is needed, this is 3\.9\. .*make"):
        check_python((3, 9))


def test_a_first_run_makes_the_environment_and_installs_with_constraints(
    environment: Environment,
) -> None:
    run = Recorder(environment)
    assert set_up(environment, (), run)
    make, get_uv, install = run.commands
    assert make.endswith(f"-m venv --clear {environment.folder}")
    assert get_uv.endswith("constraints.txt uv")
    for part in (
        f"--constraint {environment.root}/constraints.txt",
        f"--override {environment.root}/overrides-cpu.txt",
        f"--group {environment.root}/pyproject.toml:dev",
        f"--editable {environment.root}[all,cpu]",
    ):
        assert part in install


def test_a_second_run_installs_nothing(environment: Environment) -> None:
    set_up(environment, (), Recorder(environment))
    run = Recorder(environment)
    assert not set_up(environment, (), run)
    assert run.commands == []


def test_an_interrupted_install_is_taken_up_again(environment: Environment) -> None:
    with pytest.raises(SetupError, match="interrupted"):
        set_up(environment, (), Recorder(environment, fail_at="--editable"))
    assert not environment.stamp.exists()
    run = Recorder(environment)
    assert set_up(environment, (), run)
    (install,) = run.commands  # the folder itself was complete, so it is kept
    assert "--editable" in install


def test_an_environment_that_never_got_uv_is_made_anew(environment: Environment) -> None:
    with pytest.raises(SetupError, match="interrupted"):
        set_up(environment, (), Recorder(environment, fail_at="uv"))
    assert not environment.is_usable()


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "overrides-cpu.txt"])
def test_a_changed_file_is_installed_again(environment: Environment, name: str) -> None:
    set_up(environment, (), Recorder(environment))
    with (environment.root / name).open("a") as file:
        file.write("# changed\n")
    assert set_up(environment, (), Recorder(environment))


def test_another_python_gets_an_environment_of_its_own(environment: Environment) -> None:
    """`version = 3.1` must not be taken for 3.11: the dot after the minor number counts."""
    set_up(environment, (), Recorder(environment))
    assert not Environment(environment.root, "cpu", (3, 12)).is_usable()
    assert not Environment(environment.root, "cpu", (3, 1)).is_usable()


def test_changing_the_device_first_removes_the_other_builds(environment: Environment) -> None:
    """faiss-cpu and faiss-gpu-cu12 hold the same files: the last one removed takes them along."""
    set_up(environment, (), Recorder(environment))
    site = environment.folder / "lib/python3.11/site-packages"
    (site / "faiss_cpu-1.15.1.dist-info").mkdir(parents=True)
    on_gpu = Environment(environment.root, "gpu", (3, 11))
    run = Recorder(on_gpu)
    assert set_up(on_gpu, (), run)
    remove, install = run.commands
    assert remove.endswith(f"uninstall --python {on_gpu.folder}/bin/python faiss-cpu")
    assert install.endswith("[all,gpu]")


def test_a_mirror_configured_for_pip_is_given_to_uv() -> None:
    translated = installer_environment(
        {"PIP_FIND_LINKS": "wheels more-wheels", "PIP_INDEX_URL": "mirror", "HOME": "home"}
    )
    assert translated["UV_FIND_LINKS"] == "wheels,more-wheels"
    assert translated["UV_DEFAULT_INDEX"] == "mirror"
    assert translated["HOME"] == "home"


def test_uvs_own_settings_win_over_pips() -> None:
    translated = installer_environment({"PIP_INDEX_URL": "pips", "UV_DEFAULT_INDEX": "uvs"})
    assert translated["UV_DEFAULT_INDEX"] == "uvs"


def test_any_of_a_packages_commands_will_do() -> None:
    assert (
        missing_packages(
            TEST_PACKAGES, only("chromium-browser", "java", "mvn", "redis-server", "pg_ctlcluster")
        )
        == []
    )
    assert missing_packages(TEST_PACKAGES, only()) == list(TEST_PACKAGES)


def test_root_installs_through_the_package_manager() -> None:
    manager = package_manager(only("apt-get"), is_root=True)
    assert manager == ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]


@pytest.mark.parametrize(("passwordless", "first"), [(True, "sudo"), (False, None)])
def test_sudo_is_used_only_where_it_asks_nothing(
    monkeypatch: pytest.MonkeyPatch, passwordless: bool, first: str | None
) -> None:
    monkeypatch.setattr(setup_env, "sudo_needs_no_password", lambda: passwordless)
    manager = package_manager(only("apt-get", "sudo"), is_root=False)
    assert (manager[0] if manager else None) == first


def test_a_system_without_apt_has_no_package_manager() -> None:
    assert package_manager(only(), is_root=True) is None


def test_system_packages_are_installed_after_an_update(environment: Environment) -> None:
    run = Recorder(environment)
    install_system(TEST_PACKAGES, ["apt-get"], run)
    assert run.commands == [
        "apt-get update -qq",
        "apt-get install -y -qq --no-install-recommends default-jre-headless maven chromium "
        "redis-server postgresql",
    ]


@pytest.mark.parametrize(
    ("arguments", "packages"),
    [
        ([], ()),
        (["--with-kafka-packages"], KAFKA_PACKAGES),
        (["--with-system-packages"], TEST_PACKAGES),
    ],
)
def test_only_the_programs_asked_for_are_installed(
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    packages: tuple[setup_env.SystemPackage, ...],
) -> None:
    """`make demo` needs none, `make kafka` only its own, and the tests all of them."""
    asked_for = []
    monkeypatch.setattr(setup_env, "set_up", lambda _, packages, __: asked_for.append(packages))
    assert setup_env.main(arguments) == 0
    assert asked_for == [packages]
    assert set(KAFKA_PACKAGES) < set(TEST_PACKAGES)


def test_what_may_not_be_installed_is_named_before_any_work(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", only())
    run = Recorder(environment)
    with pytest.raises(SetupError) as caught:
        set_up(environment, TEST_PACKAGES, run)
    assert run.commands == []
    assert str(caught.value) == explain_missing(TEST_PACKAGES)
    assert "chromium or chromium-browser (Debian package chromium)" in str(caught.value)
    assert "java (Debian package default-jre-headless): running the Kafka" in str(caught.value)
    assert "mvn (Debian package maven): fetching the Kafka broker" in str(caught.value)


def test_ctrl_c_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(setup_env, "set_up", interrupt)
    assert setup_env.main([]) == 130
    assert "interrupted; the next run goes on from here" in capsys.readouterr().err


def test_a_wrong_device_is_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIGEON_DEVICE", "tpu")
    assert setup_env.main([]) == 1
    assert capsys.readouterr().err.startswith("setup: PIGEON_DEVICE must be cpu or gpu")
