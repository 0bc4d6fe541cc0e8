// A camera's card: its live picture and what is known of it.
import { element, fill, say } from "./dom.js";
import { Player } from "./whep.js";
import * as words from "./words.js";

const leaveAfter = 800; // a card that is scrolled past quickly stays connected

export class Card {
  constructor(name) {
    this.root = document.getElementById("camera").content.firstElementChild.cloneNode(true);
    this.root.dataset.camera = name;
    this.part = (selector) => this.root.querySelector(selector);
    this.video = this.part("video");
    this.video.setAttribute("aria-label", `Live picture of camera ${name}`);
    this.picture = { state: "idle", text: "" };
    this.player = new Player(this.video, `whep/cameras/${encodeURIComponent(name)}`, (state, text = "") => {
      this.picture = { state, text };
      this.cover();
    });
    this.onScreen = false;
    this.observer = new IntersectionObserver((entries) => {
      this.onScreen = entries.at(-1).isIntersecting;
      this.decide();
    }, { threshold: 0.15 });
    this.observer.observe(this.part(".stage"));
    this.decide = this.decide.bind(this);
    document.addEventListener("visibilitychange", this.decide);
  }

  remove() {
    this.observer.disconnect();
    document.removeEventListener("visibilitychange", this.decide);
    this.player.stop();
    this.root.remove();
  }

  // decide connects only while somebody can see the picture: each viewer costs
  // the device an encoder.
  decide() {
    clearTimeout(this.leaving);
    if (!document.hidden && this.onScreen && this.watchable()) this.player.start();
    else if (document.hidden || !this.watchable()) this.player.stop();
    else this.leaving = setTimeout(() => this.player.stop(), leaveAfter);
  }

  watchable() {
    return this.camera?.preview && (this.camera.state === "live" || this.camera.state === "stalled");
  }

  update(camera) {
    this.camera = camera;
    this.player.pause = camera.stream.max_fps ? 1000 / camera.stream.max_fps : 0;
    this.root.dataset.state = camera.state;
    say(this.part("h3"), camera.name);
    say(this.part(".source"), camera.source.name === camera.name ? camera.source.kind.toUpperCase() : `${camera.source.kind.toUpperCase()} · ${camera.source.name}`);
    say(this.part(".badge-text"), words.state(camera.state));
    this.figures(camera);
    this.counts(camera);
    this.works(camera);
    this.cover();
    this.decide();
  }

  figures(camera) {
    say(this.part(".fps"), words.rate(camera.fps));
    say(this.part(".processed"), words.count(camera.frames.processed));
    const lost = words.lost(camera.frames.dropped), left = camera.frames.dropped?.max_fps;
    say(this.part(".dropped"), words.count(words.total(lost)));
    const why = words.byNumber(lost).map(([cause, n]) => `${words.count(n)} ${words.cause(cause)}`);
    say(this.part(".causes"), [why.length && `Dropped: ${why.join(", ")}`, left && `Left out by max_fps: ${words.count(left)}`].filter(Boolean).join(". "));
    say(this.part(".since"), words.span((Date.now() - new Date(camera.since)) / 1000));
  }

  counts(camera) {
    const seen = camera.state === "live" ? words.byNumber(camera.counts) : [];
    fill(this.part(".counts"), [seen, camera.state], () =>
      seen.length
        ? seen.map(([name, n]) => element("li", { class: "class", "data-class": name }, element("b", { text: words.count(n) }), element("span", { text: name })))
        : [element("li", { text: camera.state === "live" ? "Nothing is recognised now" : "No picture, so nothing is counted" })]);
  }

  works({ stream, model, provider, provider_why: why }) {
    const size = stream.width ? `${stream.width} × ${stream.height}` : "";
    const fps = stream.fps ? `${+stream.fps.toFixed(2)} frames/s` : "";
    const most = stream.max_fps ? `at most ${stream.max_fps} processed` : "";
    say(this.part(".stream"), [stream.codec, size, fps, most].filter(Boolean).join(" · ") || "Not open");
    say(this.part(".decoder"), stream.decoder ? `${stream.decoder} · ${stream.hardware ? "hardware" : "software"}` : stream.codec ? "None needed" : "Not open");
    say(this.part(".model"), [model, provider && `on ${words.provider(provider)}`].filter(Boolean).join(" ") || "None");
    const warnings = [];
    if (stream.fallback) warnings.push(`Lesser decoder: ${stream.fallback}`);
    if (why) warnings.push(`Lesser provider: ${why}`);
    fill(this.part(".warnings"), warnings, () => warnings.map((text) => element("li", { text })));
  }

  // cover lays words over the picture whenever it is not a live one.
  cover() {
    const { camera, picture } = this;
    if (!camera) return;
    let title = "", text = "";
    if (!camera.preview) [title, text] = ["No live picture", "This device has no encoder for previews. Recognition goes on."];
    if (!this.watchable() && camera.preview) [title, text] = [words.state(camera.state), this.why(camera)];
    else if (camera.state === "stalled") [title, text] = [words.state("stalled"), this.why(camera)];
    else if (camera.preview && picture.state !== "playing") [title, text] = picture.state === "waiting" ? ["Picture interrupted", `${picture.text}. Trying again`] : ["Opening the picture", ""];
    this.part(".veil").hidden = !title;
    say(this.part(".veil-title"), title);
    say(this.part(".veil-text"), text);
  }

  why(camera) {
    const parts = [camera.cause || (camera.state === "connecting" ? "Waiting for the first picture" : ""), camera.hint];
    if (camera.next_retry_s && camera.state !== "live") parts.push(`Attempt ${camera.attempt}, the next within ${words.span(Math.ceil(camera.next_retry_s))}`);
    return parts.filter(Boolean).map((s) => s[0].toUpperCase() + s.slice(1)).join(". ");
  }
}
