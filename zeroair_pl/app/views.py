"""Parts of the page as HTML: the list, the progress, what was found, what was learned."""

from __future__ import annotations

import re
import time
from html import escape

from zeroair_pl.app.session import Session
from zeroair_pl.app.shots import Shot
from zeroair_pl.jobs.records import in_words
from zeroair_pl.tensors.arrays import as_maps
from zeroair_pl.tensors.drawing import data_uri, map_panels, short

MAPS = 260  # height of a map

# What learned maps and numbers say, by the end of their names. Those of a plugin have their names alone.
MEANINGS = {
    "transmission": "how much of the scene came through: low where the haze is thick",
    "airlight": "the color of the haze",
    "illumination": "how much light fell there",
    "gamma": "the tone curve: above 1, it darkened the shadows",
    "veil": "the light that the water added",
    "kernel": "how the blur spread each point",
    "streaks": "the light that rain or snow added",
    "missing": "what was filled",
    "quality": "of the JPEG",
}
_SHARE = re.compile(r"(\d+)% of (.*?)(?:: (.*))?", re.DOTALL)


def listing(session: Session) -> str:
    """The list of photos with their states; a click picks one."""
    if not session.shots:
        return ""
    rows = "".join(_row(shot, shot is session.current) for shot in session.shots.values())
    return f'<div class="zr-list" role="group" aria-label="Photos">{rows}</div>'


LIST_JS = """
element.addEventListener('click', (event) => {
  const row = event.target.closest('[data-key]');
  if (row) trigger('pick', {key: row.dataset.key});
});
"""


def _row(shot: Shot, chosen: bool) -> str:
    result = shot.restored
    kind = "left as it is" if result is None or result.unchanged else f"restored: {in_words(result.kind)}"
    said = {
        "waiting": "waiting",
        "running": "at work",
        "restored": kind,
        "failed": shot.reason.removeprefix(f"{shot.name}: "),
    }[shot.status]
    picture = f'<img alt="" src="{shot.thumbnail}">' if shot.thumbnail else '<span class="zr-blank"></span>'
    return (
        f'<button type="button" aria-current="{str(chosen).lower()}" data-key="{shot.key}" '
        f'class="zr-row zr-{shot.status}" title="{escape(said)}">{picture}<span class="zr-name">{escape(shot.name)}'
        f"<small>{escape(said)}</small></span></button>"
    )


def progress(session: Session) -> str:
    """The progress bar of the run; empty if there is no run."""
    shot, news = session.running, session.progress
    if shot is None:
        return ""
    done = sum(each.status in ("restored", "failed") for each in session.shots.values())
    count = f"{done + 1} of {done + 1 + len(session.waiting)} · " if len(session.shots) > 1 else ""
    share = news.done / news.total if news.total else 0.0
    if not news.total:
        said = "waiting for its turn"
    elif news.done == news.total:
        said = "last touches"
    else:
        left = (time.monotonic() - session.began) * (1 - share) / share
        said = f"step {news.done} of {news.total}" + (f", about {left:.0f} s left" if left >= 2 else "")
    return (
        f'<div class="zr-progress" role="progressbar" aria-label="{escape(shot.name)}" '
        f'aria-valuenow="{100 * share:.0f}" aria-valuemin="0" '
        f'aria-valuemax="100"><p>{count}{escape(shot.name)} · {said}</p>'
        f'<span><i style="width:{100 * share:.1f}%"></i></span></div>'
    )


def found(shot: Shot | None) -> str:
    """What was found in a photo, in words, and the share that is corrected; the reason if it failed."""
    if shot is None:
        return ""
    if shot.status == "failed":
        return f'<div class="zr-error" role="alert">{escape(shot.reason)}</div>'
    if (result := shot.restored or shot.preview) is None:
        return ""
    title, why, share = in_words(result.kind).capitalize(), result.reason, ""
    if match := _SHARE.fullmatch(result.reason):
        what, why = match[2], match[3] or ""
        title = f"{title}: {what}"
        share = (
            f'<span class="zr-share" title="how much of it is corrected"><i style="width:{match[1]}%"></i></span>'
            f"<b>{match[1]} %</b>"
        )
    elif result.unchanged:
        title, why = "Left as it is", f"{result.reason}.".capitalize()
    elif result.kind == "Noise":
        title, why = "Noise", ""
    noise = f"noise of {255 * result.noise_level:.1f} of 255"
    left = f"{noise} left after that" if "noise of" in why and why != noise else noise  # that was removed first
    parts = [left, f"{result.nfe} passes of the model", f"{result.seconds:.1f} s"]
    notes = [f"<p>{escape(text)}</p>" for text in (why, result.note) if text and text != noise]
    return (
        f'<div class="zr-found" role="status"><h3>{escape(title)}{share}</h3>{"".join(notes)}'
        f'<p class="zr-facts">{" · ".join(parts)}</p></div>'
    )


def learned(shot: Shot | None) -> str:
    """The learned maps and numbers of a photo."""
    result = (shot.restored or shot.preview) if shot is not None else None
    if result is None:
        return '<p class="zr-quiet">What was learned from a photo is shown here when it is restored.</p>'
    named = {in_words(name): values for name, values in result.diagnostics.items()}
    maps = as_maps({name: values for name, values in named.items() if values.ndim >= 2})
    figures = (
        f'<figure><img alt="{escape(caption)}" src="{data_uri(image, "PNG")}"><figcaption>{escape(caption)}'
        f"{_meaning(name)}</figcaption></figure>"
        for name, values in maps.items()
        for caption, image in map_panels({name: values}, MAPS, 3 * MAPS)
    )
    numbers = {name: values.ravel().tolist() for name, values in named.items() if values.ndim < 2}
    rows = (
        f"<dt>{escape(name)}</dt><dd>{_chip(values)}{', '.join(map(short, values[:8]))}{_meaning(name)}</dd>"
        for name, values in {**numbers, "noise, of 255": [255 * result.noise_level]}.items()
    )
    return f'<div class="zr-maps">{"".join(figures)}</div><dl class="zr-numbers">{"".join(rows)}</dl>'


def _meaning(name: str) -> str:
    said = MEANINGS.get(name.rpartition(" ")[2])
    return f"<small>{said}</small>" if said else ""


def _chip(values: list[float]) -> str:
    """A patch of color if there are three numbers, which are a color in [0, 1]; else empty."""
    if len(values) != 3:
        return ""
    color = ", ".join(str(round(255 * min(max(value, 0.0), 1.0))) for value in values)
    return f'<i class="zr-chip" style="background: rgb({color})"></i>'
