"""What the world may read: files under `published/`, each replaced in one step."""

from smki.authority.safe_files import write_over
from smki.authority.workspace import Workspace

_FOLDER_MODE = 0o755


def publish(workspace: Workspace, name: str, data: bytes) -> None:
    """Put a file where a static web server finds it."""
    path = workspace.home / "published" / name
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True)
        path.parent.chmod(_FOLDER_MODE)
    write_over(path, data)


def published(workspace: Workspace, name: str) -> str | None:
    """What was last published under a name."""
    try:
        return (workspace.home / "published" / name).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
