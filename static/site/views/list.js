/**
 * All auctions: search, filters, pages by cursor. The address holds the search, so that it can be
 * shared and the back button works.
 */
import { api, withQuery } from "../core/api.js";
import { actionButton, h, select, setText, show } from "../core/dom.js";
import { navigate } from "../core/nav.js";
import { session } from "../core/session.js";
import { cardList } from "./card.js";

const PAGE_ROWS = 24;
const phases = [
  ["live", "Live"],
  ["scheduled", "Upcoming"],
  ["over", "Ended"],
];
const sorts = [
  ["ending", "Ending first"],
  ["newest", "Newest"],
  ["price_up", "Price: low to high"],
  ["price_down", "Price: high to low"],
];

const categoryRow = (entry) =>
  typeof entry === "string"
    ? [entry, title(entry)]
    : [entry.id ?? entry.code ?? entry.name, entry.title ?? entry.name ?? entry.id];

/** "home_garden" is "Home garden". */
export function title(word) {
  const text = word.replace(/[_-]/g, " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export const categories = () => session.categories.map(categoryRow);

function readQuery() {
  const query = new URLSearchParams(location.search);
  return {
    search: query.get("search") ?? "",
    category: query.get("category") ?? "",
    currency: query.get("currency") ?? "",
    seller: query.get("seller") ?? "",
    phase: query.get("phase") ?? "live",
    sort: query.get("sort") ?? "ending",
  };
}

const addressOf = (wanted) =>
  withQuery("/", {
    ...wanted,
    phase: wanted.phase === "live" ? "" : wanted.phase,
    sort: wanted.sort === "ending" ? "" : wanted.sort,
  });

function searchForm(wanted) {
  const search = h("input", {
    type: "search",
    name: "search",
    value: wanted.search,
    placeholder: "Search auctions",
    "aria-label": "Search auctions",
    maxlength: "100",
    autocomplete: "off",
    enterkeyhint: "search",
  });
  const category = select([["", "All categories"], ...categories()], wanted.category, {
    "aria-label": "Category",
  });
  const currency = select(
    [["", "All currencies"], ...session.currencies.map(({ code }) => [code, code])],
    wanted.currency,
    { "aria-label": "Currency" },
  );
  const sort = select(sorts, wanted.sort, { "aria-label": "Sort by" });
  const current = () => ({
    ...wanted,
    search: search.value.trim(),
    category: category.value,
    currency: currency.value,
    sort: sort.value,
  });
  const go = () => navigate(addressOf(current()));
  for (const control of [category, currency, sort]) control.addEventListener("change", go);
  const form = h(
    "form",
    {
      role: "search",
      class: "filters",
      onsubmit: (event) => {
        event.preventDefault();
        go();
      },
    },
    h("div", { class: "search" }, search, h("button", { class: "button main" }, "Search")),
    h(
      "div",
      { class: "filter-row" },
      h(
        "nav",
        { class: "segments", "aria-label": "When" },
        phases.map(([key, text]) =>
          h(
            "a",
            {
              href: addressOf({ ...wanted, phase: key }),
              "aria-current": key === wanted.phase ? "page" : null,
            },
            text,
          ),
        ),
      ),
      category,
      currency,
      sort,
    ),
  );
  return form;
}

const nothing = {
  live: "Nothing is live here at the moment. Look at what is upcoming, or widen the search.",
  scheduled: "Nothing is planned here. Look at what is live, or widen the search.",
  over: "Nothing has ended here yet.",
};

export async function listView({ signal }) {
  const wanted = readQuery();
  const list = cardList("Auctions");
  const note = h("p", { class: "empty", role: "status" });
  const more = actionButton("Show more", { class: "button wide-button" }, () =>
    load().catch(showError),
  );
  let after = null;

  const showError = (error) => {
    if (signal.aborted) return;
    setText(note, error.message);
    show(note, true);
    show(more, true);
    setText(more, "Try again");
  };
  const load = async () => {
    const { auctions, next } = await api(
      "GET",
      withQuery("/api/auctions", { ...wanted, limit: PAGE_ROWS, after }),
      { signal },
    );
    list.add(auctions);
    after = next;
    setText(more, "Show more");
    show(more, next !== null && next !== undefined);
    setText(
      note,
      list.children.length === 0 ? (nothing[wanted.phase] ?? "Nothing was found.") : "",
    );
    show(note, list.children.length === 0);
  };
  show(more, false);
  show(note, false);
  try {
    await load();
  } catch (error) {
    if (signal.aborted) throw error;
    showError(error);
  }
  const heading = wanted.search ? `Results for “${wanted.search}”` : "Auctions";
  return {
    title: wanted.search ? heading : "",
    node: h(
      "div",
      {},
      h("h1", { class: wanted.search ? "" : "list-title" }, heading),
      searchForm(wanted),
      list,
      note,
      more,
    ),
    stop: () => list.clear(),
  };
}
