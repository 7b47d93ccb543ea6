"""What is wrong with a site before it is built: links that lead nowhere, pages that nothing leads to."""

from scripts.sites.sources import TOP, Pages, links


def faults(pages: Pages) -> list[str]:
    """Every fault, in words."""
    return [*pages.missing, *_anchors(pages), *_orphans(pages)]


def _anchors(pages: Pages) -> list[str]:
    found = []
    for page in pages.all.values():
        for written, target, anchor in links(page):
            aim = pages.all.get(target) or pages.all.get(f"{target}/")
            if anchor and aim is not None and anchor not in aim.shown.anchors:
                found.append(f"{page.source}: {written}: {target} has no heading #{anchor}")
    return found


def _orphans(pages: Pages) -> list[str]:
    """Pages that one reaches by no link, from the first page on; the navigation does not count."""
    reached, waiting = {TOP}, [TOP]
    while waiting:
        for _, target, _ in links(pages.all[waiting.pop()]):
            aim = target if target in pages.all else f"{target}/"
            if aim in pages.all and aim not in reached:
                reached.add(aim)
                waiting.append(aim)
    return [f"{source}: no page leads to it" for source in pages.all if source not in reached]
