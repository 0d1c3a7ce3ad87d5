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
    element.textContent = (moment.toDateString() === today ? hour : day).format(moment);
    element.title = `${whole.format(moment)} here, ${element.title}`;
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

let tag = null;
async function refresh() {
  const part = document.querySelector("[data-part]");
  if (!part) return;
  const answer = await fetch(part.dataset.part, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
  if (answer.status === 401) { location.reload(); return; }
  live.classList.toggle("lost", !answer.ok && answer.status !== 304);
  if (!answer.ok) return;
  tag = answer.headers.get("ETag");
  const scrolled = part.querySelector(".scroll")?.scrollLeft;
  const pressed = document.activeElement?.dataset?.trigger;
  part.innerHTML = await answer.text();
  if (scrolled) part.querySelector(".scroll").scrollLeft = scrolled;
  if (pressed) part.querySelector(`[data-trigger="${CSS.escape(pressed)}"]`)?.focus({ preventScroll: true });
  localTimes(part);
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
  if (!document.hidden && !getSelection().toString()) {
    try {
      await refresh();
      live.textContent = "live";
    } catch {
      live.classList.add("lost");
      live.textContent = "no connection to the cloud";
    }
  }
  setTimeout(keepCurrent, 2000);
}

localTimes(document);
sift();
if (document.querySelector("[data-part]")) setTimeout(keepCurrent, 2000);
else if (live) live.remove();
