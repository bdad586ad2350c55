/**
 * The HTTP API: one function, errors with words for people, and one try to renew a login that ran
 * out. Live prices and bids do not come this way; see session.js.
 */

export class ApiError extends Error {
  constructor(status, problem) {
    super(
      problem.detail ?? problem.title ?? "The server could not do this. Try again in a moment.",
    );
    this.status = status;
    this.code = problem.code ?? "";
    this.problem = problem;
  }
}

const TIMEOUT_MS = 15_000;
const hooks = { signedOut: () => {} };

/** What to do when a login has ended for good. */
export function onSignedOut(run) {
  hooks.signedOut = run;
}

async function send(method, path, { body, headers, signal } = {}) {
  const isJson = body !== undefined && !(body instanceof Blob);
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(path, {
      method,
      credentials: "same-origin",
      headers: {
        Accept: "application/json",
        ...(isJson && { "Content-Type": "application/json" }),
        ...headers,
      },
      body: isJson ? JSON.stringify(body) : body,
      signal: signal ? anySignal(signal, timeout) : timeout,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, {
      code: "offline",
      detail: "The server cannot be reached. Check your connection, then try again.",
    });
  }
  const text = response.status === 204 ? "" : await response.text();
  let answer = null;
  try {
    answer = text === "" ? null : JSON.parse(text);
  } catch {
    answer = {};
  }
  if (!response.ok) throw new ApiError(response.status, answer ?? {});
  return answer;
}

function anySignal(...signals) {
  const controller = new AbortController();
  for (const signal of signals) {
    if (signal.aborted) controller.abort(signal.reason);
    else signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true });
  }
  return controller.signal;
}

/**
 * Calls the API; resolves to the answer's JSON (null for 204), rejects with ApiError.
 * @param {{body?: object|Blob, headers?: object, signal?: AbortSignal, isAnonymous?: boolean}} options
 */
export async function api(method, path, options = {}) {
  try {
    return await send(method, path, options);
  } catch (error) {
    if (error.status !== 401 || options.isAnonymous) throw error;
  }
  // The access part of a login is short-lived: renew it once, then say it as it is.
  try {
    await send("POST", "/api/sessions/renew");
  } catch (error) {
    if (error.status === 401) hooks.signedOut();
    throw error;
  }
  return send(method, path, options);
}

/** A path with a query made of the parameters that are set. */
export function withQuery(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, value);
  }
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}

/** Where a listing's picture is; null if it has none. */
export function imageUrl(image) {
  if (!image) return null;
  return image.startsWith("/") ? image : `/images/${encodeURIComponent(image)}`;
}
