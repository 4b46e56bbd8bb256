"use strict";
// The page of `nnc inspect --html`. Texts of kernels and passes lie in the page, compressed, and
// are unpacked when they are looked at. Whatever comes from a model is set as text, never as HTML.
// One script with picture.js, levels.js and search.js, which follow this file in the page.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (selector) => document.querySelector(selector);
const svg = $("#canvas svg");

function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

// What a click opens, so does a key.
function pressable(element) {
  element.tabIndex = 0;
  element.setAttribute("role", "button");
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    element.click();
  });
}

async function unpack(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

// --- tabs and selection: what is open stands in the address, so that it can be linked and gone back to

let selected = -1;

function openTab(name) {
  for (const button of document.querySelectorAll("nav button")) {
    button.classList.toggle("on", button.dataset.tab === name);
    button.setAttribute("aria-selected", button.dataset.tab === name);
  }
  for (const article of document.querySelectorAll("article")) article.hidden = article.id !== name;
  if (name === "passes") showPasses();
}

function visit(name) {
  const fragment = `#${name === "kernel" ? `node-${selected}` : name}`;
  if (location.hash !== fragment) history.pushState(null, "", fragment);
  openTab(name);
}

// Opens what the address says: `#summary`, `#passes`, `#node-3`, or the name of a node or a kernel.
function restore() {
  const wanted = decoded(location.hash.slice(1)) || "summary";
  if (wanted === "summary" || wanted === "passes") return openTab(wanted);
  const number = /^node-\d+$/.test(wanted) ? +wanted.slice(5) : numberOf(wanted);
  if (!(number in data.nodes)) return openTab("summary");
  show(number, true);
  openTab("kernel");
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a name with a % of its own
  }
}

$("nav").addEventListener("click", (event) => event.target.dataset.tab && visit(event.target.dataset.tab));
for (const row of document.querySelectorAll("tr[data-node]")) {
  pressable(row);
  row.addEventListener("click", () => select(+row.dataset.node, true));
}

function select(number, andCentre = false) {
  show(number, andCentre);
  visit("kernel");
}

function show(number, andCentre) {
  selected = number;
  for (const box of svg.querySelectorAll(".selected")) box.classList.remove("selected");
  for (const edge of svg.querySelectorAll(".near")) edge.classList.remove("near");
  svg.querySelector(`.node[data-node="${number}"]`).classList.add("selected");
  for (const edge of svg.querySelectorAll(`.edge[data-from="${number}"], .edge[data-to="${number}"]`)) edge.classList.add("near");
  if (andCentre) reveal(number);
  else drawMap();
  $('nav [data-tab="kernel"]').disabled = false;
  showNode(data.nodes[number]);
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

// --- keys: j and k go to the next step and the one before

document.addEventListener("keydown", (event) => {
  if (event.target === search || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") search.focus();
  else if (event.key === "j") select(Math.min(data.nodes.length - 1, selected + 1), true);
  else if (event.key === "k") select(Math.max(0, selected - 1), true);
  else return;
  event.preventDefault();
});

window.addEventListener("hashchange", restore);
document.addEventListener("DOMContentLoaded", () => {
  fit(false);
  restore();
});
