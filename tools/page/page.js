"use strict";
// The page of `nnc inspect --html`. Texts of kernels and passes lie in the page, compressed, and
// are unpacked when they are looked at. Whatever comes from a model is set as text, never as HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (selector) => document.querySelector(selector);
const svg = $("#canvas svg");

function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

async function unpack(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

// --- the picture: moved by dragging and by the wheel, zoomed with ctrl and the wheel

const view = { x: 0, y: 0, scale: 1 };
const size = { width: +svg.dataset.width, height: +svg.dataset.height };
const canvas = $("#canvas");
svg.removeAttribute("viewBox");

function show() {
  svg.classList.toggle("far", view.scale < 0.35); // too far away to read: boxes in their colours
  svg.querySelector(".all").setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
  drawMap();
}

function clamp() {
  const slack = 80;
  view.x = Math.min(canvas.clientWidth - slack, Math.max(slack - size.width * view.scale, view.x));
  view.y = Math.min(canvas.clientHeight - slack, Math.max(slack - size.height * view.scale, view.y));
}

function move(dx, dy) {
  view.x += dx;
  view.y += dy;
  clamp();
  show();
}

function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const scale = Math.min(4, Math.max(0.02, view.scale * factor));
  view.x = x - ((x - view.x) * scale) / view.scale;
  view.y = y - ((y - view.y) * scale) / view.scale;
  view.scale = scale;
  clamp();
  show();
}

function fit(whole) {
  const wide = canvas.clientWidth / size.width;
  view.scale = Math.min(1, whole ? Math.min(wide, canvas.clientHeight / size.height) : Math.max(wide, 0.55));
  view.x = (canvas.clientWidth - size.width * view.scale) / 2;
  view.y = 0;
  if (!whole && data.nodes.length) centre(0, 0.07);
  show();
}

function centre(number, height = 0.4) {
  const node = data.nodes[number];
  view.x = canvas.clientWidth / 2 - (node.x + node.w / 2) * view.scale;
  view.y = canvas.clientHeight * height - (node.y + node.h / 2) * view.scale;
  show();
}

function dragged(element, act, done) {
  element.addEventListener("pointerdown", (start) => {
    let last = start;
    let moved = false;
    const onMove = (event) => {
      moved ||= Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > 4;
      if (moved) act(event, event.clientX - last.clientX, event.clientY - last.clientY);
      last = event;
    };
    const onUp = (event) => {
      window.removeEventListener("pointermove", onMove);
      window.removeEventListener("pointerup", onUp);
      element.classList.remove("moving");
      done?.(event, moved);
    };
    element.classList.add("moving");
    window.addEventListener("pointermove", onMove);
    window.addEventListener("pointerup", onUp);
  });
}

dragged(canvas, (_, dx, dy) => move(dx, dy), (event, moved) => {
  const box = event.target.closest?.(".node");
  if (!moved && box) select(+box.dataset.node);
});
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const corner = canvas.getBoundingClientRect();
  if (event.ctrlKey || event.metaKey) zoom(Math.exp(-event.deltaY / 240), event.clientX - corner.x, event.clientY - corner.y);
  else move(-event.deltaX, -event.deltaY);
}, { passive: false });
$("#zoom").addEventListener("click", (event) => {
  const how = event.target.dataset.zoom;
  if (how === "in" || how === "out") zoom(how === "in" ? 1.3 : 1 / 1.3);
  else if (how === "fit") fit(true);
  else if (how === "one") zoom(1 / view.scale);
});
dragged($("#split"), (event) => {
  $("#graph").style.width = `${Math.max(220, event.clientX)}px`;
  show();
});
window.addEventListener("resize", show);

// --- the small map beside it: boxes in their colours, and what is in sight

const map = $("#map");

function mapScale() {
  return Math.min((map.clientWidth - 8) / size.width, (map.clientHeight - 8) / size.height);
}

function drawMap() {
  const ratio = window.devicePixelRatio || 1;
  map.width = map.clientWidth * ratio;
  map.height = map.clientHeight * ratio;
  const pen = map.getContext("2d");
  const scale = mapScale();
  const colours = getComputedStyle(svg);
  pen.scale(ratio, ratio);
  pen.translate((map.clientWidth - size.width * scale) / 2, 4);
  data.nodes.forEach((node, number) => {
    const name = number === selected ? "--ink" : `--${node.kind}`;
    pen.fillStyle = colours.getPropertyValue(name) || colours.getPropertyValue("--quiet");
    pen.fillRect(node.x * scale, node.y * scale, Math.max(2, node.w * scale), Math.max(1, node.h * scale));
  });
  pen.strokeStyle = colours.getPropertyValue("--ink");
  pen.globalAlpha = 0.8;
  const [left, top] = [-view.x / view.scale, -view.y / view.scale].map((n) => n * scale);
  const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((n) => (n / view.scale) * scale);
  const [from, to] = [Math.max(-2, left), Math.min(size.width * scale + 2, left + width)];
  pen.strokeRect(from, top, to - from, height);
}

function goTo(event) {
  const at = (event.clientY - map.getBoundingClientRect().y - 4) / mapScale();
  view.y = canvas.clientHeight / 2 - at * view.scale;
  clamp();
  show();
}
dragged(map, goTo, goTo);

// --- tabs and selection

let selected = -1;

