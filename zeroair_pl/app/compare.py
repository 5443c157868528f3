"""A photo before and after on the page: whole, with a divider, or a part of it pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from torch import Tensor

from zeroair_pl.app.pictures import SIDE, picture
from zeroair_pl.method.large import working_size
from zeroair_pl.method.restored import Restored
from zeroair_pl.method.shares import mixed_for
from zeroair_pl.photos.sizes import as_large_as

AROUND = 48  # px around a part that decide, too, how it is mixed; see ``shares``


@dataclass(frozen=True)
class Zoom:
    """A part of a photo that is shown at 100 %: one pixel of the photo for one of the screen.

    Attributes:
        x, y: its middle, as shares of the width and the height.
        width, height: how many pixels the screen has for it.
    """

    x: float = 0.5
    y: float = 0.5
    width: int = 800
    height: int = 600

    def slices(self, size: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns of a photo of ``size`` (height, width)."""
        found = []
        for middle, wanted, length in ((self.y, self.height, size[0]), (self.x, self.width, size[1])):
            wanted = min(max(32, min(wanted, SIDE)), length)
            first = min(max(0, round(middle * length - wanted / 2)), length - wanted)
            found.append(slice(first, first + wanted))
        return found[0], found[1]


def start() -> str:
    """The steps that the page explains while there is no photo."""
    steps = ("Drop photos or folders.", "Say what happened to them, or let it be found.", "Press Restore.")
    rows = "".join(f"<li>{step}</li>" for step in steps)
    return f'<div class="zr-start"><h2>Bring a photo back</h2><ol>{rows}</ol></div>'


def before(pixels: Tensor, name: str) -> str:
    """A photo without a result, (3, H, W) in [0, 1]."""
    h, w = pixels.shape[-2:]
    return (
        f'<figure class="zr-compare" style="--ratio:{w / h:.5f}">'
        f'<img class="zr-after" alt="{escape(name)}, before" src="{picture(pixels)}"></figure>'
    )


def compare(restored: Restored, name: str, note: str = "", zoom: Zoom | None = None) -> str:
    """A photo before and after, with a divider to be moved by the mouse, a finger or the arrow keys.

    Args:
        restored: the photo.
        name: of its file.
        note: a sentence in the picture.
        zoom: the part to show at 100 %; ``None`` for the whole photo.
    """
    size = h, w = restored.full.shape[-2], restored.full.shape[-1]
    images = [restored.full, as_large_as(restored.photo.pixels, size)]
    images += [as_large_as(each, size) for each in restored.steps]
    if zoom is not None:
        after, was = _part(images, restored, *zoom.slices(size))
    else:
        if h * w > SIDE * SIDE:  # the page shows no more pixels, and a smaller picture is mixed faster
            images = [working_size(each[None], SIDE * SIDE)[0] for each in images]
        after, was = _mixed(images, restored), images[1]
    said = f'<figcaption class="zr-note">{escape(note)}</figcaption>' if note else ""
    one = f"--ratio:{after.shape[-1] / after.shape[-2]:.5f}"
    figure = (
        f'<figure class="zr-compare{" zr-full" if zoom else ""}" style="{one};--wide:{after.shape[-1]}">'
        f'<img class="zr-after" alt="{escape(name)}, restored" src="{picture(after)}">'
        f'<img class="zr-before" alt="{escape(name)}, before" src="{picture(was)}">'
        '<span class="zr-line"></span><span class="zr-tag zr-left">before</span>'
        '<span class="zr-tag zr-right">after</span>'
        '<input class="zr-divider" type="range" min="0" max="100" step="1" value="50" '
        f'aria-label="Divider between before and after">{said}</figure>'
    )
    return figure + _zooming(images[0], zoom, (h, w))


def _mixed(images: Sequence[Tensor], restored: Restored) -> Tensor:
    after, was, *steps = images
    return mixed_for(was, after, restored.strength, restored.kind, steps)


def _part(images: Sequence[Tensor], restored: Restored, rows: slice, columns: slice) -> tuple[Tensor, Tensor]:
    """The part after and before."""
    top, left = max(0, rows.start - AROUND), max(0, columns.start - AROUND)
    near = [each[:, top : rows.stop + AROUND, left : columns.stop + AROUND] for each in images]
    inner = (..., slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    return _mixed(near, restored)[inner], near[1][inner]


def _zooming(whole: Tensor, zoom: Zoom | None, size: tuple[int, int]) -> str:
    """The buttons below a photo: all of it or 100 %; at 100 % also a small copy that shows which part is seen."""
    buttons = "".join(
        f'<button type="button" class="zr-zoom" data-zoom="{value}" aria-pressed="{str(pressed).lower()}">{text}'
        "</button>"
        for value, text, pressed in (("fit", "Whole photo", zoom is None), ("full", "100 %", zoom is not None))
    )
    small = ""
    if zoom is not None:
        (y, h), (x, w) = (
            ((part.start + part.stop) / 2 / length, (part.stop - part.start) / length)
            for part, length in zip(zoom.slices(size), size, strict=True)
        )
        if h < 1 or w < 1:
            small = (
                f'<button type="button" class="zr-map" style="--x:{x:.4f};--y:{y:.4f};--w:{w:.4f};--h:{h:.4f}" '
                'aria-label="The part that is shown; the arrow keys move it">'
                f'<img alt="" src="{picture(whole, 120, 80)}"><i></i></button>'
            )
    return f'<div class="zr-tools zr-zooming" role="group" aria-label="Size">{buttons}{small}</div>'


# Keeps the divider where it is when the picture changes, as under the strength slider.
COMPARE_JS = """
let at = 50, map = false, had = false;
const place = () => {
  const figure = element.querySelector('.zr-compare'), divider = element.querySelector('.zr-divider');
  // On a narrow screen a result is below the button, out of sight.
  if (divider && !had && window.innerWidth < 700) setTimeout(() => element.scrollIntoView({block: 'nearest'}), 100);
  had = Boolean(divider);
  if (!divider) return;
  figure.style.setProperty('--at', at + '%');
  divider.value = at;
  if (map) element.querySelector('.zr-map')?.focus();
};
const show = (x, y) => {
  const one = window.devicePixelRatio || 1;
  const wide = element.getBoundingClientRect().width, high = Math.max(240, 0.54 * window.innerHeight);
  element.style.setProperty('--one', one);
  trigger('zoom', {x, y, width: Math.round(one * wide), height: Math.round(one * high)});
};
element.addEventListener('input', (event) => {
  if (event.target.classList.contains('zr-divider')) { at = event.target.value; place(); }
});
element.addEventListener('click', (event) => {
  const button = event.target.closest('.zr-zoom'), small = event.target.closest('.zr-map');
  map = Boolean(small);
  if (button) button.dataset.zoom === 'full' ? show(0.5, 0.5) : trigger('zoom', {});
  if (small && event.detail) {
    const box = small.getBoundingClientRect();
    show((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  }
});
element.addEventListener('keydown', (event) => {
  const small = event.target.closest('.zr-map');
  const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
  if (!small || !step) return;
  event.preventDefault();
  const [x, y, w, h] = ['--x', '--y', '--w', '--h'].map((name) => +small.style.getPropertyValue(name));
  const inside = (value) => Math.min(1, Math.max(0, value));
  map = true;
  show(inside(x + step[0] * w / 2), inside(y + step[1] * h / 2));
});
watch('value', place);
place();
"""
