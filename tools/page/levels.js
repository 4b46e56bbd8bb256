// --- one node: facts, and its kernel at every level

const LEVELS = ["ONNX nodes", "te", "schedule", "loop nest", "scheduled nest", "tiles", "assembly"];
const NOTES = ["", "what each element is", "how to run it", "before the schedule", "after the schedule", "vectors and registers", "machine code"];
const hiddenLevels = new Set();

async function showNode(node) {
  const panel = $("#kernel");
  const facts = make("div", "facts");
  for (const [name, value] of node.facts) facts.append(make("span", "", `${name} `, make("b", "", value)));
  const chips = make("div", "chips");
  for (const [op, name] of node.rows) {
    const chip = make("span", "chip", name, " ", make("small", "", op));
    chip.dataset.name = name;
    chips.append(chip);
  }
  panel.replaceChildren(make("h2", "", node.title), facts, chips);
  for (const kernel of node.kernels) {
    if (!(kernel in data.kernels)) continue;
    const { blob, name } = data.kernels[kernel];
    const levels = await unpack(blob);
    if (data.nodes[selected] !== node) return; // another one was clicked meanwhile
    if (name !== kernel) panel.append(make("p", "", `the same code as ${name}`));
    showLevels(panel, levels, chips);
  }
}

function showLevels(panel, levels, chips) {
  const grid = make("div", "levels");
  const panes = new Map();
  for (const { level, lines } of levels) {
    if (level === 0) continue;
    const body = make("pre", "lines", ...lines.map((text) => colour(make("div"), text)));
    const title = make("h3", "", LEVELS[level], make("small", "", NOTES[level]));
    const pane = make("section", "level", title, body);
    pane.dataset.level = level;
    pressable(title);
    title.addEventListener("click", () => {
      grid.classList.toggle("single");
      arrange(panes, grid, grid.classList.contains("single") ? level : undefined);
    });
    panes.set(level, pane);
    grid.append(pane);
  }
  panel.append(toggles(panes, grid), grid);
  arrange(panes, grid);
  link(levels, panes, [...chips.children]);
}

function toggles(panes, grid) {
  const bar = make("div", "toggles");
  for (const level of panes.keys()) {
    const button = make("button", hiddenLevels.has(level) ? "" : "on", LEVELS[level]);
    button.type = "button";
    button.addEventListener("click", () => {
      if (!hiddenLevels.delete(level)) hiddenLevels.add(level);
      button.classList.toggle("on");
      grid.classList.remove("single");
      arrange(panes, grid);
    });
    bar.append(button);
  }
  bar.append(make("span", "", "point at a line to see what it came from and became; a click holds it, on a title it enlarges"));
  return bar;
}

function arrange(panes, grid, single) {
  for (const [level, pane] of panes) pane.hidden = single ? level !== single : hiddenLevels.has(level);
  const count = [...panes.values()].filter((pane) => !pane.hidden).length;
  const rows = count > 3 ? 2 : 1;
  grid.style.setProperty("--columns", Math.ceil(count / rows));
}

// Links: every line knows the lines it came from; the other direction is made here.

function link(levels, panes, chips) {
  const key = (level, line) => level * 1e6 + line;
  const up = new Map();
  const down = new Map();
  for (const { level, from } of levels) {
    from.forEach((origins, index) => {
      const place = key(level, index + 1);
      up.set(place, origins);
      for (const origin of origins) down.set(origin, [...(down.get(origin) ?? []), place]);
    });
  }
  const element = (place) => {
    const [level, line] = [Math.floor(place / 1e6), place % 1e6];
    return level === 0 ? chipOf(line) : panes.get(level)?.lastChild.children[line - 1];
  };
  // Calls of one kernel share its texts: their nodes stand for each other, in order.
  const names = levels.find(({ level }) => level === 0).lines;
  const chipOf = (line) => {
    const named = chips.find((chip) => chip.dataset.name === names[line - 1]);
    return named ?? (chips.length === names.length ? chips[line - 1] : undefined);
  };
  const lineOf = (chip) => names.findIndex((_, index) => chipOf(index + 1) === chip) + 1;
  let held = null;
  let marked = [];
  const mark = (place, scroll) => {
    for (const each of marked) each.classList.remove("from", "at");
    marked = [];
    if (place === null) return;
    const found = new Set([...reach(place, up), ...reach(place, down)]);
    for (const each of found) {
      const target = element(each);
      if (!target) continue;
      target.classList.add(each === place ? "at" : "from");
      marked.push(target);
    }
    if (scroll) scrollTo(place, found, element);
  };
  const placeOf = (event) => {
    const line = event.target.closest(".lines > div, .chip");
    if (!line) return null;
    if (line.classList.contains("chip")) return key(0, lineOf(line));
    return key(+line.closest(".level").dataset.level, [...line.parentNode.children].indexOf(line) + 1);
  };
  const areas = [...[...panes.values()].map((pane) => pane.lastChild), ...chips.slice(0, 1).map((chip) => chip.parentNode)];
  for (const area of areas) {
    area.addEventListener("mouseover", (event) => held === null && mark(placeOf(event), false));
    area.addEventListener("mouseleave", () => held === null && mark(null, false));
    area.addEventListener("click", (event) => {
      const place = placeOf(event);
      held = place === held ? null : place;
      mark(held, true);
    });
  }
}

function reach(start, edges) {
  const seen = new Set([start]);
  for (const place of seen) for (const next of edges.get(place) ?? []) seen.add(next);
  return seen;
}

function scrollTo(place, found, element) {
  const first = new Map();
  for (const each of [...found].sort((a, b) => a - b)) {
    const level = Math.floor(each / 1e6);
    if (level && level !== Math.floor(place / 1e6) && !first.has(level)) first.set(level, element(each));
  }
  for (const target of first.values()) {
    if (!target) continue;
    const area = target.parentNode;
    const [top, height] = [target.offsetTop - area.offsetTop, area.clientHeight];
    if (top < area.scrollTop || top > area.scrollTop + height - 30) area.scrollTop = top - height / 3;
  }
}

// Colours of a line of IR or assembly.

const ASSEMBLY = [
  ["comment", "\\s#\\s.*"],
  ["symbol", "^\\s*\\.?[\\w$.\"]+:"],
  ["op", "^\\s+v?[a-z]+\\d*[a-z]*\\w*(?=\\s|$)"],
];
const KINDS = [...ASSEMBLY, ...data.tokens];
const TOKENS = new RegExp(KINDS.map(([, expression]) => `(${expression})`).join("|"), "g");

function colour(line, text) {
  let at = 0;
  for (const found of text.matchAll(TOKENS)) {
    if (found.index > at) line.append(text.slice(at, found.index));
    line.append(make("span", KINDS[found.slice(1).findIndex((group) => group !== undefined)][0], found[0]));
    at = found.index + found[0].length;
  }
  line.append(text.slice(at));
  return line;
}
