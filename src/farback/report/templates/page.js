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
    if (table.closest(".tall")) addTools(table, original, heads);
  }

  // A button that stays pressed. `change` runs after each click.
  function toggle(text, pressed, change) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.setAttribute("aria-pressed", pressed);
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
      change();
    });
    return button;
  }

  // A search field above a long table, and a button for each verdict that its rows have.
  function addTools(table, rows, heads) {
    const tools = document.createElement("p");
    tools.className = "tools";
    const field = document.createElement("input");
    field.type = "search";
    field.placeholder = "search these rows";
    field.setAttribute("aria-label", "Search the rows of this table");
    const count = document.createElement("span");
    count.setAttribute("role", "status");
    const verdict = (row) => /verdict-(\w+)/.exec(row.querySelector('[class^="verdict-"]')?.className ?? "")?.[1];
    const buttons = new Map();
    const show = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      const chosen = [...buttons].filter(([, button]) => button.getAttribute("aria-pressed") === "true");
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        const fits = !chosen.length || chosen.some(([name]) => name === verdict(row));
        row.hidden = !fits || !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = `${shown} of ${rows.length} rows`;
    };
    for (const name of new Set(rows.map(verdict).filter(Boolean))) {
      const number = rows.filter((row) => verdict(row) === name).length;
      buttons.set(name, toggle(`${name} (${number})`, false, show));
    }
    field.addEventListener("input", show);
    tools.append(field, ...buttons.values(), count);
    table.closest(".box").before(tools);
    if (table.matches(".words")) addMore(table, rows);
    show();
  }

  // On a phone a row of long texts is one line and the beginning of a text, until its button is pressed.
  function addMore(table, rows) {
    table.classList.add("short");
    for (const row of rows) {
      const more = toggle("", false, () => row.classList.toggle("open"));
      more.className = "more";
      more.setAttribute("aria-label", "the whole row");
      row.firstElementChild.append(more);
    }
  }

  // Figures with lines: the value at the pointer, and a button for each line that switches it off.
  const onlyOf = new Map(); // by the id of a section: shows a single line of its figure
  for (const data of document.querySelectorAll("figure > script.lines")) {
    const { x, y, width, height, lines, entries } = JSON.parse(data.textContent);
    const figure = data.parentElement;
    const section = data.closest("section").id;
    const box = figure.querySelector(".drawing");
    let picture = box.querySelector("img");
    const [plot, point, value] = ["plot", "point", "value"].map((name) => {
      const part = document.createElement("div");
      part.className = name;
      return part;
    });
    plot.style.setProperty("--natural", picture.style.getPropertyValue("--natural"));
    picture.replaceWith(plot);
    plot.append(picture, point, value);
    point.hidden = value.hidden = true;

    // The image becomes elements of the page, whose lines can be hidden; its ids get the section's name.
    const parts = new Map();
    const open = () => {
      if (picture.localName === "svg") return;
      const source = decodeURIComponent(picture.src.slice(picture.src.indexOf(",") + 1));
      const svg = document.importNode(new DOMParser().parseFromString(source, "image/svg+xml").documentElement, true);
      for (const one of [svg, ...svg.querySelectorAll("*")]) {
        const name = /^(.*)#[\d-]+$/.exec(one.id)?.[1];
        if (name !== undefined) {
          const line = decodeURIComponent(name);
          parts.set(line, [...(parts.get(line) ?? []), one]);
        }
        if (one.id) one.id = `${section}-${one.id}`;
        const path = one.getAttribute("clip-path");
        if (path) one.setAttribute("clip-path", path.replace("#", `#${section}-`));
        const target = one.getAttributeNS("http://www.w3.org/1999/xlink", "href");
        if (target?.startsWith("#")) one.setAttribute("href", `#${section}-${target.slice(1)}`);
      }
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", picture.alt);
      svg.setAttribute("width", picture.getAttribute("width"));
      svg.setAttribute("height", picture.getAttribute("height"));
      svg.style.setProperty("--natural", picture.style.getPropertyValue("--natural"));
      picture.replaceWith(svg);
      picture = svg;
    };

    const covers = new Map(); // what lies on the entries of a legend, with the names of their lines
    const buttons = new Map();
    const isOn = (name) => buttons.get(name).getAttribute("aria-pressed") === "true";
    const show = () => {
      open();
      for (const [name, own] of parts) {
        for (const one of own) one.style.display = !buttons.has(name) || isOn(name) ? "" : "none";
      }
      for (const [entry, names] of covers) entry.classList.toggle("off", !names.some(isOn));
    };
    for (const { name, colour, dark } of lines) {
      if (buttons.has(name)) continue;
      const button = toggle(name, true, show);
      button.style.setProperty("--on-white", colour);
      button.style.setProperty("--on-dark", dark);
      buttons.set(name, button);
    }
    onlyOf.set(section, (only) => {
      for (const [name, button] of buttons) button.setAttribute("aria-pressed", only === undefined || name === only);
      show();
    });
    if (buttons.size > 1) {
      const all = document.createElement("button");
      all.type = "button";
      all.textContent = "all";
      all.addEventListener("click", () => onlyOf.get(section)());
      const switches = document.createElement("p");
      switches.className = "switches";
      switches.append("Lines:", ...buttons.values(), all);
      figure.querySelector("figcaption").before(switches);
      for (const entry of entries) {
        const names = entry.names.filter((name) => buttons.has(name));
        if (!names.length) continue;
        const cover = document.createElement("div"); // for the mouse: the keyboard has the buttons below
        cover.className = "entry";
        cover.title = "click to switch on or off";
        const share = { left: width, top: height, width, height };
        for (const [side, whole] of Object.entries(share)) cover.style[side] = `${(100 * entry[side]) / whole}%`;
        cover.addEventListener("click", () => {
          const on = !names.some(isOn);
          for (const name of names) buttons.get(name).setAttribute("aria-pressed", on);
          show();
        });
        covers.set(cover, names);
        plot.append(cover);
      }
    }

    plot.addEventListener("pointermove", (event) => {
      const place = picture.getBoundingClientRect();
      const scale = place.width / width;
      let nearest = { distance: 30 }; // pixels
      for (const line of lines) {
        if (!isOn(line.name)) continue;
        for (const [left, top, ...texts] of line.points) {
          const distance = Math.hypot(event.clientX - place.left - left * scale, event.clientY - place.top - top * scale);
          if (distance < nearest.distance) nearest = { distance, left: left * scale, top: top * scale, texts, name: line.name };
        }
      }
      point.hidden = value.hidden = !nearest.name;
      if (!nearest.name) return;
      for (const part of [point, value]) part.style.top = `${nearest.top}px`;
      point.style.left = `${nearest.left}px`;
      value.textContent = `${nearest.name}\n${x || "x"}: ${nearest.texts[0]}\n${y || "y"}: ${nearest.texts[1]}`;
      value.style.left = `${Math.max(0, Math.min(nearest.left + 10, box.scrollLeft + box.clientWidth - value.offsetWidth))}px`;
    });
    plot.addEventListener("pointerleave", () => (point.hidden = value.hidden = true));
  }
  for (const link of document.querySelectorAll("a.shows")) {
    link.title = "show this line alone in the figure";
    link.addEventListener("click", () => onlyOf.get(link.hash.slice(1))?.(link.dataset.line));
  }

  // The Tab key stops only at boxes that have something to scroll to.
  const watcher = new ResizeObserver((seen) => {
    for (const { target } of seen) {
      const scrolls = target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight;
      if (scrolls) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
      const hint = target.parentElement.querySelector(".hint");
      if (hint) hint.hidden = target.scrollWidth <= target.clientWidth;
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
