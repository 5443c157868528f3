"use strict";
// The page's data is the JSON above. Text is set as text, never as HTML: names and reasons may hold anything.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const wide = data.layout === "wide"; // all versions of a photo side by side, one photo a line
const shown = { status: new Set(), kind: "", words: "" };
const FIRST = 200; // cards that are there at once; the others follow when these are seen
let rest = 0;
let list = data.photos;
let current = null;

function make(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// ---- words and numbers

const inOrder = new Intl.Collator("en", { numeric: true }).compare;
const options = (digits) => ({ minimumFractionDigits: digits, maximumFractionDigits: digits });
const number = (value, digits = 0) => value.toLocaleString("en", options(digits));
const said = (column, value) =>
  typeof value === "number" ? number(value * (column.scale ?? 1), column.digits) + (column.unit ?? "") : String(value);
const known = (photo, role) => data.columns.filter((column) => column[role] && photo[column.key] !== undefined);
const status = (photo) => data.statuses[photo.status] ?? photo.status;
const haystack = (photo) =>
  (photo.words ??= ["name", "status", "kind", ...data.columns.filter((column) => column.text).map((each) => each.key)]
    .map((key) => photo[key] ?? "").join(" ").toLowerCase());

function badges(photo) {
  const line = make("p", { className: "badges" });
  if (photo.status) line.append(make("span", { className: `badge ${photo.status}`, textContent: status(photo) }));
  if (photo.kind) line.append(make("span", { className: "badge", textContent: photo.kind }));
  if (photo.amount !== undefined) {
    const text = `${Math.round(photo.amount * 100)} %`;
    line.append(make("span", { className: "amount", title: "how much of it was corrected" },
      make("meter", { min: 0, max: 1, value: photo.amount, ariaLabel: `corrected: ${text}` }), ` ${text}`));
  }
  return line;
}

// ---- pictures

function image(picture, alt) {
  const node = make("img", { alt, decoding: "async", draggable: false });
  node.onerror = () => picture.small ? ((node.src = picture.small), (picture.small = "")) : node.replaceWith(make("span", { className: "lost", textContent: `${picture.title}: no picture` }));
  node.src = picture.src;
  return node;
}

function compare(photo, left, right) {
  const slider = make("input", { type: "range", min: 0, max: 100, step: 1, value: photo.at ?? 50 });
  slider.ariaLabel = `Divider of ${photo.name}: ${left.title} on its left, ${right.title} on its right`;
  const frame = make("div", { className: "compare" },
    image(right, `${photo.name}, ${right.title}`), image(left, `${photo.name}, ${left.title}`),
    make("span", { className: "tag", textContent: left.title }),
    make("span", { className: "tag right", textContent: right.title }),
    make("span", { className: "line" }), slider);
  const move = () => frame.style.setProperty("--at", `${(photo.at = +slider.value)}%`);
  const follow = (event) => {
    const box = frame.getBoundingClientRect();
    slider.value = (100 * (event.clientX - box.left)) / box.width;
    move();
  };
  frame.style.setProperty("--ratio", photo.ratio ?? 1.5);
  frame.onpointerdown = (event) => {
    if (event.button) return;
    event.preventDefault(); // or the focus would leave the slider again
    frame.setPointerCapture(event.pointerId);
    slider.focus({ preventScroll: true, focusVisible: false });
    follow(event);
  };
  frame.onpointermove = (event) => frame.hasPointerCapture(event.pointerId) && follow(event);
  slider.oninput = move;
  move();
  return frame;
}

function figures(photo, pictures) {
  return pictures.map((picture) => {
    const frame = make("div", { className: "frame" }, image(picture, `${photo.name}, ${picture.title}`));
    frame.style.setProperty("--ratio", picture.ratio ?? photo.ratio ?? 1.5);
    const caption = make("figcaption", {}, make("b", { textContent: picture.title }));
    if (picture.text) caption.append(make("span", { textContent: picture.text }));
    return make("figure", {}, make("div", { className: "stage" }, frame), caption);
  });
}

function viewer(photo) {
  const [first, second] = photo.pictures ?? [];
  if (second) return [compare(photo, first, second)];
  if (first) return [make("div", { className: "frame" }, image(first, `${photo.name}, ${first.title}`))];
  return [make("p", { className: "none", textContent: photo.status === "failed" ? "no result" : "no picture was made for this page" })];
}

// ---- the list: cards keep their size when they are empty, and are filled while they are near the window

function card(photo) {
  if (photo.card) return photo.card;
  const open = make("button", { type: "button", className: "open", textContent: photo.name, title: photo.name });
  open.onclick = () => openPhoto(photo);
  photo.card = make("article", { className: `card ${photo.status ?? ""}` },
    make("div", { className: wide ? "row" : "stage" }), make("h2", {}, open), make("div", { className: "about" }));
  photo.card.photo = photo;
  watcher.observe(photo.card);
  return photo.card;
}

function fill(node, near) {
  const [stage, , about] = node.children;
  const photo = node.photo;
  if (!near || node.full) {
    if (!near && node.full && !node.contains(document.activeElement)) {
      stage.replaceChildren();
      about.replaceChildren();
      node.full = false;
    }
    return;
  }
  node.full = true;
  stage.replaceChildren(...(wide ? figures(photo, photo.pictures ?? []) : viewer(photo)));
  const facts = known(photo, "card").map((column) => column.card.replace("{}", said(column, photo[column.key])));
  const words = data.columns.find((column) => column.text && photo[column.key]);
  about.replaceChildren(badges(photo), make("p", { className: "facts", textContent: facts.join(" · ") }));
  if (words) about.append(make("p", { className: "why", textContent: photo[words.key] }));
}

const watcher = new IntersectionObserver((seen) => seen.forEach((each) => fill(each.target, each.isIntersecting)),
  { rootMargin: "75% 0px" });

function update() {
  const key = $("sort").control.value;
  const column = data.columns.find((each) => each.key === key);
  const words = shown.words.toLowerCase().split(/\s+/);
  const reversed = $("flip").ariaPressed === "true";
  list = data.photos.filter((photo) =>
    (!shown.status.size || shown.status.has(photo.status)) && (!shown.kind || photo.kind === shown.kind) &&
    words.every((word) => haystack(photo).includes(word)));
  const compared = (a, b) => typeof a === "string" ? inOrder(a, b) : a - b;
  if (column) list.sort((a, b) => // what has no such value comes last, in whichever direction
    (a[key] === undefined) - (b[key] === undefined) ||
    (a[key] === undefined ? 0 : (column.least ? 1 : -1) * (reversed ? -1 : 1) * compared(a[key], b[key])));
  else if (reversed) list.reverse();
  $("photos").replaceChildren(...list.slice(0, FIRST).map(card));
  clearTimeout(rest);
  rest = setTimeout(() => $("photos").append(...list.slice(FIRST).map(card)), 50);
  $("nothing").hidden = list.length > 0;
  $("count").textContent = list.length === data.photos.length ? "" : `${number(list.length)} of ${number(data.photos.length)}`;
}

// ---- one photo, large

function openPhoto(photo) {
  current = photo;
  const pictures = photo.pictures ?? [];
  $("name").textContent = photo.name;
  document.querySelector(".choose").hidden = pictures.length < 3;
  $("zoom").hidden = !photo.full || pictures.length !== 2;
  ["left", "right"].forEach((side, place) => {
    $(side).replaceChildren(...pictures.map((each, i) => make("option", { value: i, textContent: each.title })));
    $(side).value = Math.min(place, pictures.length - 1);
  });
  const facts = make("dl", {});
  for (const column of known(photo, "label"))
    facts.append(make("dt", { textContent: column.label }), make("dd", { textContent: said(column, photo[column.key]) }));
  for (const [name, text, color] of photo.numbers ?? []) {
    const value = make("dd", { textContent: text });
    if (color) value.prepend(Object.assign(make("i", { className: "swatch" }), { style: `background: ${color}` }));
    facts.append(make("dt", { textContent: name }), value);
  }
  const links = make("p", { className: "links" });
  for (const [text, href] of photo.links ?? []) links.append(make("a", { textContent: text, href }));
  document.querySelector(".rest").replaceChildren(badges(photo),
    make("div", { className: "maps" }, ...figures(photo, wide ? pictures : photo.maps ?? [])), facts, links);
  draw();
  const place = list.indexOf(photo);
  $("back").disabled = place <= 0;
  $("next").disabled = place < 0 || place >= list.length - 1;
  if (!$("one").open) $("one").showModal();
  $("one").scrollTop = 0;
}

function draw() {
  const pictures = current.pictures ?? [];
  const chosen = pictures.length > 2 ? [pictures[$("left").value], pictures[$("right").value]] : pictures;
  const big = document.querySelector(".big");
  const full = $("zoom").ariaPressed === "true" && !$("zoom").hidden;
  big.classList.toggle("full", full);
  big.tabIndex = full ? 0 : -1; // so that the arrow keys scroll
  if (!full) return big.replaceChildren(...viewer({ ...current, pictures: chosen }));
  const whole = chosen.map((each, i) => ({ ...each, src: current.full[i], small: each.src }));
  big.replaceChildren(...viewer({ ...current, pictures: whole }));
  const after = big.querySelector("img"); // the lower one
  after.onload = () => {
    big.firstChild.style.setProperty("--wide", `${after.naturalWidth / devicePixelRatio}px`);
    big.firstChild.style.setProperty("--ratio", after.naturalWidth / after.naturalHeight);
    big.scrollTo((big.scrollWidth - big.clientWidth) / 2, (big.scrollHeight - big.clientHeight) / 2);
  };
}

function step(by) {
  const other = list[list.indexOf(current) + by];
  if (other) openPhoto(other);
}

// ---- the page around it

function choices(select, pairs) {
  select.append(...pairs.map(([value, textContent]) => make("option", { value, textContent })));
}

function counted(key) {
  const found = new Map();
  for (const photo of data.photos) if (photo[key]) found.set(photo[key], (found.get(photo[key]) ?? 0) + 1);
  return [...found].sort((a, b) => b[1] - a[1]);
}

function systems({ head, rows, best }) {
  const body = make("tbody", {});
  const lines = rows.map((cells) => make("tr", {}, ...cells.map((cell, i) =>
    make(i ? "td" : "th", { textContent: cell, className: i && best[i]?.includes(cells[0]) ? "best" : "" }))));
  const by = (i) => (a, b) => i ? (parseFloat(b.cells[i].textContent) || 0) - (parseFloat(a.cells[i].textContent) || 0)
    : inOrder(a.cells[0].textContent, b.cells[0].textContent);
  const heads = head.map((textContent, i) => make("th", { scope: "col" },
    make("button", { type: "button", textContent, title: "sort", onclick: () => body.append(...lines.sort(by(i))) })));
  body.append(...lines);
  $("systems").append(make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body));
  $("systems").hidden = false;
}

