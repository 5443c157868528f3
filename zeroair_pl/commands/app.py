"""``zeroair app``: a page in the browser, for people without a command line."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

from zeroair_pl import console
from zeroair_pl.config.files import find_config
from zeroair_pl.errors import ConfigError
from zeroair_pl.ranges import Range, ranged

_LOCAL = ("127.0.0.1", "localhost", "::1")


@ranged()
def app(
    port: Annotated[int | None, Range(1, 65535)] = None,
    host: str = "127.0.0.1",
    open: bool = False,
    layers: list[str] | None = None,
    megapixels: Annotated[float, Range(0, 200, above=True)] = 50,
) -> None:
    """Show a page in the browser: drop photos, see them before and after, download them. Ctrl-C ends it.

    It works without a network. Photos stay on this machine, and what was uploaded is removed at the end.

    Args:
        port: of the page; by default the first free one from 7860.
        host: the address to listen at. By default only this machine can open the page; 0.0.0.0 lets others open it.
        open: open it in the browser at once.
        layers: configs on top of each kind's: fast, or files of your own.
        megapixels: size of the largest photo that the page takes.

    Raises:
        ConfigError: Gradio is not installed, or the address, the port or a config cannot be used.
    """
    if find_spec("gradio") is None:
        raise ConfigError("the page needs Gradio: pip install 'zeroair-pl[app]'")
    from zeroair_pl.app.serve import forever, serving

    for layer in layers or ():
        find_config(layer, "--layers")
    if host not in _LOCAL:
        console.tell(f"warning: --host {host}: whoever reaches this machine can use the page; it has no password.")
    with serving(host, port, tuple(layers or ()), megapixels=megapixels) as served:
        console.show(f"zeroair is at {served.url} (Ctrl-C ends it)")
        if open:
            import webbrowser

            webbrowser.open(served.url)
        forever()
