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

function numberOf(name) {
  return entries.find((entry) => entry.text === name && entry.number >= 0)?.number ?? -1;
}

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
  search.blur();
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
