"""The wheel and the source archive hold what they should, once; the wheel works where it is installed."""

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pytest
import yaml

import comity
from tests.support.layers import MAY_IMPORT
from tests.support.optional import ROOT

# Never in the wheel: the browser's client is npm's to ship, the rest is made by tools.
NOT_SHIPPED: Final = ("clients/js", "__pycache__")

TRY_EVERY_MODULE: Final = """
import importlib, pkgutil, comity
print(comity.__version__, *comity.__path__)
for module in pkgutil.walk_packages(comity.__path__, "comity."):
    importlib.import_module(module.name)
    print(module.name)
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command to its end and return what it printed; fail with what it said on stderr."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(kind: str, source: Path, into: Path) -> Path:
    """Build a "wheel" or an "sdist" of a source tree; hatchling is at hand, so nothing is downloaded."""
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", into, cwd=source)
    (made,) = into.iterdir()
    return made


def shipped() -> Iterator[PurePosixPath]:
    """Yield every file of the four folders that a wheel must hold, relative to the root."""
    for folder in MAY_IMPORT:
        for path in (ROOT / folder).rglob("*"):
            relative = PurePosixPath(path.relative_to(ROOT))
            if path.is_file() and not any(part in str(relative) for part in NOT_SHIPPED):
                yield relative


def names(wheel: Path) -> list[str]:
    """Return the names of the files in a wheel, without its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return sorted(name for name in archive.namelist() if ".dist-info/" not in name)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


def test_wheel_holds_every_file_of_the_four_folders_once(wheel: Path) -> None:
    own = ["comity/__init__.py", "comity/__main__.py", "comity/py.typed"]
    assert names(wheel) == sorted([*own, *(f"comity/{path}" for path in shipped())])


def test_wheel_holds_what_is_not_python(wheel: Path) -> None:
    found = names(wheel)
    assert "comity/server/dashboard/index.html" in found
    assert any(name.startswith("comity/persistence/migrations/") for name in found)
    with zipfile.ZipFile(wheel) as archive:
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in archive.namelist())


def test_wheel_is_the_same_from_the_source_archive(wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(build("sdist", ROOT, tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    assert names(build("wheel", source, tmp_path / "wheel")) == names(wheel)


def test_wheel_works_in_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    install = ("-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    run(sys.executable, *install, cwd=tmp_path)
    # Dependencies come from the environment of this test: a path in a .pth file is searched last, and the
    # .pth files that lie in it, such as that of an editable comity, are not read.
    purelib = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path)
    site = Path(purelib.strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))

    head, *modules = run(python, "-c", TRY_EVERY_MODULE, cwd=tmp_path).splitlines()
    assert head == f"{comity.__version__} {site / 'comity'}"
    assert {f"comity.{folder}" for folder in MAY_IMPORT} <= set(modules)
    assert comity.__version__ in run(tmp_path / "venv" / "bin" / "comity", "--version", cwd=tmp_path)


def test_compose_file_publishes_on_loopback_and_keeps_the_data() -> None:
    compose: Any = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    service = compose["services"]["comity"]
    dockerfile = (ROOT / "Dockerfile").read_text().splitlines()
    assert service["ports"] == ["127.0.0.1:8765:8765"]
    assert "EXPOSE 8765" in dockerfile
    (volume,) = service["volumes"]
    name, _, target = volume.partition(":")
    assert name in compose["volumes"]
    assert f"VOLUME {target}" in dockerfile
