"use strict";
{
  const NUMBER = /[-+\u2212]?\d*\.?\d+(?:e[-+]?\d+)?|-?\binf\b/gi;
  const alphabet = new Intl.Collator("en", { numeric: true });
  const turns = { ascending: "descending", descending: "", "": "ascending" };

  // What a cell sorts by. "26 (24 to 30)" is 26, "at least 80" or ">= 80" a little more than 80, "below 5" or "< 5" a
  // little less than 5, "none" less than all; a second number decides between equal ones. A cell without a number comes last, whichever way it is sorted.
  const sortKey = (text) => {
    if (/^none$/i.test(text)) return [-Infinity, 0, 0];
    const share = /^(\d+)\s*(?:\/|of)\s*(\d+)\b/.exec(text); // "3 of 5" and "3/5" are shares
    if (share) return [share[1] / share[2], 0, Number(share[2])];
    const found = (text.match(NUMBER) ?? []).map((one) => Number(one.replace("\u2212", "-").replace("inf", "Infinity")));
    if (!found.length) return null;
    const side = /^(?:[<\u2264]|below )/.test(text) ? -1 : /^(?:[>\u2265]|at least )/.test(text) ? 1 : 0;
    return [found[0], side, found[1] ?? found[0]];
  };

  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "string") return sign * alphabet.compare(a, b);
    const at = a.findIndex((value, place) => value !== b[place]);
    return at < 0 ? 0 : sign * (a[at] < b[at] ? -1 : 1);
  };

  for (const table of document.querySelectorAll("table.sorts")) {
    const [body] = table.tBodies;
    const original = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      const words = document.createElement("span");
      words.append(...head.childNodes);
      button.append(words);
      head.append(button);
      const numeric = head.classList.contains("number");
      const keyed = (row) => {
        const text = row.cells[column].textContent.trim();
        return numeric ? sortKey(text) : text || null;
      };
      button.addEventListener("click", () => {
        const turn = turns[head.getAttribute("aria-sort") ?? ""];
        for (const other of heads) other.removeAttribute("aria-sort");
        if (turn) head.setAttribute("aria-sort", turn);
        const sign = turn === "descending" ? -1 : 1;
        const keys = new Map(original.map((row) => [row, keyed(row)]));
        body.append(...(turn ? [...original].sort((a, b) => compare(keys.get(a), keys.get(b), sign)) : original));
      });
    });
  }

  // The Tab key stops only at boxes that have something to scroll to.
  const watcher = new ResizeObserver((seen) => {
    for (const { target } of seen) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  for (const box of document.querySelectorAll(".box")) watcher.observe(box);

  // Shown without an address of its own (MLflow shows an artifact so): links to files beside the page lead nowhere.
  if (["about:", "blob:", "data:"].includes(location.protocol)) {
    for (const link of document.querySelectorAll("a[href]")) {
      const to = link.getAttribute("href");
      if (to.startsWith("#")) {
        link.addEventListener("click", (event) => {
          event.preventDefault();
          document.getElementById(to.slice(1))?.scrollIntoView();
        });
      } else if (!/^[a-z]+:/i.test(to)) {
        link.removeAttribute("href");
      }
    }
  }
}
