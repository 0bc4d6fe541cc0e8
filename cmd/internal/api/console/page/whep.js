// A WHEP player: shows one live picture and comes back by itself.
import { request } from "./api.js";

const firstWait = 1000, longestWait = 20000, silence = 6000;

export class Player {
  // tell(state, words): "idle", "connecting", "playing" or "waiting". pause is
  // how long after a picture the next one is due, in milliseconds, if that is
  // long.
  constructor(video, path, tell) {
    Object.assign(this, { video, path, tell, wanted: false, attempt: 0, session: null, timer: 0, pause: 0 });
  }

  start() {
    if (this.wanted) return;
    this.wanted = true;
    this.attempt = 0;
    this.connect();
  }

  stop() {
    if (!this.wanted) return;
    this.wanted = false;
    clearTimeout(this.timer);
    this.hangUp();
    this.tell("idle");
  }

  async connect() {
    this.tell("connecting");
    const session = { abort: new AbortController(), pc: new RTCPeerConnection(), location: "" };
    this.session = session;
    try {
      await this.negotiate(session);
    } catch (error) {
      if (this.session === session) this.retry(error.message, error.hint);
    }
  }

  async negotiate(session) {
    const { pc, abort } = session;
    pc.addTransceiver("video", { direction: "recvonly" });
    pc.ontrack = ({ track, streams }) => {
      if (this.session === session) this.video.srcObject = streams[0] ?? new MediaStream([track]);
    };
    pc.onconnectionstatechange = () => {
      if (this.session !== session) return;
      if (pc.connectionState === "failed") this.retry("The picture could not get through", "UDP from this browser to the device must be possible");
      if (pc.connectionState === "closed") {
        session.location = "";
        this.retry("The device ended the picture");
      }
    };
    await pc.setLocalDescription(await pc.createOffer());
    await gathered(pc);
    const answer = await request(this.path, {
      method: "POST", headers: { "Content-Type": "application/sdp" }, body: pc.localDescription.sdp, signal: abort.signal,
    });
    session.location = answer.headers.get("Location");
    const sdp = await answer.text();
    if (this.session !== session) return end(session.location); // stopped meanwhile
    await pc.setRemoteDescription({ type: "answer", sdp });
    this.watch(session);
  }

  // watch notices pictures that have stopped coming, whatever the connection
  // says of itself.
  watch(session) {
    let at = this.video.currentTime, moved = performance.now();
    session.ticker = setInterval(() => {
      if (this.video.paused) this.video.play().catch(() => {}); // retried at the next tick
      const now = performance.now();
      if (this.video.currentTime !== at) {
        at = this.video.currentTime;
        moved = now;
        if (!session.playing && this.video.videoWidth > 0) {
          session.playing = true;
          this.attempt = 0;
          this.tell("playing");
        }
      } else if (now - moved > silence + this.pause) {
        this.retry("No picture arrives");
      }
    }, 250);
  }

  retry(words, hint = "") {
    this.hangUp();
    if (!this.wanted) return;
    const wait = Math.min(firstWait * 2 ** this.attempt++, longestWait) * (0.75 + Math.random() / 2);
    this.tell("waiting", hint ? `${words}. ${sentence(hint)}` : words);
    this.timer = setTimeout(() => this.connect(), wait);
  }

  hangUp() {
    const session = this.session;
    if (!session) return;
    this.session = null;
    clearInterval(session.ticker);
    session.abort.abort();
    this.video.srcObject = null;
    // The device is told first: once the connection has closed it has
    // forgotten the view already.
    (session.location ? end(session.location) : Promise.resolve()).then(() => session.pc.close());
  }
}

// end tells the device at once, so that its encoder rests; if that fails, the
// device notices by itself within seconds.
function end(location) {
  return fetch(location, { method: "DELETE", keepalive: true, signal: AbortSignal.timeout(3000) }).catch(() => {});
}

// gathered waits for the browser's own addresses, but not long: the device
// answers whoever calls.
function gathered(pc) {
  if (pc.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((done) => {
    const timer = setTimeout(done, 500);
    pc.addEventListener("icegatheringstatechange", () => {
      if (pc.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      done();
    });
  });
}

const sentence = (s) => s[0].toUpperCase() + s.slice(1);
