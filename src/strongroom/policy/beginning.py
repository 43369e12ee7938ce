"""Beginning: the policies that a deployment begins with. From the genesis on, they are the log's."""

from importlib.resources import files as packaged

from strongroom.policy.source import PolicyFile


def default_bundle() -> tuple[PolicyFile, ...]:
    """Return the policies that a deployment begins with, by name."""
    return tuple(
        PolicyFile(name=file.name, text=file.read_text("utf-8"))
        for file in sorted((packaged(__package__) / "defaults").iterdir(), key=lambda file: file.name)
        if file.name.endswith(".cedar")
    )
