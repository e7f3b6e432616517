"""Bash completion of words with a colon: bash splits `openvino:int8` into three words, Typer expects one."""

from __future__ import annotations

# Typer has no public way to replace one shell's script, so pyproject.toml pins the release that this is
# tested with.
from typer import _completion_shared

SCRIPT = r"""
%(complete_func)s() {
    local line="${COMP_LINE:0:COMP_POINT}" typed head
    typed="${line##*[[:space:]]}"
    mapfile -t COMPREPLY < <(env %(autocomplete_var)s=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
        _TYPER_COMPLETE_ARGS="$line" "$1" 2>/dev/null | cut -f1)
    # Bash replaces only the part after the last colon.
    typed="${typed##*=}"
    if [[ $typed == *:* && $COMP_WORDBREAKS == *:* ]]; then
        head="${typed%%"${typed##*:}"}"
        COMPREPLY=("${COMPREPLY[@]#"$head"}")
    fi
}

complete -o default -F %(complete_func)s %(prog_name)s
"""
"""Uses Typer's protocol for fish, which passes the line as typed; the one for bash splits it at colons."""


def install() -> None:
    """Replace Typer's bash script, which `--install-completion` and `--show-completion` print."""
    _completion_shared._completion_scripts["bash"] = SCRIPT
