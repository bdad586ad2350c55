/**
 * Live news for a screen reader: always the newest, and not more often than one can listen.
 */
import { h, setText } from "./dom.js";

const EVERY_MS = 4_000;

/** A hidden node with `say(text)` and `stop()`. */
export function announcer() {
  const node = h("p", { class: "hidden-text", role: "status", "aria-live": "polite" });
  let waiting = null;
  let timer;
  let lastMs = 0;
  const speak = () => {
    timer = undefined;
    lastMs = Date.now();
    setText(node, waiting);
  };
  node.say = (text) => {
    if (text === waiting) return;
    waiting = text;
    timer ??= setTimeout(speak, Math.max(0, lastMs + EVERY_MS - Date.now()));
  };
  node.stop = () => clearTimeout(timer);
  return node;
}
