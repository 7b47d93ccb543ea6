"""Write every reference page: `python -m scripts.references`."""

from scripts.references.pages import DOCS, pages, stale_files

if __name__ == "__main__":
    for path, text in pages().items():
        target = DOCS / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8")
    for target in stale_files():
        target.unlink()
