/** What a seller may do with an auction of their own. */
import { api } from "../core/api.js";
import { actionButton, confirm, field, h, setText, show } from "../core/dom.js";
import { money, parseMoney } from "../core/money.js";

const questions = {
  pause: {
    title: "Pause bidding?",
    text: "Nobody can bid until you resume. The time left is kept.",
    yes: "Pause",
  },
  resume: {
    title: "Resume bidding?",
    text: "The auction goes on with the time that was left, at least two minutes.",
    yes: "Resume",
  },
  cancel: {
    title: "Cancel this auction?",
    text: "It ends without a sale. This cannot be undone, and bidders are told.",
    yes: "Cancel the auction",
    no: "Keep it",
    isGrave: true,
  },
};
const done = {
  pause: "Bidding is paused.",
  resume: "Bidding goes on.",
  cancel: "The auction was cancelled.",
  reserve: "The reserve was lowered.",
};

/** `update(phase, state)`; the caller decides whether it is the seller who looks. */
export function sellerPanel(auction, currency) {
  const said = h("p", { class: "verdict", role: "status" });
  const send = async (act, body) => {
    try {
      await api("POST", `/api/auctions/${auction}/${act}`, { body });
      setText(said, done[act]);
      return true;
    } catch (error) {
      setText(said, error.message);
      return false;
    }
  };
  const button = (act, text, kind) =>
    actionButton(text, { class: kind }, async () => {
      if (await confirm(questions[act])) await send(act, {});
    });
  const pause = button("pause", "Pause", "button");
  const resume = button("resume", "Resume", "button main");
  const cancel = button("cancel", "Cancel auction", "button grave");
  const amount = h("input", { type: "text", inputmode: "decimal", autocomplete: "off" });
  const row = field(`New reserve in ${currency}`, amount, {
    hint: "It can only go down, and only while 12 hours or more are left.",
  });
  const lower = h(
    "form",
    {
      class: "inline-form",
      novalidate: true,
      onsubmit: async (event) => {
        event.preventDefault();
        const reserve = parseMoney(amount.value, currency);
        row.setError(reserve === null || reserve === 0 ? "Write an amount." : null);
        if (!reserve) return;
        const question = {
          title: `Lower the reserve to ${money(reserve, currency)}?`,
          text: "It cannot be raised again.",
          yes: "Lower it",
        };
        if ((await confirm(question)) && (await send("reserve", { reserve }))) amount.value = "";
      },
    },
    row,
    h("button", { class: "button" }, "Lower reserve"),
  );
  const node = h(
    "section",
    { class: "panel", "aria-labelledby": "seller-title" },
    h("h2", { id: "seller-title" }, "Your auction"),
    h("div", { class: "actions start" }, pause, resume, cancel),
    lower,
    said,
  );
  node.update = (phase, state) => {
    const isRunning = phase === "open" || phase === "closing";
    show(pause, isRunning);
    show(resume, phase === "paused");
    show(cancel, isRunning || phase === "paused" || phase === "scheduled");
    show(lower, state.reserve === "not_met" && (isRunning || phase === "scheduled"));
  };
  return node;
}
