// How far reviewers agree, and how well they tell real images from generated ones.
import { call } from "./api.js";
import { button, download, empty, fill, h, scrolling, title } from "./dom.js";
import { number, percent, said } from "./words.js";

const COEFFICIENTS = [
  ["raw", "Same answer"],
  ["cohen", "Cohen’s κ"],
  ["fleiss", "Fleiss’ κ"],
  ["krippendorff", "Krippendorff’s α"],
];
const GROUPS = { all: "All", benign: "Benign", malignant: "Malignant" };
const SHARES = [
  ["accuracy", "Right"],
  ["sensitivity", "Generated ones found"],
  ["specificity", "Real ones recognised"],
];

/** @param {any} app @param {any} set */
export const agreementView = (app, set) => {
  const heading = title(`Agreement in ${set.name}`);
  const content = h("div", { class: "rv-stack" }, h("p", { class: "df-dim" }, "Computing…"));
  const load = async () => {
    try {
      const found = await call(`/sets/${set.id}/agreement`);
      const isTest = set.kind === "real_or_synthetic";
      fill(
        content,
        isTest ? testsNode(found, set) : null,
        found.rows.some((row) => row.items)
          ? tableNode(found)
          : empty(
              "There is nothing to compare yet",
              h("p", {}, "Agreement needs items that two reviewers or more have judged."),
            ),
        h(
          "div",
          { class: "df-row" },
          button("Download as CSV", () =>
            download(new Blob([csv(found)], { type: "text/csv" }), `agreement-${fileName(set.name)}.csv`),
          ),
        ),
      );
      app.announce("Agreement is shown.");
    } catch (error) {
      fill(content);
      app.tell(error);
    }
  };
  load();
  return {
    node: h("section", { class: "rv-screen rv-stack" }, heading, content),
    focus: () => heading.focus({ preventScroll: true }),
  };
};

const tableNode = (found) => {
  const reasons = [
    ...new Set(found.rows.flatMap((row) => COEFFICIENTS.map(([name]) => row[name].reason)).filter(Boolean)),
  ];
  const cell = (one) =>
    one.value === null
      ? h(
          "td",
          { class: "df-dim" },
          "not defined",
          one.reason ? h("sup", {}, ` ${reasons.indexOf(one.reason) + 1}`) : null,
        )
      : h(
          "td",
          {},
          h("strong", {}, number(one.value)),
          one.low === null
            ? null
            : h("span", { class: "rv-interval" }, ` ${number(one.low)} to ${number(one.high)}`),
        );
  const bodies = [...new Set(found.rows.map((row) => row.question))].map((question) => {
    const rows = found.rows.filter((row) => row.question === question);
    return h(
      "tbody",
      { "data-question": question },
      rows.map((row, index) =>
        h(
          "tr",
          { "data-group": row.group },
          index === 0 ? h("th", { scope: "rowgroup", rowspan: rows.length }, said(question)) : null,
          h("th", { scope: "row" }, GROUPS[row.group] ?? row.group),
          h("td", {}, row.items),
          h("td", {}, row.raters),
          COEFFICIENTS.map(([name]) => cell(row[name])),
        ),
      ),
    );
  });
  const table = h(
    "table",
    { class: "df-table rv-agreement" },
    h("caption", {}, `Agreement with ${Math.round(100 * found.confidence)} % intervals`),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ["Question", "Items of", "Items", "Reviewers", ...COEFFICIENTS.map(([, words]) => words)].map(
          (words) => h("th", { scope: "col" }, words),
        ),
      ),
    ),
    bodies,
  );
  return h(
    "div",
    {},
    scrolling("Agreement", table),
    reasons.length
      ? h(
          "ol",
          { class: "rv-reasons-list df-dim" },
          reasons.map((reason) => h("li", {}, reason)),
        )
      : null,
    h(
      "p",
      { class: "df-dim" },
      `Intervals: bootstrap over items, ${found.bootstraps.toLocaleString("en")} draws, seed ${found.seed}. Skipped, flagged and unsure count as missing.`,
    ),
  );
};

const testsNode = (found, set) => {
  if (!found.tests.length) {
    return h(
      "p",
      { class: "df-message" },
      set.state === "closed"
        ? "Nobody has given a verdict that counts."
        : "The result is shown when the set is closed, so that nobody learns it while judging.",
    );
  }
  const share = (one) =>
    h(
      "td",
      {},
      one.value === null
        ? h("span", { class: "df-dim" }, "none judged")
        : [
            h("strong", {}, percent(one.value)),
            h("span", { class: "rv-interval" }, ` ${percent(one.low)} to ${percent(one.high)}`),
            h("span", { class: "df-dim" }, ` ${one.count} of ${one.total}`),
          ],
    );
  const table = h(
    "table",
    { class: "df-table", id: "rv-test" },
    h("caption", {}, "Real or synthetic, with exact 95 % intervals"),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ["Reviewer", ...SHARES.map(([, words]) => words)].map((words) => h("th", { scope: "col" }, words)),
      ),
    ),
    h(
      "tbody",
      {},
      found.tests.map((test) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, test.reviewer === "all" ? "All" : test.reviewer),
          SHARES.map(([name]) => share(test[name])),
        ),
      ),
    ),
  );
  const { accuracy } = found.tests.find((test) => test.reviewer === "all") ?? found.tests[0];
  const told =
    accuracy.low === null
      ? ""
      : accuracy.low > 0.5
        ? "Reviewers tell them apart better than by chance."
        : accuracy.high < 0.5
          ? "Reviewers take one for the other more often than by chance."
          : "The interval includes 50 %: these verdicts do not show that reviewers can tell them apart.";
  return h("div", {}, h("p", {}, told), scrolling("Real or synthetic", table));
};

const csv = (found) => {
  const cells = COEFFICIENTS.flatMap(([name]) => [name, `${name}_low`, `${name}_high`, `${name}_reason`]);
  const lines = found.rows.map((row) => [
    row.question,
    row.group,
    row.items,
    row.raters,
    ...COEFFICIENTS.flatMap(([name]) => [row[name].value, row[name].low, row[name].high, row[name].reason]),
  ]);
  const tests = found.tests.flatMap((test) =>
    SHARES.map(([name]) => [
      test.reviewer,
      name,
      test[name].count,
      test[name].total,
      test[name].value,
      test[name].low,
      test[name].high,
    ]),
  );
  const parts = [[["question", "group", "items", "raters", ...cells], ...lines]];
  if (tests.length) parts.push([["reviewer", "share", "count", "total", "value", "low", "high"], ...tests]);
  return (
    parts.map((part) => part.map((line) => line.map(quoted).join(",")).join("\r\n")).join("\r\n\r\n") + "\r\n"
  );
};

// A leading sign would be run as a formula by a spreadsheet; numbers are safe.
const quoted = (value) => {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

export const fileName = (name) => name.replace(/[^\p{L}\p{N}_-]+/gu, "-").replace(/^-|-$/g, "") || "set";
