/**
 * Amounts as people type and read them. What is read wrongly here is bid wrongly, so everything
 * doubtful must be refused. Which mark is the decimal one follows the language: here English.
 *
 *     LC_ALL=en_US.UTF-8 node --test tests/browser/money_test.mjs
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { money, parseMoney, plain, setCurrencies } from "../../static/site/core/money.js";

setCurrencies([
  { code: "USD", decimals: 2 },
  { code: "JPY", decimals: 0 },
  { code: "KWD", decimals: 3 },
]);

test("what is typed becomes minor units, or is refused", () => {
  const rows = [
    ["10", "USD", 1000],
    ["10.5", "USD", 1050],
    ["10.50", "USD", 1050],
    ["10,50", "USD", 1050],
    ["1,234", "USD", 123400],
    ["1.234", "USD", null],
    ["1,234.50", "USD", 123450],
    ["1.234,50", "USD", 123450],
    ["1 234,50", "USD", 123450],
    ["1'234.50", "USD", 123450],
    ["1\u202f234,50", "USD", 123450],
    ["1,234,567", "USD", 123456700],
    ["$10", "USD", 1000],
    ["10 €", "USD", 1000],
    ["USD 10.00", "USD", 1000],
    [".5", "USD", 50],
    ["10.", "USD", 1000],
    ["0", "USD", 0],
    ["10.505", "USD", null],
    ["10.5055", "USD", null],
    ["12.3456.7", "USD", null],
    ["12,34,567", "USD", null],
    ["1.234,567", "USD", null],
    ["1,234,50", "USD", null],
    ["1,2.50", "USD", null],
    ["", "USD", null],
    ["abc", "USD", null],
    ["-5", "USD", null],
    ["1e3", "USD", null],
    ["10-20", "USD", null],
    ["1 0x", "USD", null],
    ["10k", "USD", null],
    ["US$10", "USD", 1000],
    ["٣", "USD", null],
    ["1200", "JPY", 1200],
    ["1,200", "JPY", 1200],
    ["1200.5", "JPY", null],
    ["1200.50", "JPY", null],
    ["1.250", "KWD", 1250],
    ["KWD 1.250", "KWD", 1250],
    ["1.25", "KWD", 1250],
    ["1,250", "KWD", 1250000],
    ["1,250.500", "KWD", 1250500],
    [".", "USD", null],
    [",", "JPY", null],
    ["90071992547409.91", "USD", Number.MAX_SAFE_INTEGER],
    ["90071992547409.92", "USD", null],
  ];
  for (const [typed, currency, expected] of rows) {
    assert.equal(parseMoney(typed, currency), expected, `${JSON.stringify(typed)} ${currency}`);
  }
});

test("amounts are written without a fraction ever being computed", () => {
  assert.equal(plain(5, "USD"), "0.05");
  assert.equal(plain(1050, "USD"), "10.50");
  assert.equal(plain(1050, "JPY"), "1050");
  assert.equal(plain(1050, "KWD"), "1.050");
  assert.equal(plain(Number.MAX_SAFE_INTEGER, "USD"), "90071992547409.91");
});

test("what is written can be read again", () => {
  for (const minor of [1, 99, 100, 123456, 99999999]) {
    for (const currency of ["USD", "JPY"]) {
      assert.equal(parseMoney(plain(minor, currency), currency), minor, `${minor} ${currency}`);
      assert.equal(parseMoney(money(minor, currency), currency), minor, money(minor, currency));
    }
  }
});

test("an unknown currency is written with its code", () => {
  assert.match(money(1050, "ZZZ"), /ZZZ.*10\.50/);
  assert.match(money(1050, "bad"), /10\.50/);
});
