"""``zeroair prior …``: converts, downloads, lists and describes priors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zeroair_pl import console
from zeroair_pl.errors import typed
from zeroair_pl.paths import at_home
from zeroair_pl.priors.hub.adm import convert_adm
from zeroair_pl.priors.hub.catalog import CATALOG, Entry, fetched, fetched_names, find, home, known
from zeroair_pl.priors.hub.locating import bundled_priors, locate


def convert(checkpoint: Path, out: Path, **settings: Any) -> Path:
    """Turn an OpenAI guided-diffusion (ADM) checkpoint into a folder that ``restore --prior`` and diffusers load.

    The released 256x256_diffusion_uncond.pt, 256x256_diffusion.pt, 64x64_diffusion.pt and lsun_*.pt need no option. The
    last four options are for other networks: they have the names and values of the flags that were used in training.

    Args:
        checkpoint: the downloaded .pt file. It is opened with weights_only, so nothing in it can run.
        out: the folder to make. It is written whole or not at all.
        settings: see ``convert_adm``.

    Returns:
        The folder.
    """
    checkpoint, out = at_home(checkpoint), at_home(out)
    convert_adm(checkpoint, out, **settings)
    console.show(f"{checkpoint} is converted; use it with: --prior.path {out}")
    return out


def fetch(name: str, out: Path | None = None, class_label: int | None = None, keep: bool = False) -> Path:
    """Download a known prior and make it ready for --prior.path NAME.

    An interrupted download is continued by the same command. Checksums are compared where they are known. OpenAI's
    checkpoints are converted (see 'prior convert') and then deleted, as the folder is all that is used.

    Args:
        name: as 'prior list' shows it; the name of the checkpoint file or a hub id will do too.
        out: the folder to make; by default one in $ZEROAIR_HOME/priors or ~/.cache/zeroair/priors, found by its name.
        class_label: class-conditional networks only: the class to fix, which makes the network unconditional.
        keep: keep OpenAI's checkpoint beside the folder.

    Returns:
        The folder.
    """
    from zeroair_pl.priors.hub import fetching

    return fetching.fetch(find(name), out, class_label=class_label, keep=keep)


def list_() -> None:
    """Show the priors inside the package, those that were fetched, and those that can be."""
    rows = [("name", "state", "size", "trained at", "license", "what it knows")]
    for name in bundled_priors():
        entry = known(name)
        size = sum(file.stat().st_size for file in locate(name).rglob("*") if file.is_file())
        about, license = (entry.about, entry.license) if entry else ("", "")
        rows.append((name, "bundled", _megabytes(size), "any size", license, about))
    for entry in CATALOG.values():
        if entry.kind != "bundled":
            state = "fetched" if fetched(entry.name) else "to fetch"
            about = entry.about + (f"; takes --class_label 0 to {entry.classes - 1}" if entry.classes else "")
            side = f"{entry.resolution} px" if entry.resolution else "any size"
            rows.append((entry.name, state, _download_size(entry), side, entry.license, about))
    for name in fetched_names():
        if name not in CATALOG:
            rows.append((name, "fetched", "", "", "", f"in {home()}"))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        console.show(
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[5]]).rstrip()
        )


def info(prior: str) -> None:
    """Show what a prior is: network, schedule, precision, sizes, measured errors, and the beginning of its model card.

    Args:
        prior: as for --prior.path: a name, a folder, a hub id or a denoiser; a name that is not fetched yet is
            only described.
    """
    from zeroair_pl.priors.denoiser import is_denoiser
    from zeroair_pl.priors.hub.facts import card, facts

    entry = known(prior)
    if is_denoiser(prior):
        shown, lines = _denoiser(prior), list[str]()
    elif entry is not None and entry.kind != "bundled" and not Path(prior).is_dir() and fetched(prior) is None:
        shown, lines = _described(entry), []
    else:
        folder = locate(prior)
        shown, lines = facts(folder), card(folder)
        if entry is not None:
            shown |= {"license": entry.license, "what it knows": entry.about}
    width = max(map(len, shown))
    for what, value in shown.items():
        console.show(f"{what:{width}}  {value}")
    for line in ["", *lines] if lines else []:
        console.show(line)


def _denoiser(path: str) -> dict[str, str]:
    from zeroair_pl.priors.denoiser import DenoiserNetwork
    from zeroair_pl.priors.hub.facts import errors

    prior = DenoiserNetwork(path)
    network = prior.found.network
    size = f"{sum(each.numel() for each in network.parameters()):,}" if network is not None else "unknown"
    shown = {"name": prior.name, "denoiser": prior.found.kind, "parameters": size}
    return {**shown, "calibration": errors(prior.calibration)}


def _described(entry: Entry) -> dict[str, str]:
    label = " --class_label N" if entry.classes else ""
    return {
        "name": entry.name,
        "state": f"to fetch: {typed(f'prior fetch {entry.name}{label}')}",
        "from": entry.page,
        "size": _download_size(entry),
        "sha256": entry.sha256 or "not known",
        "parameters": f"{entry.parameters:,}",
        "trained at": f"{entry.resolution} px",
        "license": entry.license,
        "what it knows": entry.about,
    }


def _download_size(entry: Entry) -> str:
    return _megabytes(entry.bytes or 0) if entry.size else f"about {_megabytes(entry.bytes or 0)}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
