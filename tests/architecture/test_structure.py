"""The rules about the code that no type checker sees."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def _texts() -> list[tuple[str, str]]:
    found = []
    for path in _tracked():
        data = path.read_bytes()
        if b"\0" not in data:
            found.append((str(path.relative_to(ROOT)), data.decode()))
    return found


def _modules() -> list[str]:
    files = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in names]


def test_no_source_file_is_longer_than_400_lines() -> None:
    long = [(name, text.count("\n")) for name, text in _texts() if name.endswith((".py", ".sql"))]

    assert [entry for entry in long if entry[1] > 400] == []


def test_packages_import_only_what_the_design_allows() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("module", _modules())
def test_every_module_can_be_imported(module: str) -> None:
    importlib.import_module(module)


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {file.parent for package in PACKAGES for file in (ROOT / package).rglob("*.py")}

    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_the_installed_programs_are_those_of_the_project() -> None:
    ours = {entry.name: entry.value for entry in entry_points(group="console_scripts")}

    assert {name: ours.get(name) for name in PROJECT["project"]["scripts"]} == PROJECT["project"]["scripts"]


def test_the_version_is_the_same_everywhere() -> None:
    assert version(PROJECT["project"]["name"]) == PROJECT["project"]["version"]


@pytest.mark.parametrize("lock", [*LOCKS, "requirements-build.lock"])
def test_a_lock_names_no_host_and_hashes_everything(lock: str) -> None:
    lines = (ROOT / lock).read_text().splitlines()
    pins = [line for line in lines if re.match(r"[A-Za-z0-9]", line)]

    assert [line for line in lines if re.search(r"://|index|find-links|@", line)] == []
    assert pins
    assert all(re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+ .*\\$", pin) for pin in pins)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_direct_dependency(lock: str) -> None:
    pinned = {_plain(line.split("==")[0]) for line in (ROOT / lock).read_text().splitlines() if "==" in line}
    wanted = [*PROJECT["project"]["dependencies"]]
    if "dev" in lock:
        wanted += [*PROJECT["project"]["optional-dependencies"]["embedded"], *_group("dev")]

    assert {_plain(re.split(r"[<>=\[]", dependency)[0]) for dependency in wanted} - pinned == set()


def _group(name: str) -> list[str]:
    found: list[str] = []
    for entry in PROJECT["dependency-groups"][name]:
        found += [entry] if isinstance(entry, str) else _group(entry["include-group"])
    return found


def test_both_locks_agree() -> None:
    runtime, dev = (
        dict(line.split(" ")[0].split("==") for line in (ROOT / lock).read_text().splitlines() if "==" in line)
        for lock in LOCKS
    )

    assert {name: dev.get(name) for name in runtime} == runtime


def test_nothing_tracked_names_the_machine_it_was_made_on() -> None:
    private = re.compile(r"(?<![\w.$}])/(?:root|home/\w+|Users/\w+|work)/")

    assert [
        name for name, text in _texts() if private.search(text) and name != "tests/architecture/test_structure.py"
    ] == []


def test_sql_files_travel_with_the_package() -> None:
    sql = [
        path.relative_to(ROOT)
        for path in _tracked()
        if path.suffix == ".sql" and path.parts[len(ROOT.parts)] in PACKAGES
    ]
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", *map(str, sql)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert sql
    assert ignored.stdout == ""


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
