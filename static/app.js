// What every page does in the browser beside htmx: menus that close, the theme, toasts, focus. No page needs it to work.

const root = document.documentElement;

// A menu closes when the person goes elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

document.addEventListener("focusout", (event) => {
  const menu = event.target.closest?.("details.menu[open]");
  if (menu && event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
});

// The theme changes at once; the server remembers it. Without a script the form's answer is a redirect back here.
for (const form of document.querySelectorAll("[data-theme-switch]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const theme = event.submitter.value;
    const body = new FormData(form, event.submitter);
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    for (const button of document.querySelectorAll("[data-theme-switch] button")) {
      button.setAttribute("aria-pressed", String(button.value === theme));
    }
    const answer = await fetch(form.action, { method: "POST", body, redirect: "manual" }).catch(() => null);
    if (!answer) say("The theme is shown but could not be saved. Check your connection.", "warning");
  });
}

/** Say something to everybody: a toast for eyes, the live region for ears. */
export function say(text, level = "info") {
  const live = document.getElementById("live");
  const toasts = document.getElementById("toasts");
  live.textContent = text;
  const toast = document.createElement("div");
  toast.className = "message";
  toast.dataset.level = level;
  toast.textContent = text;
  toasts.append(toast);
  setTimeout(() => toast.remove(), 6000);
}

// `HX-Trigger: {"say": {"text": "...", "level": "success"}}` from any view.
document.body?.addEventListener("say", (event) => say(event.detail.text, event.detail.level));

// A request of htmx that fails must not fail silently.
document.body?.addEventListener("htmx:sendError", () => say("There is no connection. Nothing was changed.", "error"));
document.body?.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status !== 401) say("This did not work. Reload the page and try again.", "error");
});

// <button data-copy="#id"> copies the text of another element.
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent.trim());
  say("Copied", "success");
});

// <form data-ask="Remove Alice?"> asks before it is sent.
document.addEventListener("submit", (event) => {
  const question = event.target.dataset?.ask;
  if (question && !window.confirm(question)) event.preventDefault();
});

// A row of tabs that is wider than the screen shows the open one.
for (const open of document.querySelectorAll(".tabs > [aria-current]")) {
  const row = open.parentElement;
  row.scrollLeft = open.offsetLeft - row.offsetLeft - (row.clientWidth - open.offsetWidth) / 2;
}
