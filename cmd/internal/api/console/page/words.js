// How figures and states are said.

const states = { connecting: "Connecting", live: "Live", stalled: "No pictures", lost: "Lost", refused: "Refused" };
const causes = { busy: "replaced by a newer frame", stopped: "left over when the run ended", error: "failed in the model or a step", storage: "could not be kept" };
const endings = {
  end_of_stream: ["End of the stream", "good"], stopped: ["Stopped", "plain"], timeout_reached: ["Time limit reached", "plain"],
  source_lost: ["Source lost", "bad"], client_gone: ["Client gone", "plain"], error: ["Error", "bad"],
};
const kinds = { file: "file", rtsp: "RTSP", http: "MJPEG", webrtc: "WebRTC", test: "test pattern" };
const providers = { tensorrt: "TensorRT", cuda: "CUDA", cpu: "CPU", rehearsal: "the rehearsal" };

export const state = (name) => states[name] ?? name;
export const cause = (name) => causes[name] ?? name;
export const ending = (name) => endings[name] ?? [name, "plain"];
// A run's source: the camera's name, or what it was and how it came. Sessions of
// clients have no camera.
export const source = (run) => run.camera || `${run.source.name} (${kinds[run.source.kind] ?? run.source.kind})`;
export const provider = (name) => providers[name] ?? name;

const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en-GB", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
export const count = (n) => whole.format(n ?? 0);
export const rate = (n) => tenth.format(n ?? 0);
export const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;

export function bytes(n) {
  for (const unit of ["B", "KB", "MB", "GB"]) {
    if (n < 1000) return `${n < 10 && unit !== "B" ? tenth.format(n) : whole.format(n)} ${unit}`;
    n /= 1000;
  }
  return `${tenth.format(n)} TB`;
}

export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${plural(Math.floor(s / 86400), "day")} ${Math.floor(s / 3600) % 24} h`;
}

// Where a model's engine is; "" when none is on its way.
export function warmup(w) {
  if (!w?.target) return "";
  const time = w.elapsed_s ? `, ${span(w.elapsed_s)}${w.expected_s ? ` of about ${span(w.expected_s)}` : " so far"}` : "";
  return `${w.state} for ${provider(w.target)}${time}`;
}

export function when(text) {
  const at = new Date(text);
  const today = at.toDateString() === new Date().toDateString();
  const time = at.toLocaleTimeString("en-GB");
  return today ? time : `${at.toLocaleDateString("en-GB", { day: "numeric", month: "short" })}, ${time}`;
}

// What a camera's max_fps leaves out is as asked for, and no loss.
export function lost(dropped) {
  const { max_fps: _, ...rest } = dropped ?? {};
  return rest;
}

export const total = (counts) => Object.values(counts ?? {}).reduce((a, b) => a + b, 0);
export const byNumber = (counts) => Object.entries(counts ?? {}).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
