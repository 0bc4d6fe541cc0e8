// Asks the device, and turns whatever goes wrong into words.

export class Problem extends Error {
  constructor(message, hint = "", status = 0) {
    super(message);
    this.hint = hint;
    this.status = status;
  }
}

export async function get(path, timeout = 8000) {
  const answer = await request(path, { signal: AbortSignal.timeout(timeout) });
  return answer.json();
}

export async function request(path, options) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(error.name === "TimeoutError" ? "The device does not answer" : "The device cannot be reached");
  }
  if (!answer.ok) throw await explain(answer);
  return answer;
}

async function explain(answer) {
  try {
    const { error } = await answer.json();
    return new Problem(error.message, error.hint, answer.status);
  } catch {
    return new Problem(`The device answered with status ${answer.status}`, "", answer.status);
  }
}
