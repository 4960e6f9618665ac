"""The committed front-end files belong to the sources beside them.

That they are byte for byte what the sources build is checked by ``lab/frontend/check.sh``, which needs
Node.js and the npm registry; this needs neither, and catches sources changed without a build.
"""

import hashlib
import re
from pathlib import Path

import pytest

from lab.assets import FILES, FOLDER, asset_routes, asset_url

FRONTEND = Path(__file__).parents[3] / "lab" / "frontend"


def sources_digest() -> str:
    names = ["build.mjs", "package-lock.json"]
    files = [path for path in (FRONTEND / "src").rglob("*") if path.is_file()]
    names += [path.relative_to(FRONTEND).as_posix() for path in files]
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name}\0".encode() + (FRONTEND / name).read_bytes())
    return digest.hexdigest()


@pytest.mark.parametrize("name", ["cube.js", "curves.js", "markup.js"])
def test_a_bundle_was_built_from_the_sources_beside_it(name: str) -> None:
    found = re.search(r"Sources sha256: ([0-9a-f]{64})", (FOLDER / name).read_text(encoding="utf-8")[:300])
    assert found is not None
    assert found[1] == sources_digest(), "run 'npm ci && npm run build' in lab/frontend"


@pytest.mark.parametrize("name", ["cube.js", "curves.js", "markup.js"])
def test_a_bundle_names_no_other_host_to_load_from(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    hosts = set(re.findall(r"https?://([\w.-]+)", text))
    assert hosts <= {"www.w3.org", "github.com", "www.kitware.com", "kitware.github.io"}, hosts


def test_licenses_name_every_package_in_the_bundles() -> None:
    text = (FOLDER / "THIRD_PARTY_LICENSES.txt").read_text(encoding="utf-8")
    named = re.findall(r"^(\S+) \d+\.\d+\.\d+ \(", text, flags=re.MULTILINE)
    assert named == sorted(named)
    assert {"@kitware/vtk.js", "gl-matrix", "seedrandom"} <= set(named)


def test_addresses_change_with_the_content_and_routes_serve_exactly_the_files() -> None:
    addresses = {name: asset_url(name) for name in FILES}
    assert all(re.fullmatch(rf"assets/{name}\?v=[0-9a-f]{{16}}", url) for name, url in addresses.items())
    assert [route.path for route in asset_routes()] == [f"/assets/{name}" for name in FILES]  # type: ignore[attr-defined]


def test_no_source_replaces_what_belongs_to_the_browser() -> None:
    own = re.compile(r"\b(?:globalThis|window|self|document)(?:\.(\w+)|\[[^\]]*\])\s*(?:[?|&]{2})?=(?!=)")
    for path in (FRONTEND / "src").rglob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert set(own.findall(text)) <= {
            "cellnetFeeds",
            "cellnetPlotly",
            "cellnetReports",
        }, path
        assert not re.search(
            r"Object\.(assign|definePropert\w+)\(\s*(globalThis|window|self|document)", text
        )
        assert ".prototype." not in text, path
        assert not re.search(
            r"^\s*(setTimeout|clearTimeout|fetch|requestAnimationFrame)\s*=", text, re.M
        ), path
