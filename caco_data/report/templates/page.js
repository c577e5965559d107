"use strict";
// Charts are drawn when they come into view; the maps and the stacks answer to clicks and keys.

const root = document.documentElement;
const views = new Map(); // Bokeh's view by element
const homes = new Map(); // first ranges of a map by element

// --- light and dark ---------------------------------------------------------------------------

const themeButton = document.getElementById("theme");
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function setTheme(theme) {
  root.dataset.theme = theme;
  themeButton.textContent = theme === "dark" ? "Light" : "Dark";
  for (const view of views.values()) paint(view.model);
}

function paint(figure) {
  const style = getComputedStyle(root);
  const [ink, soft, line, card] = ["--ink", "--soft", "--line", "--card"].map((name) => style.getPropertyValue(name).trim());
  for (const model of figure.references()) {
    if (model.type.endsWith("Axis")) {
      model.setv({axis_label_text_color: soft, major_label_text_color: ink, axis_line_color: line,
        major_tick_line_color: line, minor_tick_line_color: line, axis_label_text_font_style: "normal",
        major_label_text_font_size: "12px", axis_label_text_font_size: "12px"});
    } else if (model.type === "Grid" && model.grid_line_color !== null) {
      model.setv({grid_line_color: line, grid_line_alpha: 0.6});
    } else if (model.type === "Legend") {
      model.setv({label_text_color: ink, background_fill_color: card, border_line_color: line});
    } else if (model.type === "GlyphRenderer" && model.name === "ink") {
      model.glyph.setv({text_color: {value: ink}});
    } else if (model.type === "Title") {
      model.setv({text_color: ink});
    }
  }
}

themeButton.addEventListener("click", () => setTheme(root.dataset.theme === "dark" ? "light" : "dark"));
prefersDark.addEventListener("change", () => setTheme(prefersDark.matches ? "dark" : "light"));
setTheme(prefersDark.matches ? "dark" : "light");

// --- charts -----------------------------------------------------------------------------------

async function draw(element) {
  if (element.dataset.drawn) return;
  element.dataset.drawn = "yes";
  const item = JSON.parse(document.getElementById(`${element.id}-item`).textContent);
  const manager = await Bokeh.embed.embed_item(item, element.id);
  const view = manager.roots[0];
  views.set(element, view);
  homes.set(element, [view.model.x_range, view.model.y_range].map((range) => ({start: range.start, end: range.end})));
  paint(view.model);
  // The maps are 2.1 times as wide as high, but not lower than other charts.
  if (element.matches(".map")) view.model.height = Math.round(Math.max(300, element.clientWidth / 2.1 + 60));
  for (const model of view.model.references()) {
    if (model.type !== "GlyphRenderer" || !model.name) continue;
    const indices = model.data_source.selected.properties.indices;
    if (model.name === "locations") indices.change.connect(() => selected(element, model));
  }
  element.dispatchEvent(new Event("drawn"));
}

function selected(element, renderer) {
  const source = renderer.data_source;
  const index = source.selected.indices[0];
  if (index === undefined) return;
  const at = (name) => source.get_array(name)[index];
  const facts = {};
  for (const name of source.columns()) if (!["x", "y", "id"].includes(name) && at(name) !== "") facts[name] = at(name);
  source.selected.indices = [];
  const section = element.closest("section");
  setTimeout(() => open(section, Number(at("id")), facts)); // after the click that selected it
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); draw(entry.target); }
}, {rootMargin: "300px"});
const charts = document.querySelectorAll(".chart");
// After the first paint: the text of the page does not wait for the charts.
requestAnimationFrame(() => setTimeout(() => charts.forEach((chart) => seen.observe(chart))));
addEventListener("beforeprint", () => charts.forEach(draw));

// --- map --------------------------------------------------------------------------------------

function zoom(element, factor, east = 0, north = 0) {
  const figure = views.get(element)?.model;
  if (!figure) return;
  for (const [i, range, shift] of [[0, figure.x_range, east], [1, figure.y_range, north]]) {
    if (factor === 0) { range.setv(homes.get(element)[i]); continue; }
    const half = (range.end - range.start) / 2;
    const middle = (range.end + range.start) / 2 + shift * half;
    range.setv({start: middle - half * factor, end: middle + half * factor});
  }
}

const moves = {"+": [0.5], "=": [0.5], "-": [2], "0": [0], ArrowLeft: [1, -0.3], ArrowRight: [1, 0.3], ArrowUp: [1, 0, 0.3], ArrowDown: [1, 0, -0.3]};
for (const map of document.querySelectorAll(".map")) {
  map.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    zoom(map, ...move);
  });
  const form = map.parentElement.querySelector("form");
  form.addEventListener("click", (event) => {
    if (event.target.dataset.zoom !== undefined) zoom(map, Number(event.target.dataset.zoom));
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const id = Number(form.querySelector("input").value);
    open(map.closest("section"), id, factsOf(map, id));
  });
}

