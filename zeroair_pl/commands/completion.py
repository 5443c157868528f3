"""``zeroair completion``: a script that lets a shell complete commands, options, configs and kinds."""

from __future__ import annotations

from typing import Literal

from zeroair_pl import console
from zeroair_pl.config.commands import COMMANDS, parser_for
from zeroair_pl.config.files import known_configs
from zeroair_pl.plugins import classes

_BASH = """\
# zeroair completion: zeroair completion bash > ~/.local/share/bash-completion/completions/zeroair
_zeroair_options() {
  case "$1" in
@options@
  esac
}
_zeroair() {
  local now=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} options
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "@first@" -- "$now")); return
  fi
  if [ "$COMP_CWORD" -eq 2 ]; then
    case "${COMP_WORDS[1]}" in
@second@
      help) COMPREPLY=($(compgen -W "@first@" -- "$now")); return;;
    esac
  fi
  case "$before" in
    --config) COMPREPLY=($(compgen -W "@configs@" -- "$now") $(compgen -f -- "$now")); return;;
    --degradation|--kind) COMPREPLY=($(compgen -W "@kinds@" -- "$now")); return;;
  esac
  if [[ "$now" == -* ]]; then
    options=$(_zeroair_options "${COMP_WORDS[1]}")
    [ -n "$options" ] || options=$(_zeroair_options "${COMP_WORDS[1]} ${COMP_WORDS[2]}")
    COMPREPLY=($(compgen -W "$options" -- "$now")); return
  fi
  COMPREPLY=($(compgen -f -- "$now"))
}
complete -o filenames -F _zeroair zeroair
"""
_ZSH = "#compdef zeroair\n# zeroair completion zsh > ~/.zsh/zeroair, and 'source ~/.zsh/zeroair' in ~/.zshrc\n"
_ZSH += "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"
_ALSO = ("help", "version")


def completion(shell: Literal["bash", "zsh", "fish"]) -> str:
    """Print a script that lets a shell complete commands, options, and the names of configs and kinds.

    For example: zeroair completion bash > ~/.local/share/bash-completion/completions/zeroair

    Args:
        shell: bash, zsh or fish.
    """
    text = _fish() if shell == "fish" else (_ZSH if shell == "zsh" else "") + _bash()
    console.show(text, end="")
    return text


def _options() -> dict[str, list[str]]:
    """The long options of each command, with dashes between their words."""
    found = {}
    for name in COMMANDS:
        _, parser = parser_for(name)
        words = [word for action in parser._actions for word in action.option_strings if word.startswith("--")]
        dashed = [word.replace("_", "-") for word in words if "." not in word or "help" not in word]
        found[name] = sorted({*dashed, *(["--help-all", "--print-config"] if COMMANDS[name].configs else [])})
    return found


def _words() -> dict[str, list[str]]:
    """The first word of each command, with its possible second words."""
    pairs = [name.partition(" ")[::2] for name in COMMANDS]
    return {first: [second for one, second in pairs if one == first and second] for first, _ in pairs}


def _bash() -> str:
    words = _words()
    parts = {
        "options": "\n".join(f'    "{name}") echo "{" ".join(found)}";;' for name, found in _options().items()),
        "first": " ".join([*words, *_ALSO]),
        "second": "\n".join(
            f'      {first}) COMPREPLY=($(compgen -W "{" ".join(after)}" -- "$now")); return;;'
            for first, after in words.items()
            if after
        ),
        "configs": " ".join(known_configs()),
        "kinds": " ".join(sorted(classes("family"))),
    }
    text = _BASH
    for name, part in parts.items():
        text = text.replace(f"@{name}@", part)
    return text


def _fish() -> str:
    words = _words()
    kinds, lines = sorted(classes("family")), ["# zeroair completion fish > ~/.config/fish/completions/zeroair.fish"]
    lines.append(f"complete -c zeroair -f -n __fish_use_subcommand -a '{' '.join([*words, *_ALSO])}'")
    for first, after in words.items():
        if after:
            lines.append(f"complete -c zeroair -f -n '__fish_seen_subcommand_from {first}' -a '{' '.join(after)}'")
    for name, found in _options().items():
        seen = " and ".join(f"__fish_seen_subcommand_from {word}" for word in name.split())
        for option in found:
            given = {"--config": known_configs(), "--degradation": kinds, "--kind": kinds}.get(option)
            values = f" -ra '{' '.join(given)}'" if given else ""
            lines.append(f"complete -c zeroair -n '{seen}' -l {option[2:]}{values}")
    return "\n".join(lines) + "\n"
