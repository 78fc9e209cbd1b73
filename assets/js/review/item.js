// What is known of an item beside its picture: the caption, what the checks found, what was measured.
import { h } from "./dom.js";
import { captionNode } from "./diff.js";
import { percent, said, SEVERITIES } from "./words.js";

const TEXT_TITLES = { captions: "Caption", images: "What the image was asked to show" };

/** @param {any} item @param {string} kind of the set */
export const itemNode = (item, kind) => [
  item.text
    ? h(
        "div",
        {},
        h("h3", { class: "df-sub" }, TEXT_TITLES[kind] ?? "Caption"),
        captionNode(item.text, item.spans, item.findings),
      )
    : null,
  kind === "real_or_synthetic"
    ? h("p", { class: "rv-ask" }, "Is this a photograph of a lesion, or was it generated?")
    : null,
  item.findings.length
    ? h("div", {}, h("h3", { class: "df-sub" }, "What the checks found"), findingList(item.findings))
    : null,
  item.measured.length
    ? h("div", {}, h("h3", { class: "df-sub" }, "Measured on the image"), measuredList(item.measured))
    : null,
  sourceLine(item),
];

const findingList = (findings) =>
  h(
    "ol",
    { class: "rv-findings" },
    findings.map((one) =>
      h(
        "li",
        { class: `rv-finding rv-${one.severity}` },
        h("strong", { class: "rv-severity" }, SEVERITIES[one.severity] ?? one.severity),
        " ",
        h("strong", {}, one.words),
        one.reason ? ` ${one.reason}` : "",
      ),
    ),
  );

const measuredList = (measured) =>
  h(
    "dl",
    { class: "rv-measured" },
    measured.map((one) =>
      h(
        "div",
        {},
        h("dt", {}, said(one.field)),
        h(
          "dd",
          {},
          String(one.value).replaceAll("_", " "),
          one.confidence === null
            ? null
            : h("span", { class: "df-dim" }, ` ${percent(one.confidence).replace(/\.\d /, " ")} sure`),
        ),
      ),
    ),
  );

const sourceLine = (item) => {
  const parts = [item.label_words, item.dataset, item.source].filter(Boolean);
  return parts.length ? h("p", { class: "df-dim rv-source" }, parts.join(" · ")) : null;
};
