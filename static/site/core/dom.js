/**
 * Elements without a framework. All text goes in as text, never as markup (security.md S62).
 */

/**
 * Makes an element. Props: `class`, `on…` listeners, `value`/`checked`/`disabled` and the like as
 * properties where the element has them, everything else as attributes; null, undefined and false
 * are left out. Children: nodes, text, numbers, arrays of them; null and false are left out.
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, String(value));
  }
  element.append(
    ...children
      .flat(Infinity)
      .filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** Sets an element's text, touching the page only if it changes: screen readers hear changes. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows or hides. */
export function show(element, isShown) {
  element.hidden = !isShown;
}

let lastId = 0;

/** A label and its control with a hint and a place for an error, wired up for assistive tools. */
export function field(label, control, { hint, optional, wide } = {}) {
  const id = `f${++lastId}`;
  control.id = id;
  const error = h("p", { class: "field-error", id: `${id}e` });
  const described = hint ? `${id}h ${id}e` : `${id}e`;
  control.setAttribute("aria-describedby", described);
  const node = h(
    "div",
    { class: wide ? "field wide" : "field" },
    h("label", { for: id }, label, optional && h("span", { class: "quiet" }, " (optional)")),
    control,
    hint && h("p", { class: "hint", id: `${id}h` }, hint),
    error,
  );
  node.setError = (text) => {
    setText(error, text ?? "");
    if (text) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  };
  return node;
}

export function select(options, value, props) {
  return h(
    "select",
    props,
    options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)),
  );
}

/** Asks before something that cannot be taken back. Resolves to true or false. */
export function confirm({ title, text, yes, no = "Cancel", isGrave = false }) {
  return new Promise((resolve) => {
    const dialog = h(
      "dialog",
      { class: "dialog", "aria-labelledby": "dialog-title" },
      h(
        "form",
        { method: "dialog" },
        h("h2", { id: "dialog-title" }, title),
        (Array.isArray(text) ? text : [text]).map((line) => h("p", {}, line)),
        h(
          "div",
          { class: "actions" },
          h("button", { class: "button", value: "no" }, no),
          h("button", { class: isGrave ? "button grave" : "button main", value: "yes" }, yes),
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A button that is busy while its action runs, so that a second press does nothing. */
export function actionButton(text, props, action) {
  const button = h("button", { type: "button", class: "button", ...props }, text);
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    try {
      await action();
    } finally {
      button.removeAttribute("aria-disabled");
    }
  });
  return button;
}
