// Draws the pictures, light or dark as Airflow is.
"use strict";

function theme() {
  // Airflow keeps its own choice here; a frame of the same origin may read it.
  const chosen = window.localStorage.getItem("theme");
  if (chosen === "dark" || chosen === "light") return chosen;
  return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

// Vega-Lite knows the width of the container only for single pictures, not for rows of them.
function withWidth(part, width) {
  if (Array.isArray(part)) return part.map((each) => withWidth(each, width));
  if (part === null || typeof part !== "object") return part;
  const entries = Object.entries(part).map(([name, value]) =>
    [name, name === "width" && value === "container" ? width : withWidth(value, width)]);
  return Object.fromEntries(entries);
}

function draw() {
  document.documentElement.dataset.theme = theme();
  const options = { actions: false, renderer: "svg", theme: theme() === "dark" ? "dark" : undefined };
  for (const place of document.querySelectorAll(".picture")) {
    const specification = JSON.parse(document.getElementById(place.dataset.specification).textContent);
    const width = Math.max(220, place.clientWidth - 90);
    window.vegaEmbed(place, withWidth(specification, width), options)
      .then(() => { place.dataset.drawn = "yes"; })
      .catch((error) => { place.textContent = String(error); place.dataset.drawn = "no"; });
  }
}

document.addEventListener("DOMContentLoaded", draw);
window.addEventListener("storage", (event) => { if (event.key === "theme") draw(); });
let waiting = 0;
window.addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(draw, 200); });
