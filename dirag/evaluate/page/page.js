"use strict";
(() => {
  const STEP = 50; // texts that are shown at a time
  const LOOK = {
    "correct": "correct", "wrong type": "type", "type and boundary": "type", "too long": "edge", "too short": "edge",
    "shifted": "edge", "split": "part", "merged": "part", "entangled": "part", "missed": "alone", "spurious": "alone",
  };
  const at = (id) => document.getElementById(id);
  const { types, kinds, documents, runs } = JSON.parse(at("data").textContent);
  const [search, kind, type, run, beside] = ["search", "kind", "type", "run", "beside"].map(at);
  const list = at("list"), more = at("more"), status = at("status");
  const folded = []; // what is searched of each text, made when it is first needed
  let found = [], shown = 0;

  const made = (name, className, ...inside) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    element.append(...inside);
    return element;
  };

  // Spans of one side over its text. Spans may overlap: the text is cut at every end, and a piece looks like the
  // span that begins last of those over it. Offsets are code points, which an array of characters has as places.
  const side = (heading, characters, spans) => {
    const line = made("p");
    const cuts = new Set([0, characters.length, ...spans.flatMap(([start, end]) => [start, end])]);
    const places = [...cuts].sort((a, b) => a - b);
    places.slice(1).forEach((end, i) => {
      const piece = characters.slice(places[i], end).join("");
      const over = spans.filter((span) => span[0] <= places[i] && span[1] >= end);
      if (!over.length) return line.append(piece);
      const top = kinds[over[over.length - 1][3]];
      const mark = made("mark", `k-${LOOK[top]}${top === "correct" ? "" : " wrong"}`, piece);
      for (const [, last, t, k, score] of over) {
        if (last !== end) continue;
        const said = [types[t], ...(k ? [kinds[k]] : []), ...(score == null ? [] : [score.toFixed(2)])];
        mark.append(made("span", `label k-${LOOK[kinds[k]]}`, said.join(" · ")));
      }
      line.append(mark);
    });
    if (!characters.length) line.append("(empty)");
    return made("div", "", made("h4", "", heading), line);
  };

  const item = (number) => {
    const [id, text] = documents[number], characters = Array.from(text);
    const chosen = [runs[run ? run.value : 0], ...(beside && beside.value !== "" ? [runs[beside.value]] : [])];
    const sides = [side(runs.length > 1 ? `Gold, against ${chosen[0].name}` : "Gold", characters, chosen[0].gold[number])];
    for (const each of chosen) {
      sides.push(side(runs.length > 1 ? each.name : "Predicted", characters, each.found[number]));
    }
    return made("li", "", made("article", "", made("h3", "", id), made("div", "sides", ...sides)));
  };

  const differ = (a, b) => a.length !== b.length || a.some((span, i) => [0, 1, 2].some((j) => span[j] !== b[i][j]));

  const matches = (number) => {
    const main = runs[run ? run.value : 0], other = beside && beside.value !== "" ? runs[beside.value] : null;
    const spans = [...main.gold[number], ...main.found[number]];
    const typed = type.value === "" ? spans : spans.filter((span) => types[span[2]] === type.value);
    if (kind.value === "any") return type.value === "" || typed.length > 0;
    if (kind.value === "error") return typed.some((span) => span[3] > 0);
    if (kind.value === "differ") return other !== null && differ(main.found[number], other.found[number]);
    return typed.some((span) => kinds[span[3]] === kind.value);
  };

  const show = () => {
    const next = found.slice(shown, shown + STEP).map(item);
    list.append(...next);
    shown += next.length;
    more.hidden = shown === found.length;
    more.textContent = `Show ${Math.min(STEP, found.length - shown)} more`;
    const hint = kind.value === "differ" && beside.value === "" ? "; choose a run to set beside" : "";
    status.textContent = `${found.length} of ${documents.length} texts, ${shown} shown${hint}`;
    return next[0];
  };

  const filter = () => {
    const wanted = search.value.trim().toLowerCase();
    found = [...documents.keys()].filter((number) => {
      if (!matches(number)) return false;
      if (!wanted) return true;
      folded[number] ??= documents[number].join("\n").toLowerCase();
      return folded[number].includes(wanted);
    });
    list.replaceChildren();
    shown = 0;
    show();
  };

  more.addEventListener("click", () => {
    const first = show(); // the button may be gone now: go on from what is new
    first.tabIndex = -1;
    first.focus();
  });
  at("filter").addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", filter);
  for (const each of [kind, type, run, beside]) if (each) each.addEventListener("change", filter);
  for (const button of document.querySelectorAll("button[data-kind]")) {
    button.addEventListener("click", () => {
      kind.value = button.dataset.kind;
      if (run) run.value = button.dataset.run;
      type.value = search.value = "";
      filter();
      at("texts").scrollIntoView();
      kind.focus({ preventScroll: true });
    });
  }
  filter();
})();
