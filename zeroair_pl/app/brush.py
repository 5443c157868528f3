"""The brush of the page: a canvas above the photo, on which people paint a mask."""

from __future__ import annotations

from html import escape

import numpy as np
from PIL import Image
from torch import Tensor

from zeroair_pl.app.pictures import SIDE, data_uri, picture
from zeroair_pl.app.shots import Shot


def brush(shot: Shot | None, pixels: Tensor | None, hint: str) -> str:
    """HTML of a photo with a canvas above it, to paint on; a hint to choose a photo if there is none.

    Args:
        shot: the photo; its mask is drawn again.
        pixels: of the photo, (3, H, W) in [0, 1].
        hint: a sentence above the photo.
    """
    if shot is None or pixels is None:
        return '<p class="zr-quiet">Choose a photo first.</p>'
    h, w = pixels.shape[-2:]
    scale = min(1.0, SIDE / max(h, w))
    size = f'width="{max(1, round(w * scale))}" height="{max(1, round(h * scale))}"'
    mask = ""
    if shot.mask is not None:
        drawn = np.zeros((*shot.mask.shape, 4), np.uint8)
        drawn[shot.mask] = (*PAINT, 255)
        mask = f'<img class="zr-mask" hidden alt="" src="{data_uri(Image.fromarray(drawn), "PNG")}">'
    return (
        f'<p class="zr-quiet">{escape(hint)}</p>'
        f'<figure class="zr-compare zr-paint" style="--ratio:{w / h:.5f}"><img class="zr-after" '
        f'alt="{escape(shot.name)}, to paint on" src="{picture(pixels)}"><canvas {size}></canvas>{mask}</figure>'
        '<div class="zr-tools"><label>Size <input class="zr-width" type="range" min="1" max="30" value="8"></label>'
        '<label><input class="zr-erase" type="checkbox"> Erase</label>'
        '<button type="button" class="zr-clear">Clear</button></div>'
    )


PAINT = (255, 77, 109)

BRUSH_JS = """
let last = null;
const canvas = () => element.querySelector('canvas');
const told = () => trigger('paint', {mask: canvas().toDataURL('image/png')});
const spot = (event) => {
  const box = canvas().getBoundingClientRect();
  return [(event.clientX - box.left) * canvas().width / box.width,
          (event.clientY - box.top) * canvas().height / box.height];
};
const draw = (event) => {
  const pen = canvas().getContext('2d'), here = spot(event);
  pen.globalCompositeOperation = element.querySelector('.zr-erase').checked ? 'destination-out' : 'source-over';
  pen.strokeStyle = 'rgb(255, 77, 109)';
  pen.lineCap = pen.lineJoin = 'round';
  pen.lineWidth = element.querySelector('.zr-width').value / 100 * Math.min(canvas().width, canvas().height);
  pen.beginPath();
  pen.moveTo(...(last || here));
  pen.lineTo(...here);
  pen.stroke();
  last = here;
};
element.addEventListener('pointerdown', (event) => {
  if (event.target !== canvas()) return;
  event.preventDefault();
  canvas().setPointerCapture(event.pointerId);
  last = null;
  draw(event);
});
element.addEventListener('pointermove', (event) => { if (last) draw(event); });
element.addEventListener('pointerup', () => { if (last) { last = null; told(); } });
element.addEventListener('pointercancel', () => { last = null; });
element.addEventListener('click', (event) => {
  if (!event.target.classList.contains('zr-clear')) return;
  canvas().getContext('2d').clearRect(0, 0, canvas().width, canvas().height);
  told();
});
const again = () => {
  const mask = element.querySelector('.zr-mask');
  last = null;
  if (!mask || !canvas()) return;
  const put = () => canvas().getContext('2d').drawImage(mask, 0, 0, canvas().width, canvas().height);
  if (mask.complete) put(); else mask.addEventListener('load', put);
};
watch('value', again);
again();
"""
