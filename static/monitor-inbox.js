// The inbox by keyboard: J and K walk through the cards, Enter opens (the cards are links, so it does so by itself).

const links = () => [...document.querySelectorAll("[data-keys] .task-link")];

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const step = { j: 1, k: -1 }[event.key.toLowerCase()];
  const all = links();
  if (!step || all.length === 0) return;
  event.preventDefault();
  const here = all.indexOf(document.activeElement);
  const next = here < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(here + step, 0), all.length - 1);
  all[next].focus();
  all[next].scrollIntoView({ block: "nearest" });
});