function begin() {
  document.body.className = data.layout;
  if (wide) $("search").placeholder = "Search names";
  $("summary").textContent = data.summary;
  if (data.systems) systems(data.systems);
  const failed = data.photos.filter((photo) => photo.status === "failed").length;
  if (failed) {
    $("attention").hidden = false;
    $("attention").firstChild.textContent = `${number(failed)} ${failed === 1 ? "photo" : "photos"} failed: see why`;
    $("attention").firstChild.onclick = () => $("statuses").querySelector("[value=failed]").click();
  }
  if (data.trouble.length) {
    $("trouble").hidden = false;
    $("trouble").firstChild.textContent = `${number(data.trouble.length)} lines about what could not be done`;
    $("trouble").lastChild.append(...data.trouble.map((textContent) => make("li", { textContent })));
  }
  const statuses = counted("status");
  $("statuses").hidden = statuses.length < 2;
  for (const [value, count] of statuses) {
    const box = make("input", { type: "checkbox", value });
    box.onchange = () => (shown.status[box.checked ? "add" : "delete"](value), update());
    $("statuses").append(make("label", {}, box, make("span", {}, `${status({ status: value })} `, make("small", { textContent: number(count) }))));
  }
  const kinds = counted("kind");
  $("kinds").hidden = kinds.length < 2;
  choices($("kinds").control, kinds.map(([value, count]) => [value, `${value} (${number(count)})`]));
  choices($("sort").control, [["", data.order], ...data.columns.filter((column) => column.sort &&
    data.photos.some((photo) => photo[column.key] !== undefined)).map((column) => [column.key, column.sort])]);
  $("kinds").control.onchange = (event) => ((shown.kind = event.target.value), update());
  $("search").oninput = (event) => ((shown.words = event.target.value), update());
  $("sort").control.onchange = update;
  $("flip").onclick = () => (($("flip").ariaPressed = $("flip").ariaPressed === "true" ? "false" : "true"), update());
  $("tools").onsubmit = (event) => event.preventDefault();
  $("all").onclick = () => ($("tools").reset(), shown.status.clear(), (shown.kind = shown.words = ""), update());
  $("left").onchange = $("right").onchange = draw;
  $("zoom").onclick = () => (($("zoom").ariaPressed = $("zoom").ariaPressed === "true" ? "false" : "true"), draw());
  $("back").onclick = () => step(-1);
  $("next").onclick = () => step(1);
  $("close").onclick = () => $("one").close();
  $("one").onclick = (event) => event.target === $("one") && $("one").close();
  $("one").onkeydown = (event) => {
    if (/INPUT|SELECT/.test(event.target.tagName) || event.target.closest(".full")) return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  };
  $("one").onclose = () => current.card?.scrollIntoView({ block: "nearest" });
  update();
}

begin();
