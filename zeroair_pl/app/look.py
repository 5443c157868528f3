"""How the page looks: quiet colors, the system's own fonts, nothing from a network."""

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

LOOK: dict[str, Any] = {"theme": THEME, "css_paths": Path(__file__).parent / "page.css"}
