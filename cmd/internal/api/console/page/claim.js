// Makes the device somebody's, once, and signs browsers in.
import { get, request } from "./api.js";
import { say } from "./dom.js";

const byId = (id) => document.getElementById(id);
const parts = ["claim", "token", "sign-in", "done"];

function show(id) {
  for (const part of parts) byId(part).hidden = part !== id;
}

function done(text) {
  say(byId("done-text"), text);
  show("done");
}

function trouble(error) {
  byId("trouble").hidden = false;
  say(byId("trouble"), `${error.message}.${error.hint ? ` ${error.hint[0].toUpperCase()}${error.hint.slice(1)}.` : ""}`);
}

async function post(path, body) {
  byId("trouble").hidden = true;
  return request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal: AbortSignal.timeout(8000) });
}

function on(id, act) {
  byId(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.target.querySelector("button");
    button.disabled = true;
    try {
      await act();
    } catch (error) {
      trouble(error);
    } finally {
      button.disabled = false;
    }
  });
}

on("claim", async () => {
  const { token } = await (await post("api/v1/claim", { name: byId("name").value })).json();
  say(byId("token-text"), token);
  show("token");
});

on("sign-in", async () => {
  await post("api/v1/sign-in", { token: byId("secret").value });
  done("You are signed in");
});

try {
  const state = await get("api/v1/claim");
  say(byId("device"), [state.name, state.device_id].filter(Boolean).join(" · "));
  if (!state.needed) done("This device asks for no owner");
  else if (!state.claimed) show("claim");
  else if (!state.signed_in) show("sign-in");
  else done("You are signed in");
} catch (error) {
  trouble(error);
}
