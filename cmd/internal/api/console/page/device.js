// The header: is the device well, and what is it made of.
import { element, fill, say } from "./dom.js";
import * as words from "./words.js";

const byId = (id) => document.getElementById(id);

export function showStatus(status, cameras) {
  say(byId("device"), [status.name, status.device_id].filter(Boolean).join(" · "));
  document.title = `${status.name || status.device_id} · Perch`;
  say(byId("version"), `Perch ${status.version} · up for ${words.span(status.uptime_s)} · ${words.plural(status.viewers, "viewer")}`);
  showHealth(status, cameras);
  showProblems(status.problems);
  fill(byId("facts"), facts(status), () => facts(status).map(([name, value, detail, mark]) =>
    element("div", { "data-mark": mark || undefined }, element("dt", { text: name }),
      element("dd", {}, element("span", { class: "value", text: value }), element("span", { class: "detail", text: detail })))));
}

function showHealth(status, cameras) {
  const away = cameras.filter((c) => c.state === "lost" || c.state === "refused" || c.state === "stalled").length;
  let health = "good", text = "All is well";
  if (status.problems.length) [health, text] = ["warn", `${words.plural(status.problems.length, "thing needs", "things need")} attention`];
  if (away) [health, text] = ["warn", `${words.plural(away, "camera")} away`];
  if (!status.storage.ok) [health, text] = ["bad", "Results are not being kept"];
  byId("health").dataset.health = health;
  say(byId("health-text"), text);
}

function showProblems(problems) {
  byId("problems").hidden = problems.length === 0;
  fill(byId("problem-list"), problems, () => problems.map((p) =>
    element("li", {}, element("b", { text: `${p.part[0].toUpperCase()}${p.part.slice(1)}: ` }), p.message, element("span", { class: "hint", text: p.hint ? `. ${p.hint[0].toUpperCase()}${p.hint.slice(1)}` : "" }))));
}

function facts({ models, platform, storage, disk, mqtt, clock }) {
  const list = models.slice(0, 2).map((m) => {
    const ready = m.state === "ready";
    const warmup = words.warmup(m.warmup);
    if (ready && warmup) return ["Model", m.id, `${words.provider(m.provider)}; ${warmup}`, m.warmup.error ? "warn" : ""];
    const detail = ready ? `${words.provider(m.provider)}${m.provider_why ? ", not the best that was asked for" : ""}` : m.error || m.state;
    return ["Model", m.id, detail, ready ? (m.provider_why ? "warn" : "") : m.state === "failed" ? "bad" : "warn"];
  });
  // What nearly every camera sends comes first; the rest is in the API.
  const decoders = [platform.decoders?.h264, platform.decoders?.h265].filter(Boolean);
  list.push(["Video", platform.name, platform.fallback || (decoders.length ? `decodes with ${decoders.join(", ")}` : ""), platform.fallback ? "warn" : ""]);
  list.push(["Results", storage.ok ? words.bytes(storage.bytes) : "Not kept", storage.ok ? `${words.plural(storage.runs, "run")} stored` : storage.error, storage.ok ? "" : "bad"]);
  const free = disk.total_bytes ? disk.free_bytes / disk.total_bytes : 1;
  list.push(["Disk", `${words.bytes(disk.free_bytes)} free`, `of ${words.bytes(disk.total_bytes)}`, free < 0.03 ? "bad" : free < 0.1 ? "warn" : ""]);
  if (!mqtt.enabled) list.push(["MQTT", "Off", "no broker is configured", ""]);
  else if (mqtt.connected) list.push(["MQTT", "Connected", mqtt.waiting ? `${words.plural(mqtt.waiting, "message")} on the way` : mqtt.broker, ""]);
  else list.push(["MQTT", "Not connected", `${mqtt.error ? mqtt.error + "; " : ""}${words.plural(mqtt.waiting, "message")} kept for later`, "warn"]);
  list.push(["Clock", clock.trusted ? "Synchronised" : clock.error ? "Unknown" : "Not synchronised", clock.trusted ? "" : clock.error || "times of events may be wrong", clock.trusted ? "" : "warn"]);
  return list;
}
