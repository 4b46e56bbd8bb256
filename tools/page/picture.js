// --- the picture: moved by dragging and by the wheel, zoomed with ctrl and the wheel

const NEAR = 0.55; // a scale at which names can be read
const view = { x: 0, y: 0, scale: 1 };
const size = { width: +svg.dataset.width, height: +svg.dataset.height };
const canvas = $("#canvas");
svg.removeAttribute("viewBox");

function draw() {
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
  draw();
}

function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const scale = Math.min(4, Math.max(0.02, view.scale * factor));
  view.x = x - ((x - view.x) * scale) / view.scale;
  view.y = y - ((y - view.y) * scale) / view.scale;
  view.scale = scale;
  clamp();
  draw();
}

function fit(whole) {
  const wide = canvas.clientWidth / size.width;
  view.scale = Math.min(1, whole ? Math.min(wide, canvas.clientHeight / size.height) : Math.max(wide, NEAR));
  view.x = (canvas.clientWidth - size.width * view.scale) / 2;
  view.y = 0;
  if (!whole && data.nodes.length) centre(0, 0.07);
  draw();
}

function centre(number, height = 0.4) {
  const node = data.nodes[number];
  view.x = canvas.clientWidth / 2 - (node.x + node.w / 2) * view.scale;
  view.y = canvas.clientHeight * height - (node.y + node.h / 2) * view.scale;
  draw();
}

// Near enough to be read, wherever the picture was.
function reveal(number) {
  view.scale = Math.max(view.scale, NEAR);
  centre(number);
}

function dragged(element, act, done) {
  element.addEventListener("pointerdown", (start) => {
    if (start.button !== 0) return;
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
      window.removeEventListener("pointercancel", onUp);
      element.classList.remove("moving");
      done?.(event, moved);
    };
    element.classList.add("moving");
    window.addEventListener("pointermove", onMove);
    window.addEventListener("pointerup", onUp);
    window.addEventListener("pointercancel", onUp);
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
const KEYS = {
  ArrowUp: () => move(0, 60),
  ArrowDown: () => move(0, -60),
  ArrowLeft: () => move(60, 0),
  ArrowRight: () => move(-60, 0),
  "+": () => zoom(1.3),
  "-": () => zoom(1 / 1.3),
  0: () => fit(true),
};
canvas.addEventListener("keydown", (event) => {
  if (!(event.key in KEYS) || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  KEYS[event.key]();
});
$("#zoom").addEventListener("click", (event) => {
  const how = event.target.dataset.zoom;
  if (how === "in" || how === "out") zoom(how === "in" ? 1.3 : 1 / 1.3);
  else if (how === "fit") fit(true);
  else if (how === "one") zoom(1 / view.scale);
});
dragged($("#split"), (event) => {
  $("#graph").style.width = `${Math.max(220, event.clientX)}px`;
  draw();
});
window.addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

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
  const [corner, scale] = [map.getBoundingClientRect(), mapScale()];
  const left = (map.clientWidth - size.width * scale) / 2;
  const [x, y] = [(event.clientX - corner.x - left) / scale, (event.clientY - corner.y - 4) / scale];
  if (size.width * view.scale > canvas.clientWidth) view.x = canvas.clientWidth / 2 - x * view.scale;
  view.y = canvas.clientHeight / 2 - y * view.scale;
  clamp();
  draw();
}
dragged(map, goTo, goTo);