function factsOf(map, id) {
  for (const model of views.get(map)?.model.references() ?? []) {
    if (model.type !== "GlyphRenderer" || model.name !== "locations") continue;
    const source = model.data_source;
    const index = Array.from(source.get_array("id")).indexOf(id);
    if (index < 0) continue;
    const facts = {};
    for (const name of source.columns()) {
      const value = source.get_array(name)[index];
      if (!["x", "y", "id"].includes(name) && value !== "") facts[name] = value;
    }
    return facts;
  }
  return null;
}

// --- a location -------------------------------------------------------------------------------

const facts = document.getElementById("facts");

function open(section, id, known) {
  const stack = section.querySelector(`.stack[data-location="${id}"]`);
  if (stack) return show(stack, 0);
  document.getElementById("facts-title").textContent = `Location ${id}`;
  const text = document.getElementById("facts-text");
  text.replaceChildren();
  const list = document.createElement("dl");
  for (const [name, value] of Object.entries(known ?? {})) {
    const [box, term, content] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
    term.textContent = name === "kind" ? "state" : name;
    content.textContent = value;
    box.append(term, content);
    list.append(box);
  }
  if (list.children.length) text.append(list);
  const note = document.createElement("p");
  if (!known) note.textContent = "The map has no such location.";
  else if (known.kind === "rejected") note.textContent = "It has no images.";
  else {
    const command = document.createElement("code");
    command.textContent = `caco-data report ${JSON.parse(section.dataset.details).dataset} --location ${id}`;
    note.append("Its images are not in this page. Show them with: ", command);
  }
  text.append(note);
  facts.showModal();
}

// --- stacks -----------------------------------------------------------------------------------

const viewer = document.getElementById("viewer");
const image = document.getElementById("viewer-image");
let current = {stack: null, index: 0, blinking: 0, from: null};

const tilesOf = (stack) => [...stack.querySelectorAll(".tile")];

function show(stack, index, from = document.activeElement) {
  current = {...current, stack, index};
  const tile = tilesOf(stack)[index];
  const period = tile.closest(".row").dataset.period;
  document.getElementById("viewer-title").textContent = stack.querySelector("figcaption").textContent;
  image.src = tile.querySelector("img").src;
  image.alt = `${period} tile of ${tile.dataset.text}`;
  document.getElementById("viewer-text").textContent = `${period}: ${tile.dataset.text}`;
  viewer.querySelector(".stage").style.cssText = tile.style.cssText;
  if (!viewer.open) { current.from = from; viewer.showModal(); }
}

function step(by) {
  const count = tilesOf(current.stack).length;
  show(current.stack, (current.index + by + count) % count);
}

function other(by) {
  const stacks = [...current.stack.parentElement.querySelectorAll(".stack")];
  const next = stacks[(stacks.indexOf(current.stack) + by + stacks.length) % stacks.length];
  show(next, Math.min(current.index, tilesOf(next).length - 1));
}

// The tile of the same slot in the next period.
function opposite() {
  const rows = [...current.stack.querySelectorAll(".row")].map((row) => [...row.querySelectorAll(".tile")]);
  const tile = tilesOf(current.stack)[current.index];
  const row = rows.findIndex((tiles) => tiles.includes(tile));
  const next = rows[(row + 1) % rows.length];
  const slot = Math.min(rows[row].indexOf(tile), next.length - 1);
  show(current.stack, tilesOf(current.stack).indexOf(next[slot]));
}

function blink(on = !current.blinking) {
  clearInterval(current.blinking);
  current.blinking = on ? setInterval(opposite, 700) : 0;
  viewer.querySelector("[data-do=blink]").setAttribute("aria-pressed", String(on));
  document.getElementById("viewer-text").setAttribute("aria-live", on ? "off" : "polite");
}

const actions = {previous: () => step(-1), next: () => step(1), above: () => other(-1), below: () => other(1), blink: () => blink(), close: () => viewer.close()};
const keys = {ArrowLeft: "previous", ArrowRight: "next", ArrowUp: "above", ArrowDown: "below", b: "blink", B: "blink"};

document.addEventListener("click", (event) => {
  const tile = event.target.closest(".tile");
  if (tile) { const stack = tile.closest(".stack"); show(stack, tilesOf(stack).indexOf(tile), tile); }
});
viewer.addEventListener("click", (event) => {
  const name = event.target.closest("[data-do]")?.dataset.do;
  if (name) actions[name]();
  else if (event.target === viewer) viewer.close(); // the backdrop
});
viewer.addEventListener("keydown", (event) => {
  const name = keys[event.key];
  if (!name || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  actions[name]();
});
viewer.addEventListener("close", () => { blink(false); current.from?.focus?.(); });
facts.addEventListener("click", (event) => {
  if (event.target === facts || event.target.closest("[data-do=close]")) facts.close();
});
