// Words that were added and removed, and captions with their A, B and C words marked.
import { h } from "./dom.js";

const MANY = 1_500;
const LETTERS = { A: "Asymmetry", B: "Border", C: "Colours" };

/** @typedef {{kind: "same" | "added" | "removed", text: string}} Run */

/**
 * Runs of words from `before` to `after`, by their longest common subsequence.
 * @param {string} before @param {string} after @returns {Run[]}
 */
export const wordDiff = (before, after) => {
  const [old, now] = [before, after].map((text) => text.trim().split(/\s+/).filter(Boolean));
  if (old.length > MANY || now.length > MANY) {
    return [
      { kind: "removed", text: before },
      { kind: "added", text: after },
    ];
  }
  const common = lengths(old, now);
  const steps = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      steps.push(["same", old[i]]);
      i += 1;
      j += 1;
    } else if (j >= now.length || (i < old.length && common[i + 1][j] >= common[i][j + 1])) {
      steps.push(["removed", old[i]]);
      i += 1;
    } else {
      steps.push(["added", now[j]]);
      j += 1;
    }
  }
  return joined(steps);
};

const lengths = (old, now) => {
  const table = Array.from({ length: old.length + 1 }, () => new Uint16Array(now.length + 1));
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      table[i][j] = old[i] === now[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
    }
  }
  return table;
};

const joined = (steps) => {
  /** @type {Run[]} */
  const runs = [];
  for (const [kind, word] of steps) {
    const last = runs.at(-1);
    if (last?.kind === kind) last.text += ` ${word}`;
    else runs.push({ kind, text: word });
  }
  return runs;
};

/** @param {Run[]} runs @returns {any} a paragraph with <ins> and <del> */
export const diffNode = (runs) => {
  const tags = { same: "span", added: "ins", removed: "del" };
  return h(
    "p",
    { class: "rv-diff" },
    runs.flatMap(({ kind, text }) => [h(tags[kind], {}, text), " "]),
  );
};

/**
 * A caption: A, B and C words carry their letter, what a finding is about carries its number.
 * @param {string} text
 * @param {{start: number, end: number, kind: string, field: string, value: string, negated: boolean}[]} spans
 * @param {{spans: number[][]}[]} findings
 */
export const captionNode = (text, spans, findings) => {
  const points = Array.from(text);
  const marks = spans.filter((span) => LETTERS[span.kind]);
  const found = findings.flatMap((one, index) =>
    one.spans.map(([start, end]) => ({ start, end, number: index + 1 })),
  );
  const cuts = new Set([0, points.length]);
  for (const { start, end } of [...marks, ...found]) cuts.add(start).add(end);
  const places = [...cuts].filter((place) => place <= points.length).sort((one, other) => one - other);
  const nodes = places.slice(0, -1).map((start, index) => {
    const end = places[index + 1];
    const words = points.slice(start, end).join("");
    const mark = marks.find((span) => span.start <= start && end <= span.end);
    const about = found.filter((span) => span.start <= start && end <= span.end);
    return noticed(mark ? marked(words, mark, start === mark.start) : words, about, start);
  });
  return h("p", { class: "df-reading rv-caption" }, nodes);
};

const marked = (words, span, first) => {
  const letter = span.kind;
  const meaning = `${LETTERS[letter]}: ${span.negated ? "not " : ""}${String(span.value).replaceAll("_", " ")}`;
  const badge = first
    ? h("span", { class: "df-tag", "aria-hidden": "true" }, span.negated ? `${letter} not` : letter)
    : null;
  const kind = `df-mark-${letter.toLowerCase()}${span.negated ? " rv-negated" : ""}`;
  return h("mark", { class: kind, title: meaning }, badge, words);
};

const noticed = (content, about, start) => {
  if (!about.length) return content;
  const numbers = about.filter((span) => span.start === start).map((span) => span.number);
  const badge = numbers.length
    ? h("sup", { class: "rv-number" }, h("span", { class: "df-sr" }, "finding "), numbers.join(", "))
    : null;
  return h("span", { class: "rv-found" }, badge, content);
};
