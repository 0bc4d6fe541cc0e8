// Asks the device for its state while somebody looks, and shows it.
import { get } from "./api.js";
import { Card } from "./camera.js";
import { showStatus } from "./device.js";
import { element, say } from "./dom.js";
import { showRuns } from "./runs.js";
import { plural } from "./words.js";

const every = 1000, rarely = 4; // runs and the device are asked at every fourth turn
const cards = new Map();
const grid = document.getElementById("cameras");
const offline = document.getElementById("offline");
let failures = 0, turn = 0, timer = 0, asking = false;

function showCameras(list) {
  for (const [name, card] of cards) {
    if (list.some((c) => c.name === name)) continue;
    card.remove();
    cards.delete(name);
  }
  for (const camera of list) {
    if (!cards.has(camera.name)) {
      const card = new Card(camera.name);
      cards.set(camera.name, card);
      grid.append(card.root);
    }
    cards.get(camera.name).update(camera);
  }
  grid.dataset.few = ["none", "one", "two"][list.length] ?? "many";
  const live = list.filter((c) => c.state === "live").length;
  say(document.getElementById("cameras-note"), list.length ? `${live} of ${plural(list.length, "camera")} live` : "");
  grid.querySelector(":scope > .empty")?.remove();
  if (!list.length) grid.append(element("p", { class: "empty", text: "No camera is configured. Add one under cameras in the configuration file." }));
}

async function ask() {
  clearTimeout(timer);
  if (asking || document.hidden) return;
  asking = true;
  let wait = every;
  try {
    const all = turn++ % rarely === 0;
    const [{ cameras }, status, runs] = await Promise.all([get("api/v1/cameras"), all && get("api/v1/status"), all && get("api/v1/runs?limit=12")]);
    showCameras(cameras);
    if (status) showStatus(status, cameras);
    if (runs) showRuns(runs.items);
    failures = 0;
    offline.hidden = true;
  } catch (error) {
    if (error.status === 401) location.assign("claim.html"); // a private device
    turn = 0;
    wait = Math.min(every * 2 ** failures++, 15000);
    if (failures > 1) {
      offline.hidden = false;
      say(offline, `${error.message}. ${error.hint ? error.hint + ". " : ""}What is shown is old. Trying again.`);
      document.getElementById("health").dataset.health = "bad";
      say(document.getElementById("health-text"), error.status ? "Trouble" : "Not reachable");
    }
  } finally {
    asking = false;
    timer = setTimeout(ask, wait);
  }
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) ask();
});
addEventListener("pagehide", () => cards.forEach((card) => card.player.stop()));
addEventListener("pageshow", (event) => {
  if (event.persisted) cards.forEach((card) => card.decide());
});
ask();
