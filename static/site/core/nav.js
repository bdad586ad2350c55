/**
 * Going from view to view. The router (app.js) registers itself here, so that views need not know
 * it.
 */
let go = () => {};

export function setNavigator(run) {
  go = run;
}

/** Shows the view of `path` without loading a page. `replace`: no new entry in the history. */
export function navigate(path, { replace = false } = {}) {
  go(path, { replace });
}

/** Where to come back to after signing in. */
export function signInPath() {
  const here = location.pathname + location.search;
  return here === "/" ? "/login" : `/login?next=${encodeURIComponent(here)}`;
}

/** A `next` parameter, only if it stays on this site. */
export function nextPath() {
  const next = new URLSearchParams(location.search).get("next") ?? "/";
  return /^\/(?![/\\])/.test(next) ? next : "/";
}
