"""Golden logs: one that each release wrote, and the directory that it folded it to. For ever the same.

    golden/<version>/entries, checkpoint     as `strongroom log export` writes them
    golden/<version>/directory.json          the directory after the last entry: its canonical bytes
    golden/<version>/name                    the deployment's

`python -m tests.vectors.golden` writes that of the version that this is, until the release; then never again.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from strongroom import __version__
from strongroom.acts.role_give import RoleGive
from strongroom.client.aliases import set_alias
from strongroom.client.requests import thaw
from tests.verify.stories import Forger, Story, leaves_of, told

GOLDEN = Path(__file__).parent / "golden"


def write(folder: Path) -> None:
    """Have five people do some of everything, through the real keep, and write down its log."""
    with tempfile.TemporaryDirectory() as scratch, told(Path(scratch)) as story:
        _go_on(story)
        world, keys = story.world, (story.forger.log_key, story.forger.time_key)
        Forger(world, *keys, leaves_of(world)).export(folder)
        (folder / "directory.json").write_bytes(world.keeper.directory.encode())
        (folder / "name").write_text(f"{world.deployment}\n", encoding="ascii")


def _go_on(story: Story) -> None:
    """Thaw the model, which the story leaves frozen, and name a version of it."""
    world = story.world
    thawing = thaw(world.session("Ada"), story.model, "somebody is at it", "nobody was")
    world.agree(thawing, "Ben", "Cleo", role="governor")
    world.govern("role.give", RoleGive(subject=world.person("Eve"), role="writer", team="core"))
    set_alias(world.session("Eve"), "acme/atlas@prod", story.made.version)


if __name__ == "__main__":
    shutil.rmtree(GOLDEN / __version__, ignore_errors=True)
    write(GOLDEN / __version__)
