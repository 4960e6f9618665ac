"""Pictures that the server draws, and the HTML file: not blank, of the size asked for, for nobody else."""

import io
import re
import subprocess
from base64 import b64decode

import numpy as np
import pytest
from lattice_page import sent_header
from PIL import Image

from lab.figures.cube import render
from lab.figures.cube.cuts import Cut, lattice_scene
from lab.figures.cube.fields import CellField
from lab.figures.cube.films import film
from lab.figures.cube.render import RenderError, check_rendering, scene_mesh, scene_png, volume_png
from lab.figures.cube.viewpoint import Viewpoint
from lab.files.export import film_html

SIZE = (4, 4, 4)


@pytest.fixture
def field() -> CellField:
    return CellField(SIZE, "made up", np.linspace(0, 1, 64, dtype=np.float32), (0.0, 1.0))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_a_volume_and_a_scene_are_drawn(field: CellField) -> None:
    view = Viewpoint.around(SIZE)
    fog = pixels(volume_png(field, view, size=(200, 160), background="#ffffff", opacity=0.8))
    assert fog.shape == (160, 200, 3)
    assert len(np.unique(fog.reshape(-1, 3), axis=0)) > 100
    for cut in (Cut(), Cut("surface", level=0.5)):
        picture = pixels(scene_png(lattice_scene(field, cut), view, size=(200, 160), background=None))
        assert picture.shape == (160, 200, 4)
        drawn = picture[..., 3] > 0
        assert 0.03 < drawn.mean() < 0.7
        assert not drawn[0].any()


def test_the_mesh_of_a_scene_has_its_colors(field: CellField) -> None:
    scene = lattice_scene(field, Cut())
    mesh = scene_mesh(scene)
    assert mesh.n_cells == 96
    assert scene.table is not None
    np.testing.assert_array_equal(mesh.cell_data["rgb"], scene.table[scene.colors])


def test_a_camera_is_read_as_the_browser_tells_it() -> None:
    view = Viewpoint.parse("1,2,3,4,5,6,0,0,1")
    assert (view.position, view.focal_point, view.up) == ((1, 2, 3), (4, 5, 6), (0, 0, 1))
    for wrong in ("1,2", "a,2,3,4,5,6,0,0,1", "nan,2,3,4,5,6,0,0,1"):
        with pytest.raises(ValueError):  # noqa: PT011
            Viewpoint.parse(wrong)
    around = Viewpoint.around((2, 2, 2), azimuth=0, elevation=0)
    assert around.position[1:] == (1, 1)
    assert around.position[0] > 4


def test_without_graphics_libraries_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], -11, "", "")

    monkeypatch.setattr(render.subprocess, "run", crash)
    check_rendering.cache_clear()
    with pytest.raises(RenderError, match="libosmesa6"):
        check_rendering()
    check_rendering.cache_clear()


def test_the_html_holds_all_pictures_and_asks_nobody(field: CellField) -> None:
    scenes = film(
        lambda at: lattice_scene(field, Cut("slices", planes=(at, 0, 0))), 0, 2, 2, name="made up"
    )
    page = film_html(scenes, title="A </script> cube", caption='"quoted" & <b>')
    assert page.count("</script>") == 1
    (message,) = re.findall(r'atob\("([^"]+)"\)', page)
    assert len(sent_header(b64decode(message))["film"]["others"]) == 2
    assert "A &lt;/script&gt; cube" in page
    outside = page[: page.index("const source")]
    assert not re.search(r"https?:|src=|@import|url\(", outside)
