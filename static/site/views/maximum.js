/**
 * The person's own maximum: read strictly, shown beforehand what it would do, and asked about
 * again where it may surprise.
 */
import { confirm, field, h, setText, show } from "../core/dom.js";
import { parseMoney, plain } from "../core/money.js";
import { client } from "../core/session.js";
import { refusalText } from "./words.js";

const PREVIEW_AFTER_MS = 300;
const FAR_ABOVE = 10; // times the minimum: may be a slip of the comma
const EXAMPLE_MINOR = 1000;

/** What the server says that a bid would do, in a sentence. */
function previewText(answer, max, { table, currency }) {
  const { state } = table.sight;
  if (answer.would === "refused") {
    return refusalText({ code: answer.code, minimum: answer.minimum }, currency);
  }
  const reserve =
    answer.may_meet_reserve && state.reserve === "not_met" ? " It may meet the reserve." : "";
  if (answer.would !== "lead") {
    return (
      `We bid for you, one step at a time, up to ${table.money(max)}. ` +
      `A hidden maximum may still be higher.${reserve}`
    );
  }
  if (answer.price_if_accepted === state.price) {
    return (
      `You lead. Your maximum becomes ${table.money(max)}; ` +
      `the price stays at ${table.money(state.price)}.${reserve}`
    );
  }
  return (
    `You lead. The price moves to ${table.money(answer.price_if_accepted)} at once, ` +
    `because you were held to your old maximum.${reserve}`
  );
}

/** What must be asked before somebody commits. True: go on. */
async function isMeant(max, { table, auction, currency }) {
  const { state } = table.sight;
  if (!table.leads()) {
    if (max < state.minimum * FAR_ABOVE) return true;
    return confirm({
      title: `Bid up to ${table.money(max)}?`,
      text:
        `That is far above the next bid of ${table.money(state.minimum)}. ` +
        "If others bid, you may have to pay as much.",
      yes: "Bid up to this",
    });
  }
  const answer = await client.preview({ auction, max, currency });
  if (answer.would !== "lead" || !(answer.price_if_accepted > state.price)) return true;
  return confirm({
    title: "Raise your maximum?",
    text:
      `The price would move from ${table.money(state.price)} to ` +
      `${table.money(answer.price_if_accepted)} at once, although nobody else has bid: ` +
      "you were held to your old maximum.",
    yes: "Raise it",
  });
}

/** What is wrong with `max` as far as the page can tell; null: nothing. */
function problemWith(max, table, currency) {
  const { state, you } = table.sight;
  if (max === null) {
    return `Write an amount in ${currency}, like ${plain(state.minimum ?? EXAMPLE_MINOR, currency)}.`;
  }
  if (!table.leads()) {
    return max < state.minimum ? `Bid ${table.money(state.minimum)} or more.` : null;
  }
  if (you.max === undefined || max > you.max) return null;
  return `Your maximum is ${table.money(you.max)}. It can be raised, not lowered.`;
}

export function maximumForm(table, { id: auction, currency }) {
  const context = { table, auction, currency };
  const amount = h("input", {
    type: "text",
    inputmode: "decimal",
    autocomplete: "off",
    maxlength: "24",
    enterkeyhint: "done",
  });
  const row = field("Your maximum", amount, { hint: " " });
  const hint = row.querySelector(".hint");
  const preview = h("p", { class: "preview", role: "status" });
  const place = h("button", { class: "button" }, "Bid up to this");
  let asked = 0;
  let timer;

  /** The amount, or null after saying what is wrong with it. */
  const read = () => {
    const max = parseMoney(amount.value, currency);
    const problem = problemWith(max, table, currency);
    row.setError(problem);
    return problem === null ? max : null;
  };
  const look = async () => {
    const mine = ++asked;
    setText(preview, "");
    const max = amount.value.trim() === "" ? null : read();
    if (max === null || client.status !== "live") return;
    try {
      const answer = await client.preview({ auction, max, currency });
      if (mine === asked) setText(preview, previewText(answer, max, context));
    } catch {
      /* the bid itself will say what is wrong */
    }
  };
  const submit = async (event) => {
    event.preventDefault();
    clearTimeout(timer);
    const max = read();
    if (max === null) {
      amount.focus();
      return;
    }
    try {
      if (!table.isBusy() && (await isMeant(max, context))) await table.bid(max);
    } catch (error) {
      table.say(refusalText(error, currency), "bad");
    }
  };
  amount.addEventListener("input", () => {
    clearTimeout(timer);
    row.setError(null);
    timer = setTimeout(look, PREVIEW_AFTER_MS);
  });

  const node = h("form", { class: "maximum", novalidate: true, onsubmit: submit }, [
    row,
    place,
    preview,
  ]);
  node.update = ({ state }, isOffered) => {
    const least = `${table.money(state.minimum)} or more`;
    setText(place, table.leads() ? "Raise maximum" : "Bid up to this");
    setText(hint, `In ${currency}, ${table.leads() ? "more than now" : least}.`);
    show(node, isOffered && state.minimum !== null);
  };
  node.clear = () => {
    asked++;
    amount.value = "";
    setText(preview, "");
  };
  node.stop = () => clearTimeout(timer);
  return node;
}
