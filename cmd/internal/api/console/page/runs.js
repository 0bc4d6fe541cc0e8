// The table of the last runs.
import { element, fill } from "./dom.js";
import * as words from "./words.js";

export function showRuns(runs) {
  document.getElementById("runs").hidden = runs.length === 0;
  document.getElementById("no-runs").hidden = runs.length > 0;
  fill(document.getElementById("run-list"), runs, () => runs.map(row));
}

function row(run) {
  const [ending, mark] = run.state === "running" ? ["Still going on", "good"] : words.ending(run.termination_reason);
  const cell = (label, attributes, ...children) => element("td", { "data-label": label, ...attributes }, ...children);
  const seen = words.byNumber(run.detections);
  const text = seen.slice(0, 3).map(([name, n]) => `${name} ${words.count(n)}`).join(", ") + (seen.length > 3 ? ` and ${seen.length - 3} more` : "");
  return element("tr", {},
    cell("Started", { class: "when", text: words.when(run.started_at) }),
    cell("Source", { class: "who", text: words.source(run) }),
    cell("Ended because", { "data-mark": mark, text: ending, title: run.errors?.[0] }),
    cell("Lasted", { class: "number", text: words.span(run.duration_s) }),
    cell("Frames", { class: "number", text: words.count(run.frames.in) }),
    cell("Dropped", { class: "number", text: words.count(words.total(words.lost(run.frames.dropped))) }),
    cell("Frames/s", { class: "number", text: words.rate(run.fps) }),
    cell("Detections", { class: "many", text: text || "none" }),
    cell("Record", {}, element("a", { href: `api/v1/runs/${encodeURIComponent(run.run_id)}`, text: run.state === "running" ? "So far" : "Record",
      "aria-label": `Completion record of the run of ${words.source(run)} at ${words.when(run.started_at)}` })));
}
