"""What a notebook shows of a restored photo and of a list of them."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.command import save_toy
from helpers.toys import ToyPrior, toy_photo
from zeroair_pl import Method, restore
from zeroair_pl.method import display
from zeroair_pl.method.display import LIMIT, restored_html, table_html


class Checked(HTMLParser):
    """Follows the open tags, and fails if a tag is closed that is not open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in ("img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def images(html: str) -> list[Image.Image]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


def test_a_restored_photo_shows_itself() -> None:
    method = Method.from_config("dehaze", prior=ToyPrior(), sampling={"steps": 2})
    restored = method.restore(toy_photo(40, 60, 0)[0], "<b>harbor</b>.jpg")
    html = restored._repr_html_()
    assert Checked(html).seen.count("input") == 1
    assert len(html) <= LIMIT
    assert "http" not in html
    assert "<script" not in html
    assert "&lt;b&gt;harbor&lt;/b&gt;.jpg" in html
    assert "Haze" in html
    after, before, *maps = images(html)
    assert after.size == before.size == (60, 40)
    assert len(maps) == sum(values.ndim >= 2 for values in restored.diagnostics.values()) > 0
    pixels = torch.from_numpy(np.array(before)).permute(2, 0, 1) / 255
    assert (pixels - restored.photo.pixels).abs().mean() < 0.1
    assert "0.6" in restored.blend(0.6)._repr_html_()


@pytest.mark.parametrize("size", [(1200, 900), (30, 2000)])
def test_it_stays_small(size: tuple[int, int]) -> None:
    noise = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    maps = {f"map {i}": np.random.default_rng(i).random(size) for i in range(12)}
    html = restored_html(noise, noise.flip(-1), {"kind": "noise"}, maps)
    assert len(html) <= LIMIT
    assert len(images(html)) > 2
    Checked(html)


def test_a_result_that_is_larger_than_its_photo() -> None:
    html = restored_html(torch.rand(3, 20, 30), torch.rand(3, 40, 60), {}, {"number": np.array(0.25)})
    assert [image.size for image in images(html)] == [(60, 40), (60, 40)]
    assert "0.25" in html


def test_results_show_their_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_toy(tmp_path / "in/a.png")
    (tmp_path / "in/b.png").write_bytes(b"no picture")
    options = {"prior": "helpers.toys.ToyPrior", "sampling": {"steps": 2}, "quiet": True}
    html = restore("in", "denoise", out="out", strips=False, tensorboard=False, **options)._repr_html_()
    Checked(html)
    assert "<td>restored</td>" in html
    assert "not a PNG" in html
    assert "<th>psnr</th>" not in html, "a column without values"


def test_a_long_table_is_cut() -> None:
    html = table_html(["name"], ([f"<{i}>"] for i in range(display.ROWS + 5)))
    assert html.count("<tr>") == 1 + display.ROWS
    assert "and 5 more" in html
    assert "&lt;0&gt;" in html