function openTab(name) {
  for (const button of document.querySelectorAll("nav button")) button.classList.toggle("on", button.dataset.tab === name);
  for (const article of document.querySelectorAll("article")) article.hidden = article.id !== name;
  if (name === "passes") showPasses();
}
$("nav").addEventListener("click", (event) => event.target.dataset.tab && openTab(event.target.dataset.tab));
$("#summary").addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-node]");
  if (row) select(+row.dataset.node, true);
});

function select(number, andCentre = false) {
  selected = number;
  for (const box of svg.querySelectorAll(".selected")) box.classList.remove("selected");
  for (const edge of svg.querySelectorAll(".near")) edge.classList.remove("near");
  svg.querySelector(`.node[data-node="${number}"]`).classList.add("selected");
  for (const edge of svg.querySelectorAll(`.edge[data-from="${number}"], .edge[data-to="${number}"]`)) edge.classList.add("near");
  history.replaceState(null, "", `#node-${number}`);
  if (andCentre) centre(number);
  else drawMap();
  $('nav [data-tab="kernel"]').disabled = false;
  openTab("kernel");
  return showNode(data.nodes[number]);
}

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
  grid.style.gridTemplateColumns = `repeat(${Math.ceil(count / rows)}, minmax(0, 1fr))`;
  grid.style.gridTemplateRows = `repeat(${rows}, minmax(0, 1fr))`;
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

// --- passes, as differences

let passesShown = false;

function showPasses() {
  if (passesShown) return;
  passesShown = true;
  const panel = $("#passes");
  if (data.passes.some((pass) => !pass.blob)) {
    const idle = data.passes.filter((pass) => !pass.blob).map((pass) => pass.name);
    panel.append(make("p", "", `without effect here: ${idle.join(", ")}`));
  }
  for (const pass of data.passes) {
    if (!pass.blob) continue;
    const title = make("summary", "", pass.name, make("span", "added", `+${pass.added}`), make("span", "gone", `−${pass.removed}`), make("small", "", `${pass.ms.toFixed(1)} ms`));
    const details = make("details", "", title);
    details.addEventListener("toggle", async () => {
      if (details.children.length > 1) return;
      const kinds = { "+": "plus", "-": "minus", "@": "hunk" };
      const lines = await unpack(pass.blob);
      details.append(make("pre", "lines", ...lines.map((text) => colour(make("div", kinds[text[0]] ?? ""), text))));
    });
    panel.append(details);
  }
}

// --- search: names of nodes, operators, kernels; BatchNormalization finds batch_normalization

const shortened = (text) => (text.length > 52 ? `${text.slice(0, 12)}…${text.slice(-39)}` : text);
const plain = (text) => text.toLowerCase().replaceAll("_", "");
const entries = [];
data.nodes.forEach((node, number) => {
  entries.push({ text: node.title, note: node.shape, number });
  for (const [op, name] of node.rows) entries.push({ text: name, note: `${op} in ${node.title}`, number });
});
for (const [op, name] of data.folded) entries.push({ text: name, note: `${op}, computed when compiled`, number: -1 });
for (const entry of entries) entry.key = plain(`${entry.text} ${entry.note}`);

const search = $("#search");
const hits = $("#hits");
let current = 0;

function find() {
  const wanted = plain(search.value.trim());
  const rank = (entry) => (plain(entry.text) === wanted ? 0 : plain(entry.text).startsWith(wanted) ? 1 : 2);
  const found = wanted ? entries.filter((entry) => entry.key.includes(wanted)).sort((a, b) => rank(a) - rank(b)) : [];
  current = 0;
  svg.classList.toggle("searching", wanted !== "");
  for (const box of svg.querySelectorAll(".hit")) box.classList.remove("hit");
  for (const number of new Set(found.map((entry) => entry.number))) svg.querySelector(`.node[data-node="${number}"]`)?.classList.add("hit");
  hits.replaceChildren(...found.slice(0, 60).map((entry) => {
    const item = make("li", "", shortened(entry.text), make("small", "", entry.note));
    item.title = entry.text;
    item.addEventListener("mousedown", (event) => {
      event.preventDefault();
      choose(entry);
    });
    item.entry = entry;
    return item;
  }));
  if (wanted && !found.length) hits.append(make("li", "", "nothing found"));
  hits.hidden = !wanted;
  hits.children[0]?.classList.add("on");
  if (found.length && found[0].number >= 0) centre(found[0].number);
}

function choose(entry) {
  if (!entry || entry.number < 0) return;
  hits.hidden = true;
  svg.classList.remove("searching");
  select(entry.number, true);
}

function step(by) {
  hits.children[current]?.classList.remove("on");
  current = Math.max(0, Math.min(hits.children.length - 1, current + by));
  const item = hits.children[current];
  item?.classList.add("on");
  item?.scrollIntoView({ block: "nearest" });
  if (item?.entry?.number >= 0) centre(item.entry.number);
}

search.addEventListener("input", find);
search.addEventListener("focus", () => { if (search.value) hits.hidden = false; });
search.addEventListener("blur", () => { hits.hidden = true; });
search.addEventListener("keydown", (event) => {
  if (event.key === "Enter") choose(hits.children[current]?.entry);
  else if (event.key === "ArrowDown" || event.key === "ArrowUp") step(event.key === "ArrowDown" ? 1 : -1);
  else if (event.key === "Escape") { search.value = ""; find(); search.blur(); }
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== search) {
    event.preventDefault();
    search.focus();
  }
});

fit(false);
const given = /^#node-(\d+)$/.exec(location.hash);
if (given && +given[1] < data.nodes.length) select(+given[1], true);
