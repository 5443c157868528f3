"""Colors and fonts of the page; the fonts are those of the system, so that nothing is loaded from a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

_SYSTEM = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif")

THEME = gr.themes.Base(
    primary_hue="teal",
    neutral_hue="stone",
    radius_size="lg",
    font=list(_SYSTEM),
    font_mono=["ui-monospace", "DejaVu Sans Mono", "monospace"],
).set(
    body_background_fill="*neutral_50",
    body_background_fill_dark="*neutral_950",
    body_text_color_subdued="*neutral_600",  # a contrast of at least 4.5 to the paper
    body_text_color_subdued_dark="*neutral_400",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_400",
    block_border_width="0px",
    block_shadow="none",
    block_background_fill="transparent",
    block_background_fill_dark="transparent",
    block_padding="4px",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_text_color="white",
    slider_color="*primary_600",
    color_accent="*primary_600",
    color_accent_soft="*primary_100",
)

# Gradio's field for dropped files ignores folders. This script finds the files in them, and adds them as if they had
# been chosen one by one.
DROP_JS = """() => {
  const files = (entry) => new Promise((done) => {
    if (entry.isFile) return entry.file((file) => done([file]), () => done([]));
    const reader = entry.createReader(), found = [];
    const more = () => reader.readEntries(async (entries) => {
      if (!entries.length) return done(found);
      for (const each of entries) found.push(...await files(each));
      more();
    }, () => done(found));
    more();
  });
  document.addEventListener('drop', async (event) => {
    const input = document.querySelector('#zr-drop input[type=file]');
    if (!input || !event.target.closest?.('#zr-drop')) return;
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (!entries.some((entry) => entry.isDirectory)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const all = new DataTransfer();
    for (const entry of entries) for (const file of await files(entry)) all.items.add(file);
    input.files = all.files;
    input.dispatchEvent(new Event('change', {bubbles: true}));
  }, true);
}"""

LOOK: dict[str, Any] = {"theme": THEME, "css_paths": Path(__file__).parent / "page.css", "js": DROP_JS}
