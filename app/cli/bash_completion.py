"""Completion for bash that gets past a colon: `--left openvino:` is three words for bash, and one for us."""

from __future__ import annotations

from typer import _completion_shared

SCRIPT = r"""
%(complete_func)s() {
    local line="${COMP_LINE:0:COMP_POINT}" typed head
    typed="${line##*[[:space:]]}"
    mapfile -t COMPREPLY < <(env %(autocomplete_var)s=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
        _TYPER_COMPLETE_ARGS="$line" "$1" 2>/dev/null | cut -f1)
    # Bash replaces only what stands behind the last colon.
    typed="${typed##*=}"
    if [[ $typed == *:* && $COMP_WORDBREAKS == *:* ]]; then
        head="${typed%%"${typed##*:}"}"
        COMPREPLY=("${COMPREPLY[@]#"$head"}")
    fi
}

complete -o default -F %(complete_func)s %(prog_name)s
"""
"""Asks as fish does: with the line as it was typed. The words that bash would give are cut at colons."""


def install() -> None:
    """Let `--install-completion` and `--show-completion` give this script to bash."""
    _completion_shared._completion_scripts["bash"] = SCRIPT
