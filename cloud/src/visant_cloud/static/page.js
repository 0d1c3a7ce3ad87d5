// The page keeps itself current: it fetches its changing part every two seconds and swaps it in when it changed.
"use strict";

const csrf = document.querySelector('meta[name="csrf"]').content;
const live = document.getElementById("live");
const toasts = document.getElementById("toasts");
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });

function localTimes(root) {
  const today = new Date().toDateString();
  for (const element of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    if ("age" in element.dataset) {
      element.title = `${whole.format(moment)} here, ${element.title}`;
      continue;
    }
    element.textContent = (moment.toDateString() === today ? hour : day).format(moment);
    element.title = `${whole.format(moment)} here, ${element.title}`;
  }
}

// How old each picture is; it grows while nothing else changes.
function ages() {
  for (const element of document.querySelectorAll("time[data-age]")) {
    const seconds = Math.max(0, (Date.now() - new Date(element.dateTime)) / 1000);
    const [size, name] = [[86400, "days"], [3600, "h"], [60, "min"], [1, "s"]].find(([least]) => seconds >= 2 * least) ?? [1, "s"];
    element.textContent = `${Math.floor(seconds / size)} ${name} old`;
  }
}

function toast(text, bad, stay) {
  const box = document.createElement("div");
  box.className = bad ? "toast bad" : "toast";
  box.append(text);
  if (stay) {
    const close = document.createElement("button");
    close.textContent = "Close";
    close.onclick = () => box.remove();
    box.append(close);
  } else {
    setTimeout(() => box.remove(), bad ? 8000 : 4000);
  }
  toasts.append(box);
}

async function call(method, url, body) {
  const headers = { "X-CSRF-Token": csrf };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await answer.text();
  let found = {};
  try { found = JSON.parse(text); } catch { /* an empty answer */ }
  if (!answer.ok) throw new Error(found.detail || `the cloud answered ${answer.status}`);
  return found;
}

async function act(work) {
  try {
    await work();
    await refresh();
  } catch (error) {
    toast(error.message, true);
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-trigger]");
  if (!button || button.dataset.busy) return;
  button.dataset.busy = "1"; // a double click is one wish; `disabled` would take the keyboard's place away
  setTimeout(() => { delete button.dataset.busy; }, 600);
  act(async () => {
    const id = button.dataset.trigger;
    const found = await call("POST", `/v1/devices/${encodeURIComponent(id)}/trigger`);
    toast(found.connected ? `${id}: trigger sent` : `${id} is offline: the trigger waits for it`);
  });
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-acknowledge]");
  if (!button || button.disabled) return;
  button.disabled = true;
  act(async () => {
    try {
      for (const number of button.dataset.acknowledge.split(",")) await call("POST", `/v1/alerts/${number}/acknowledge`);
      toast("Acknowledged: it stays until its cause is gone");
    } finally {
      button.disabled = false;
    }
  });
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.api) return;
  event.preventDefault();
  if (form.dataset.confirm && !confirm(form.dataset.confirm)) return;
  act(async () => {
    const found = await call(form.dataset.method, form.dataset.api, bodyOf(form));
    if (form.dataset.secret) {
      toast(`${found.device_id}: its token, shown only now: ${found[form.dataset.secret]}`, false, true);
      form.reset();
    } else {
      toast("Saved");
    }
  });
});

function bodyOf(form) {
  if (form.dataset.body) return JSON.parse(form.dataset.body);
  if (form.dataset.json) {
    try { return JSON.parse(form.elements[form.dataset.json].value); } catch { throw new Error("That is not JSON"); }
  }
  const body = {};
  for (const field of form.querySelectorAll("[name]")) {
    body[field.name] = "number" in field.dataset ? (field.value === "" ? null : Number(field.value)) : field.value;
  }
  return Object.keys(body).length ? body : undefined;
}

// What the word beside the name says: `live` only where the page was current a moment ago.
const PATIENCE = 10000; // ms
let heard = new Date();
let trouble = "";
function sayLive() {
  if (!live) return;
  const paused = getSelection().toString() !== "";
  const old = Date.now() - heard > PATIENCE;
  const since = `, as of ${hour.format(heard)}`;
  live.className = `live ${trouble || (old && !paused) ? "lost" : paused ? "paused" : ""}`;
  live.textContent = trouble ? trouble + since : paused ? `paused while text is selected${since}` : old ? `not live${since}` : "live";
}

let tag = null;
async function refresh() {
  const part = document.querySelector("[data-part]");
  if (!part) return;
  let answer, text;
  try {
    const signal = AbortSignal.timeout(PATIENCE); // a connection that says nothing is none
    answer = await fetch(part.dataset.part, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store", signal });
    text = await answer.text();
  } catch {
    trouble = "no connection to the cloud";
    return sayLive();
  }
  if (answer.status === 401) { location.reload(); return; }
  const fresh = answer.ok || answer.status === 304;
  trouble = fresh ? "" : `the cloud answers ${answer.status}`;
  if (fresh) heard = new Date();
  sayLive();
  if (!answer.ok) return;
  tag = answer.headers.get("ETag");
  const scrolled = part.querySelector(".scroll")?.scrollLeft;
  const { trigger: pressed, acknowledge: seen } = document.activeElement?.dataset ?? {};
  part.innerHTML = text;
  if (scrolled) part.querySelector(".scroll").scrollLeft = scrolled;
  if (pressed) part.querySelector(`[data-trigger="${CSS.escape(pressed)}"]`)?.focus({ preventScroll: true });
  if (seen) (part.querySelector(`[data-acknowledge="${seen}"]`) ?? part.querySelector("[data-acknowledge]"))?.focus({ preventScroll: true });
  localTimes(part);
  ages();
  sift();
}

// Among the devices of this page: those whose id holds the words and that are of the kind. A few need no search; where
// there are more pages, Enter or another kind asks the cloud for those of all.
const find = document.getElementById("find");
const everywhere = () => Number(find.dataset.pages) > 1 || location.search !== "";
function sift() {
  if (!find) return;
  const cards = [...document.querySelectorAll(".card")];
  if (!everywhere()) find.hidden = cards.length < 9;
  const words = find.hidden ? [] : find.elements.words.value.toLowerCase().split(/\s+/);
  const kind = find.hidden ? "" : find.elements.kind.value;
  for (const card of cards) {
    card.hidden = !(words.every((word) => card.dataset.id.includes(word)) && (!kind || card.dataset.kinds.split(" ").includes(kind)));
  }
  const shown = cards.filter((card) => !card.hidden).length;
  document.getElementById("found").textContent = shown === cards.length ? "" : `${shown} of ${cards.length}`;
}
find?.addEventListener("input", sift);
find?.addEventListener("change", (event) => { if (event.target.name === "kind" && everywhere()) find.requestSubmit(); });
find?.addEventListener("submit", (event) => { if (!everywhere()) event.preventDefault(); });

async function keepCurrent() {
  if (!document.hidden && !getSelection().toString()) await refresh();
  setTimeout(keepCurrent, 2000);
}

localTimes(document);
ages();
sift();
if (document.querySelector("[data-part]")) {
  setTimeout(keepCurrent, 2000);
  setInterval(() => { sayLive(); ages(); }, 1000);
  document.addEventListener("selectionchange", sayLive);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
} else if (live) live.remove();
