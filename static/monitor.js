// Keeps a page of the monitor live. The socket only says that something changed; the page then fetches its own parts
// again, so what is shown is always what the server would show. Nothing here is needed for a page to work.

const config = JSON.parse(document.getElementById("live-config")?.textContent ?? "null");

const QUIET = 250; // ms between two renewals at least: a run of a thousand steps must not flood the server
const PATIENCE = 1500; // ms without a connection before the page says so
const SLOWEST = 15_000; // ms between two tries to connect

// --- Renewing the page's parts

let last = 0;
let due = null;
let busy = 0;
let again = false;

/** Fetch every part marked with the trigger "live" once, at most every QUIET ms and never twice at a time. */
function renew() {
  if (busy > 0) {
    again = true;
    return;
  }
  if (due === null) due = setTimeout(fetchParts, Math.max(0, last + QUIET - performance.now()));
}

function fetchParts() {
  due = null;
  last = performance.now();
  for (const part of document.querySelectorAll('[hx-trigger="live"]')) window.htmx?.trigger(part, "live");
}

// The element that asked. htmx names the event's target instead, and the part itself is gone once it was replaced.
const isOurs = (event) => event.detail.requestConfig?.elt?.getAttribute("hx-trigger") === "live";

document.addEventListener("htmx:beforeRequest", (event) => {
  if (isOurs(event)) busy += 1;
});

document.addEventListener("htmx:afterRequest", (event) => {
  if (!isOurs(event)) return;
  busy = Math.max(0, busy - 1);
  if (busy === 0 && again) {
    again = false;
    renew();
  }
});

// A renewal must not close what the person opened nor take away the focus.
let opened = new Map();
let focused = ["", 0];

/** A selector that finds this again when it comes anew: by its id, else by where it leads or what it sends. */
function nameOf(one) {
  const quoted = (text) => `"${CSS.escape(text)}"`;
  if (one.id) return `#${CSS.escape(one.id)}`;
  if (one.hasAttribute("href")) return `main a[href=${quoted(one.getAttribute("href"))}]`;
  const action = one.closest("form")?.getAttribute("action");
  return action ? `main form[action=${quoted(action)}] ${one.localName}` : "";
}

/** Where the focus is: a selector, and the place among what it selects. */
function focusNow() {
  const one = document.activeElement ?? document.body;
  const name = nameOf(one);
  return [name, name ? [...document.querySelectorAll(name)].indexOf(one) : 0];
}

document.addEventListener("htmx:beforeSwap", (event) => {
  if (!isOurs(event)) return;
  opened = new Map([...document.querySelectorAll("main details[id]")].map((one) => [one.id, one.open]));
  focused = focusNow();
});

document.addEventListener("htmx:afterSettle", () => {
  for (const [id, open] of opened) {
    const found = document.getElementById(id);
    if (found) found.open = open;
  }
  const [name, place] = focused;
  if (name && document.activeElement === document.body) document.querySelectorAll(name)[place]?.focus();
  opened = new Map();
  announce();
});

// --- Saying what changed, to ears

let told = document.querySelector("[data-announce]")?.dataset.announce ?? "";

function announce() {
  const now = document.querySelector("[data-announce]")?.dataset.announce ?? "";
  if (now && now !== told) document.getElementById("live").textContent = now.replaceAll("_", " ");
  told = now;
}

// --- The socket

let tries = 0;
let notice = null;
let complaint = null;

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}${config.socket}`);
  const renewsAtOnce = tries > 0;
  socket.addEventListener("open", () => {
    tries = 0;
    clearTimeout(complaint);
    complaint = null;
    notice?.remove();
    notice = null;
    for (const watch of config.watch) socket.send(JSON.stringify(watch));
    // What happened while we were away is not waited for.
    if (renewsAtOnce) renew();
  });
  socket.addEventListener("message", (event) => heard(JSON.parse(event.data)));
  socket.addEventListener("close", (event) => lost(event.code));
}

function heard(frame) {
  for (const watch of config.watch) {
    if (watch.watch === "run" && frame.run === watch.id) {
      // The next connection goes on from here.
      if (frame.seq !== undefined) watch.after = frame.seq;
      if (frame.state !== undefined || frame.changes?.length) renew();
    } else if (watch.watch in frame) {
      const text = JSON.stringify(frame[watch.watch]);
      // Counts that are as before are no news. Of events every frame is one: their count is of dead letters only.
      if (watch.known !== text || watch.watch === "events") renew();
      watch.known = text;
    }
  }
}

function lost(code) {
  if (code === 4401 || code === 4403) {
    say("You are signed out or may no longer watch this. Reload the page.");
    return;
  }
  complaint ??= setTimeout(() => say("The connection is lost. What you see may be old; trying again…"), PATIENCE);
  const wait = Math.min(SLOWEST, 500 * 2 ** tries) * (0.75 + Math.random() / 2);
  tries += 1;
  setTimeout(connect, wait);
}

function say(text) {
  notice?.remove();
  notice = document.createElement("p");
  notice.className = "notice connection";
  notice.dataset.level = "warning";
  notice.setAttribute("role", "status");
  notice.textContent = text;
  document.body.append(notice);
}

if (config && "WebSocket" in window) connect();

// --- The panel of a step: opened from the drawing, the tables and the timeline; plain links without this script

const panel = document.getElementById("panel");

function openStep(key, address) {
  const target = address ?? panel.dataset.address.replace("{key}", encodeURIComponent(key));
  history.replaceState(history.state, "", target);
  window.htmx
    .ajax("GET", target, { target: "#panel", swap: "innerHTML" })
    .then(() => document.getElementById("panel-title")?.focus({ preventScroll: false }));
}

function closePanel() {
  const key = panel.querySelector("[data-key]")?.dataset.key;
  panel.replaceChildren();
  history.replaceState(history.state, "", panel.dataset.home);
  document.dispatchEvent(new CustomEvent("branchline:select", { detail: { key: null } }));
  document.querySelector(`[data-step="${CSS.escape(key ?? "")}"]`)?.focus();
}

if (panel && window.htmx) {
  document.addEventListener("branchline:step", (event) => openStep(event.detail.key));
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = event.target.closest?.("a[data-step], a[data-close-panel]");
    if (!link) return;
    event.preventDefault();
    if (link.dataset.step) openStep(link.dataset.step, link.getAttribute("href"));
    else closePanel();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && panel.contains(document.activeElement)) closePanel();
  });
}
