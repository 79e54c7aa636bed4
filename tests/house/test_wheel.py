"""The wheel: three packages, all their files and nothing else; and what happens if others clash."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import medfuse

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"medfuse", "registration", "pipelines"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the installed hatchling, offline."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an empty folder, without its dependencies or any index."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "-q"]
    done = subprocess.run(
        [*pip, "--target", str(folder), str(wheel)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return folder


def run(code: str, *path: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run ``code`` with the folders of ``path`` before all others."""
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_wheel_holds_three_packages_and_all_their_files(wheel: Path) -> None:
    info = f"medfuse-{medfuse.__version__}.dist-info"
    with zipfile.ZipFile(wheel) as box:
        names = set(box.namelist())
    assert {name.split("/")[0] for name in names} == {*PACKAGES, info}
    there = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if not name.startswith(info)} == there
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert "medfuse/__init__.pyi" in names
    assert any(name.endswith("page.html") for name in names)
    assert f"{info}/licenses/LICENSE" in names


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    info = f"medfuse-{medfuse.__version__}.dist-info"
    with zipfile.ZipFile(wheel) as box:
        metadata = box.read(f"{info}/METADATA").decode()
        commands = box.read(f"{info}/entry_points.txt").decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: >=3.11" in metadata
    assert "medfuse = pipelines.cli.app:main" in commands


def test_the_installed_wheel_works(installed: Path, tmp_path: Path) -> None:
    code = (
        "import medfuse as mf; print(mf.__file__);"
        "[getattr(mf, name) for name in mf.__all__];"
        "from pipelines.cli.app import main; import sys; sys.argv = ['medfuse', '--help']; main()"
    )
    done = run(code, installed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(installed) in done.stdout.splitlines()[0]
    assert "register" in done.stdout


@pytest.mark.parametrize("init", ["", None], ids=["package", "folder"])
def test_a_stranger_that_hides_a_package_is_named(
    installed: Path, tmp_path: Path, init: str | None
) -> None:
    stranger = tmp_path / "elsewhere" / "registration"
    stranger.mkdir(parents=True)
    (stranger / "pairwise.py").write_text("def register(): ...\n")
    if init is not None:
        (stranger / "__init__.py").write_text(init)
    done = run("import medfuse as mf; mf.register", stranger.parent, installed, cwd=tmp_path)
    if init is None:  # a package always goes before a folder without __init__.py
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: 'registration' was loaded from")
    assert str(stranger) in last
    assert str(installed) in last


def test_a_folder_of_the_user_does_not_hurt_the_command(installed: Path, tmp_path: Path) -> None:
    for package in ("pipelines", "registration", "medfuse"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError('not mine')\n")
    command = Path(sys.executable).with_name("medfuse")
    done = subprocess.run(
        [str(command), "--version"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert medfuse.__version__ in done.stdout
