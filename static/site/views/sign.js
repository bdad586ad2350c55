/** Signing in and signing up. */
import { api } from "../core/api.js";
import { actionButton, field, h, setText } from "../core/dom.js";
import { navigate, nextPath } from "../core/nav.js";
import { session, signIn, signOut } from "../core/session.js";
import { toast } from "../core/toast.js";

const PASSWORD_LEAST = 8;

function form({ heading, button, fields, submit, below }) {
  const error = h("p", { class: "form-error", role: "alert" });
  const send = h("button", { class: "button main wide-button" }, button);
  const node = h(
    "form",
    {
      class: "panel narrow",
      novalidate: true,
      onsubmit: async (event) => {
        event.preventDefault();
        if (send.getAttribute("aria-disabled") === "true") return;
        setText(error, "");
        if (!checkAll(fields)) return;
        send.setAttribute("aria-disabled", "true");
        try {
          signIn((await submit()).user);
          navigate(nextPath(), { replace: true });
        } catch (problem) {
          setText(error, problem.message);
        } finally {
          send.removeAttribute("aria-disabled");
        }
      },
    },
    h("h1", {}, heading),
    fields.map(({ node: row }) => row),
    error,
    send,
    below,
  );
  return node;
}

function checkAll(fields) {
  let first = null;
  for (const { node, control, check } of fields) {
    const text = check(control.value);
    node.setError(text);
    if (text) first ??= control;
  }
  first?.focus();
  return first === null;
}

function emailField() {
  const control = h("input", {
    type: "email",
    autocomplete: "username",
    required: true,
    maxlength: "254",
    inputmode: "email",
    autocapitalize: "none",
  });
  return {
    control,
    node: field("Email", control),
    check: (value) =>
      /^[^\s@]+@[^\s@]+$/.test(value.trim())
        ? null
        : "Write your email address, like name@example.org.",
  };
}

function passwordField(isNew) {
  const control = h("input", {
    type: "password",
    autocomplete: isNew ? "new-password" : "current-password",
    required: true,
    maxlength: "128",
  });
  return {
    control,
    node: field(
      "Password",
      control,
      isNew
        ? { hint: `At least ${PASSWORD_LEAST} characters. A few words in a row are good.` }
        : {},
    ),
    check: (value) =>
      isNew && [...value].length < PASSWORD_LEAST
        ? `Use at least ${PASSWORD_LEAST} characters.`
        : value === ""
          ? "Write your password."
          : null,
  };
}

const withNext = (path) => path + location.search;

export async function loginView() {
  if (session.user) queueMicrotask(() => navigate(nextPath(), { replace: true }));
  const email = emailField();
  const password = passwordField(false);
  return {
    title: "Sign in",
    node: form({
      heading: "Sign in",
      button: "Sign in",
      fields: [email, password],
      submit: () =>
        api("POST", "/api/sessions", {
          isAnonymous: true,
          body: { email: email.control.value.trim(), password: password.control.value },
        }),
      below: h(
        "p",
        { class: "center" },
        "New here? ",
        h("a", { href: withNext("/join") }, "Create an account"),
      ),
    }),
  };
}

export async function joinView() {
  if (session.user) queueMicrotask(() => navigate(nextPath(), { replace: true }));
  const email = emailField();
  const nameControl = h("input", { type: "text", autocomplete: "nickname", maxlength: "60" });
  const name = {
    control: nameControl,
    check: () => null,
    node: field("Name", nameControl, {
      optional: true,
      hint: "Shown when you sell. Bidders only ever see a pseudonym.",
    }),
  };
  const password = passwordField(true);
  return {
    title: "Create an account",
    node: form({
      heading: "Create an account",
      button: "Create account",
      fields: [email, name, password],
      submit: () =>
        api("POST", "/api/users", {
          isAnonymous: true,
          body: {
            email: email.control.value.trim(),
            password: password.control.value,
            ...(nameControl.value.trim() && { name: nameControl.value.trim() }),
          },
        }),
      below: h(
        "p",
        { class: "center" },
        "Have an account? ",
        h("a", { href: withNext("/login") }, "Sign in"),
      ),
    }),
  };
}

export function signOutButton(kind) {
  return actionButton("Sign out", { class: kind }, async () => {
    try {
      await signOut();
      navigate("/");
    } catch (error) {
      toast(error.message, { kind: "bad" });
    }
  });
}
