/**
 * The page in a real Chromium against the real server: two people bid against each other, the
 * server dies and comes back, the auction ends. Every view passes axe, and none scrolls sideways
 * on a narrow telephone.
 *
 *     QB_TEST_BINARY=build/bin/quickbid node --test tests/browser/page_test.mjs
 *
 * QUICKBID_SCREENSHOT=1 also writes docs/auction.png.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { Client } from "../integration/client.mjs";
import { Server, until } from "../integration/kit.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PICTURE = fileURLToPath(new URL("../../docs/auction.png", import.meta.url));
const CHROMIUM = process.env.QB_TEST_CHROMIUM ?? "/usr/bin/chromium";
const isPictured = process.env.QUICKBID_SCREENSHOT === "1";
const PASSWORD = "correct horse battery";
const NARROW = { width: 360, height: 740 };
const WIDE = { width: 1280, height: 960 };

delete process.env.QUICKBID_SCREENSHOT; // the server takes QUICKBID_ names as its settings

let server;
let browser;

before(async () => {
  server = await Server.start({ "bids-per-minute": 200, "messages-burst": 1000 });
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--lang=en-US"],
  });
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A person with a browser of their own; what the page complains about is kept. */
async function person(name, viewport = WIDE) {
  const context = await browser.newContext({ viewport, locale: "en-US", timezoneId: "UTC" });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (message) => {
    const isCut = /net::ERR_|WebSocket connection/.test(message.text());
    if (message.type() === "error" && !isCut) page.complaints.push(message.text());
  });
  page.open = (path) => page.goto(server.url(path));
  if (name) await signUp(page, name);
  return page;
}

async function signUp(page, name) {
  await page.open("/join");
  await page.getByLabel("Email").fill(`${name}@test.example`);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByRole("link", { name: "My bids" }).waitFor();
}

async function sell(page, title) {
  await page.open("/sell");
  await page.getByLabel("Title").fill(title);
  await page.getByLabel("Description").fill("It runs five minutes fast, as it always has.");
  await page.getByLabel("Starting price").fill("10.00");
  await page.getByRole("button", { name: "Publish auction" }).click();
  await page.waitForURL(/\/a\/[0-9a-z]{13}$/);
  return new URL(page.url()).pathname;
}

const price = (page) => page.locator(".big-price");
const shows = (page, text) => page.getByText(text).first().waitFor();

async function priceIs(page, text) {
  await until(async () => (await price(page).textContent()) === text, `the price ${text}`);
}

async function bidUpTo(page, amount) {
  await page.getByLabel("Your maximum").fill(amount);
  await page.getByRole("button", { name: /Bid up to this|Raise maximum/ }).click();
}

