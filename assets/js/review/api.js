// The HTTP API of reviewing (docs/review-api.md), spoken as JSON.

export const ROOT = "/review/api";
const SAVES_WITHIN_MS = 20_000;
/** How often a screen looks at a job that it waits for. */
export const LOOK_EVERY_MS = 1_000;
const AWAY = "The studio does not answer.";

/** What the studio refuses, in its own sentence; `current` is the verdict that is there instead. */
export class Refusal extends Error {
  /** @param {number} status @param {string} sentence @param {any} [current] */
  constructor(status, sentence, current = null) {
    super(sentence);
    this.status = status;
    this.current = current;
  }
}

/** The studio could not be asked, or has trouble: the same request may do later. */
export class Unreachable extends Error {}

/**
 * Who asks. Where people sign in, the studio goes by the session and not by the name.
 * @type {{name: string | null, isSignedIn: boolean}}
 */
export const reviewer = { name: null, isSignedIn: false };

/**
 * The answer as JSON.
 * @param {string} path below the root, encoded
 * @param {{method?: string, body?: unknown, as?: string | null}} [options] `as`: who acts, if not the present reviewer
 * @returns {Promise<any>}
 */
export const call = async (path, options = {}) => (await answered(`${ROOT}${path}`, options)).json();

/**
 * The answer as a file.
 * @param {string} address
 * @returns {Promise<{blob: Blob, name: string | null}>}
 */
export const file = async (address) => {
  const response = await answered(address, {});
  const said = /filename\*=UTF-8''([^;]+)/.exec(response.headers.get("content-disposition") ?? "");
  return { blob: await response.blob(), name: said ? decodeURIComponent(said[1]) : null };
};

const answered = async (address, { method = "GET", body, as = reviewer.name }) => {
  const headers = {};
  if (as) headers["X-Reviewer"] = encodeURIComponent(as);
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(address, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: method === "PUT" ? AbortSignal.timeout(SAVES_WITHIN_MS) : undefined,
    });
  } catch {
    throw new Unreachable(AWAY);
  }
  if (response.ok) return response;
  const { sentence, current } = await refused(response);
  if (response.status >= 500) throw new Unreachable(sentence);
  throw new Refusal(response.status, sentence, current);
};

const refused = async (response) => {
  const text = await response.text().catch(() => "");
  try {
    const { detail, current } = JSON.parse(text);
    if (typeof detail === "string") return { sentence: detail, current };
  } catch {
    // Not JSON: a plain sentence, or nothing.
  }
  if (response.status === 401)
    return { sentence: "You are signed out: open the studio in another window and sign in." };
  return {
    sentence: response.status >= 500 || !text ? `${AWAY} (${response.status})` : text.trim().slice(0, 300),
  };
};

/** A key that makes a request one action, however often it is sent. */
export const newKey = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
