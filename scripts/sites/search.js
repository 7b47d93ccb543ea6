// Search without a server: the index is a script, so that it loads from a file as well. Without scripts nothing is lost
// but the search: its field is hidden until this runs.
"use strict";
{
  const up = document.body.dataset.up;
  const form = document.getElementById("search");
  const field = form.querySelector("input");
  const found = document.getElementById("found");
  const documents = document.getElementById("documents");
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    found.querySelector("a")?.click();
  });
  let loading = null;
  const load = () =>
    (loading ??= new Promise((resolve) => {
      const script = document.createElement("script");
      script.src = `${up}/search-index.js`;
      script.onload = () => resolve(INDEX);
      document.head.append(script);
    }));
  const score = ([page, heading, , words], wanted) => {
    const head = heading.toLowerCase(), top = page.toLowerCase(), text = words.toLowerCase();
    let sum = 0;
    for (const word of wanted) {
      const here = (head === word ? 12 : head.includes(word) ? 6 : 0) + (top.includes(word) ? 2 : 0) + (text.includes(word) ? 1 : 0);
      if (!here) return 0;
      sum += here;
    }
    return sum;
  };
  field.addEventListener("input", async () => {
    const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    found.hidden = !wanted.length;
    documents.hidden = Boolean(wanted.length);
    const rows = wanted.length ? await load() : [];
    const best = rows
      .map((row) => [score(row, wanted), row])
      .filter(([points]) => points)
      .sort((one, other) => other[0] - one[0])
      .slice(0, 20);
    found.replaceChildren(
      ...best.map(([, [page, heading, href]]) => {
        const item = document.createElement("li"), link = document.createElement("a"), where = document.createElement("small");
        link.href = `${up}/${href}`;
        link.textContent = heading;
        where.textContent = page;
        item.append(link, where);
        return item;
      }),
    );
  });
}
