"""The components of the page and their places. ``page`` says what they do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from zeroair_pl.app import views
from zeroair_pl.app.brush import BRUSH_JS, brush
from zeroair_pl.app.compare import COMPARE_JS, start
from zeroair_pl.app.kinds import Kind

MOST = 5  # kinds with a slider, of one photo
HEADER = """<header class="zr-head"><h1>zeroair</h1><p>Restores photos on this machine. None of them leaves it.</p>
</header>"""


@dataclass
class Layout:
    """Makes the components of the page; to be called within ``gr.Blocks``.

    Args:
        kinds: the entries of the menu.

    Attributes:
        sliders: by kind and argument.
        groups: the sliders of each kind, which are shown together, by kind.
    """

    kinds: list[Kind]
    sliders: dict[tuple[str, str], Any] = field(default_factory=dict)
    groups: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        gr.HTML(HEADER)
        with gr.Row(elem_classes="zr-columns"):
            with gr.Column(scale=2, min_width=300, elem_classes="zr-side"):
                self._side()
            with gr.Column(scale=5, min_width=360):
                self._main()

    def _side(self) -> None:
        self.drop = gr.File(
            label="Photos", file_count="multiple", height=132, elem_id="zr-drop", show_label=False, container=False
        )
        with gr.Row(elem_classes="zr-buttons"):
            self.folder = gr.UploadButton(
                "Choose a folder", file_count="directory", size="sm", min_width=110, elem_id="zr-folder"
            )
            self.clear = gr.Button(
                "Empty the list", size="sm", min_width=110, elem_id="zr-clear-list", interactive=False
            )
        self.said = gr.HTML("", elem_id="zr-said")
        self.listing = gr.HTML("", elem_id="zr-listing", js_on_load=views.LIST_JS)
        self.kind = gr.Dropdown(
            [(kind.title, kind.name) for kind in self.kinds],
            value=self.kinds[0].name,
            label="What happened to the photos?",
            info=self.kinds[0].hint,
            filterable=False,
            elem_id="zr-kind",
        )
        for kind in self.kinds:
            if not kind.controls:
                continue
            with gr.Group(visible=False) as group:
                for each in kind.controls:
                    self.sliders[kind.name, each.name] = gr.Slider(
                        each.low, each.high, each.default, step=each.step, label=each.words, interactive=True
                    )
            self.groups[kind.name] = group
        self.restore = gr.Button("Restore", variant="primary", interactive=False, elem_id="zr-restore")
        with gr.Row(elem_classes="zr-buttons"):
            self.again = gr.Button("This photo again", size="sm", visible=False, elem_id="zr-again")
            self.stop = gr.Button("Stop", size="sm", variant="stop", visible=False, elem_id="zr-stop")

    def _main(self) -> None:
        self.progress = gr.HTML("", elem_id="zr-progress")
        with gr.Tabs(selected="look") as self.tabs:
            with gr.Tab("Before and after", id="look"):
                self.view = gr.HTML(start(), elem_id="zr-view", js_on_load=COMPARE_JS)
                self.found = gr.HTML("", elem_id="zr-found")
                with gr.Row(visible=False, elem_classes="zr-after-row") as self.result:
                    self.strength = gr.Slider(
                        0, 1, 1, step=0.01, label="Strength", info="Acts at once, without another fit.", scale=3,
                        elem_id="zr-strength",
                    )  # fmt: skip
                    with gr.Column(scale=1, min_width=170):
                        self.download = gr.Button("Download", variant="primary", elem_id="zr-download")
                        self.all = gr.Button("Download all", size="sm", visible=False, elem_id="zr-all")
                with gr.Accordion(
                    "Strength of each kind", open=False, visible=False, elem_id="zr-kinds"
                ) as self.by_kind:
                    self.kind_strengths = [
                        gr.Slider(0, 1, 1, step=0.01, label="", visible=False, interactive=True) for _ in range(MOST)
                    ]
            with gr.Tab("Brush", id="brush"):
                self.brush = gr.HTML(brush(None, None, ""), elem_id="zr-brush", js_on_load=BRUSH_JS)
            with gr.Tab("What was learned", id="learned"):
                self.learned = gr.HTML(views.learned(None), elem_id="zr-learned")
        # A browser needs a link to download a file. This hidden button has it, as soon as the file is written.
        self.file = gr.DownloadButton(visible="hidden", elem_id="zr-file")
