"""`strongroom completion bash|zsh|fish`: the script with which a shell completes commands, options and known names."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import ClassVar

import click
from click.shell_completion import (
    BashComplete,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

from strongroom.cli import here, known
from strongroom.terms.errors import NotFound

VARIABLE = "_STRONGROOM_COMPLETE"
_BASH = """\
%(complete_func)s() {
    local line=${COMP_LINE:0:COMP_POINT} type value
    local word=${line##*[[:space:]]}
    local before=${word%%"${word##*[@:=]}"}
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            plain) COMPREPLY+=("${value#"$before"}") ;;
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
        esac
    done < <(env "COMP_WORDS=$line" %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
"""Bash breaks words at `@` and `:`, which names have: so it is told what follows the break."""


class Bash(BashComplete):
    """As click has it, but for names with `@` in them, and without asking a shell for its version."""

    source_template: ClassVar[str] = _BASH

    def source(self) -> str:
        """Return the script."""
        return self.source_template % self.source_vars()

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one that is being typed, and that one, as far as it is there."""
        line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)
        incomplete = "" if not words or re.search(r"\s\Z", line) else words.pop()
        return words[1:], incomplete


_SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": ZshComplete, "fish": FishComplete}
add_completion_class(Bash, "bash")


@click.command()
@click.argument("shell", type=click.Choice(list(_SHELLS)), metavar="SHELL")
def completion(shell: str) -> None:
    """Print the script with which bash, zsh or fish completes commands, options and names.

    \b
    bash   eval "$(strongroom completion bash)"             in ~/.bashrc
    zsh    eval "$(strongroom completion zsh)"              in ~/.zshrc, after compinit
    fish   strongroom completion fish | source              in ~/.config/fish/config.fish

    From then on, commands leave the names that they learned in a file of the profile, `known.json`, for you alone:
    models, versions, aliases, people. Remove the file to have them forgotten.
    """  # noqa: D301 - click takes a backspace for "leave these lines as they are"
    with suppress(NotFound):  # without a profile, commands and options are completed
        known.begin(here.folder())
    made = _SHELLS[shell](click.get_current_context().find_root().command, {}, "strongroom", VARIABLE)
    click.echo(made.source(), nl=False)


commands = (completion,)