async function assertAccessible(page, name) {
  await page.evaluate(AXE); // not as a script element: the page's policy forbids foreign ones
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const found = violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`,
  );
  assert.deepEqual(found, [], name);
}

async function assertNarrow(page, name) {
  const { scrollWidth, clientWidth } = await page.evaluate(() => ({
    scrollWidth: document.documentElement.scrollWidth,
    clientWidth: document.documentElement.clientWidth,
  }));
  assert.ok(scrollWidth <= clientWidth, `${name}: ${scrollWidth} px of ${clientWidth}`);
}

/** Nothing that the browser would have complained about, then the end. */
async function leave(...pages) {
  for (const page of pages) {
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  }
}

test("two people bid against each other, through a crash of the server", async () => {
  const [seller, ann, bob] = await Promise.all(["Sigrid", "Ann", "Bob"].map((name) => person(name)));
  const path = await sell(seller, "A station clock");
  await Promise.all([ann.open(path), bob.open(path)]);
  await Promise.all([shows(ann, "Live"), shows(bob, "Live")]);
  await Promise.all([seller, ann, bob].map((page) => shows(page, "3 watching")));

  await ann.getByRole("button", { name: "Bid $10.00" }).click();
  await shows(ann, "You lead. Your maximum is $10.00.");
  await Promise.all([seller, ann, bob].map((page) => priceIs(page, "$10.00")));

  await bidUpTo(bob, "25");
  await shows(bob, "You lead. Your maximum is $25.00.");
  await Promise.all([seller, ann, bob].map((page) => priceIs(page, "$10.50")));
  await shows(ann, "You were outbid. The next bid is $11.00.");

  await bidUpTo(ann, "20");
  await Promise.all([seller, ann, bob].map((page) => priceIs(page, "$20.50")));
  assert.equal((await ann.content()).includes("25.00"), false, "a live maximum is nobody's business");

  await server.kill();
  await shows(ann, /As of /);
  await server.run();
  await Promise.all([seller, ann, bob].map((page) => page.locator(".live.on").waitFor()));
  await Promise.all([seller, ann, bob].map((page) => priceIs(page, "$20.50")));
  await bidUpTo(ann, "30");
  await Promise.all([seller, ann, bob].map((page) => priceIs(page, "$26.00")));
  await shows(bob, /You were outbid/);

  await leave(seller, ann, bob);
});

test("a server that lost touch is said to be so, and is live again when it says that", async () => {
  const seller = await server.account("touch");
  const auction = await server.auction(seller, { title: "A barometer" });
  const visitor = await person(null, NARROW);
  let say;
  await visitor.routeWebSocket(/\/ws$/, (socket) => {
    socket.connectToServer();
    say = (push) => socket.send(JSON.stringify({ ...push, auctions: [auction] }));
  });
  await visitor.open(`/a/${auction}`);
  await visitor.locator(".live.on").waitFor();
  say({ on: "stale", since_ms: Date.UTC(2026, 0, 2, 13, 14, 15) });
  await shows(visitor, /^As of /);
  const banner = visitor.locator("#banner");
  await banner.waitFor();
  assert.match(
    await banner.textContent(),
    /^Live updates are interrupted\. What you see is as of 1:14:15.PM\./,
  );
  await assertAccessible(visitor, "interrupted");
  await assertNarrow(visitor, "interrupted");
  say({ on: "live" });
  await visitor.locator(".live.on").waitFor();
  await banner.waitFor({ state: "hidden" });
  await leave(visitor);
});

test("when it ends both see who won, and what is due", async () => {
  const seller = await server.account("seller");
  const [winner, loser] = await Promise.all(["Wanda", "Lars"].map((name) => person(name)));
  const auction = await server.auction(seller, {
    title: "A short one",
    duration_ms: 6000,
    soft_close: null,
  });
  await Promise.all([winner, loser].map((page) => page.open(`/a/${auction}`)));
  await Promise.all([winner, loser].map((page) => page.locator(".live.on").waitFor()));
  await loser.getByRole("button", { name: "Bid $1.00" }).click();
  await shows(loser, "You lead. Your maximum is $1.00.");
  await bidUpTo(winner, "5");
  await shows(winner, "You lead. Your maximum is $5.00.");
  await shows(winner, "You won. It is yours for $1.25.");
  await shows(loser, /^Sold for \$1\.25 to bidder [A-Z2-9]{5}\.$/);
  assert.equal(await loser.getByRole("button", { name: /^Bid / }).isVisible(), false);
  await until(async () => {
    await winner.open("/me/payments");
    return winner.getByText("You bought this").first().isVisible();
  }, "the payment of the winner");
  await shows(winner, "A short one");
  await leave(winner, loser);
});

test("every view passes axe, and none scrolls sideways at 360 px", async () => {
  const seller = await server.account("views");
  const ann = await server.account("views-ann");
  const auction = await server.auction(seller, {
    title: "An armchair with a very long name that has to be broken somewhere in the middle of it",
    description: "Averyveryveryveryveryveryveryveryveryveryveryverylongwordwithoutanyspaces. ".repeat(3),
    reserve: 100_000,
    buy_now: 200_000,
  });
  const client = await Client.connect(server, ann);
  for (let i = 0; i < 5; i++) await client.bid(auction, 1000 + i * 1000, `v${i}`);
  await client.close();

  for (const viewport of [WIDE, NARROW]) {
    const visitor = await person(null, viewport);
    for (const path of ["/", "/login", "/join", "/help", `/a/${auction}`, "/a/0000000000000", "/no"]) {
      await visitor.open(path);
      await visitor.locator("main[aria-busy]").waitFor({ state: "detached" });
      await visitor.locator("h1").waitFor();
      await assertAccessible(visitor, `${path} at ${viewport.width} px`);
      await assertNarrow(visitor, path);
    }
    const own = await person(`Own${viewport.width}`, viewport);
    for (const path of ["/sell", "/me/bids", "/me/watched", "/me/payments", `/a/${auction}`]) {
      await own.open(path);
      await own.locator("h1").waitFor();
      await assertAccessible(own, `${path} at ${viewport.width} px`);
      await assertNarrow(own, path);
    }
    visitor.complaints = visitor.complaints.filter((text) => !text.includes("404"));
    await leave(visitor, own);
  }
});

test("the picture of the manual", { skip: !isPictured }, async () => {
  const people = await Promise.all(["Hansen", "pa", "pb", "pc"].map((name) => server.account(name)));
  const auction = await server.auction(people[0], {
    title: "Mid-century walnut armchair",
    description: "Denmark, about 1960. Restored frame, new webbing and covers. Collection or courier.",
    category: "home",
    start_price: 12_000,
  });
  const clients = await Promise.all(people.slice(1).map((one) => Client.connect(server, one)));
  const beginMs = Date.now();
  // prettier-ignore
  const bids = [[0, 15_000], [900, 18_000], [2_500, 21_500], [2_900, 26_000], [5_200, 27_500],
    [7_000, 31_000], [9_500, 36_500], [10_100, 38_000], [11_800, 45_000]];
  for (const [i, [atMs, max]] of bids.entries()) {
    await until(() => Date.now() - beginMs >= atMs, "its time"); // a chart needs some width
    await clients[i % 3].bid(auction, max, `p${i}`);
  }
  const page = await person("Visitor");
  await page.open(`/a/${auction}`);
  await page.locator(".live.on").waitFor();
  await priceIs(page, "$385.00");
  await page.screenshot({ path: PICTURE });
  await Promise.all(clients.map((client) => client.close()));
  await leave(page);
});
