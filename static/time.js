// Keeps every <time data-relative> fresh, in the viewer's zone. The words are those of the server's `moment` tag.

const units = [
  [86_400 * 365, "y"],
  [86_400 * 30, "mo"],
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
];

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

/** "12 s ago", "in 3 h", "now" for a distance in seconds. */
export function relative(seconds) {
  const [size, unit] = units.find(([size]) => Math.abs(seconds) >= size) ?? [1, "s"];
  const count = Math.floor(Math.abs(seconds) / size);
  if (count < 1) return "now";
  return seconds < 0 ? `${count} ${unit} ago` : `in ${count} ${unit}`;
}

/** Write the text of every relative time below `within`. */
export function refresh(within = document) {
  const now = Date.now();
  for (const time of within.querySelectorAll("time[data-relative]")) {
    const at = new Date(time.dateTime);
    const text = relative((at - now) / 1000);
    if (time.textContent !== text) time.textContent = text;
    if (!time.dataset.zoned) {
      time.title = exact.format(at);
      time.dataset.zoned = "yes";
    }
  }
}

refresh();
setInterval(() => document.hidden || refresh(), 1000);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
document.addEventListener("htmx:afterSwap", (event) => refresh(event.target));
