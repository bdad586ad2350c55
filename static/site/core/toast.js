/**
 * Short messages at the edge of the screen; also read aloud, politely.
 */
import { h } from "./dom.js";

const SHOWN_MS = 9_000;
const MOST = 4;

/** Shows `text`. `kind`: "good", "bad" or "plain". With `href` it links there. */
export function toast(text, { kind = "plain", href, linkText = "Open" } = {}) {
  const box = document.getElementById("toasts");
  const close = h("button", { type: "button", class: "toast-close", "aria-label": "Dismiss" }, "×");
  const node = h(
    "div",
    { class: `toast ${kind}` },
    h("p", {}, text, href && " ", href && h("a", { href }, linkText)),
    close,
  );
  const remove = () => node.remove();
  close.addEventListener("click", remove);
  box.append(node);
  while (box.children.length > MOST) box.firstElementChild.remove();
  let timer = setTimeout(remove, SHOWN_MS);
  // Whoever reads it may take the time.
  node.addEventListener("pointerenter", () => clearTimeout(timer));
  node.addEventListener("focusin", () => clearTimeout(timer));
  node.addEventListener("pointerleave", () => {
    timer = setTimeout(remove, SHOWN_MS);
  });
}
