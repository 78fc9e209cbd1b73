// The audit trail in sentences, the newest first.
import { call } from "./api.js";
import { button, empty, fill, h, title } from "./dom.js";
import { ANSWERS, said, when } from "./words.js";

const PAGE = 100;

/** @param {any} app @param {any} set */
export const auditView = (app, set) => {
  const heading = title(`Audit trail of ${set.name}`);
  const list = h("ol", { class: "rv-trail", reversed: true });
  const more = h("div", { class: "df-row" });
  const load = async (before = null) => {
    try {
      const page = await call(`/sets/${set.id}/audit?limit=${PAGE}${before ? `&before=${before}` : ""}`);
      const first = page.events.map(eventNode);
      list.append(...first);
      if (!list.children.length) fill(more, empty("Nothing has happened yet"));
      else
        fill(
          more,
          page.next
            ? button("Older events", () => load(page.next))
            : h("p", { class: "df-dim" }, "That is all."),
        );
      if (before) {
        first[0]?.setAttribute("tabindex", "-1");
        first[0]?.focus();
      }
    } catch (error) {
      app.tell(error);
    }
  };
  load();
  const veiled =
    set.blind && set.state === "open"
      ? " While the set is open and blind, what others answered stays hidden."
      : "";
  const note = h(
    "p",
    { class: "df-dim" },
    `Everything that was done in this set. The database refuses to change or remove an entry.${veiled}`,
  );
  return {
    node: h("section", { class: "rv-screen rv-stack" }, heading, note, list, more),
    focus: () => heading.focus({ preventScroll: true }),
  };
};

const eventNode = (event) =>
  h(
    "li",
    { "data-action": event.action },
    h("time", { class: "df-dim", datetime: event.at }, when(event.at)),
    " ",
    h("span", {}, h("strong", {}, event.actor ?? "The studio"), ` ${sentence(event)}`),
    detail(event),
  );

const sentence = (event) => {
  const item = event.position ? `item ${event.position}` : "an item";
  const answer = (verdict) => (ANSWERS[verdict?.answer]?.done ?? "nothing").toLowerCase();
  const { before, after } = event;
  // While a blind set is open, what others said is not shown.
  if (!after && ["verdict", "undone", "adjudicated"].includes(event.action)) {
    return {
      verdict: `judged ${item}`,
      undone: `took something back on ${item}`,
      adjudicated: `decided ${item}`,
    }[event.action];
  }
  const sentences = {
    created: () => `made the set${after?.items ? ` of ${after.items} items` : ""}.`,
    verdict: () =>
      before?.answer
        ? `changed the verdict on ${item} from ${answer(before)} to ${answer(after)}`
        : `judged ${item}: ${answer(after)}`,
    undone: () =>
      `took back ${before?.answer ? `“${answer(before)}”` : "the last action"} on ${item}${after?.answer ? `; it is ${answer(after)} again` : ""}`,
    adjudicated: () => `decided ${item}: ${answer(after)}`,
    guidelines: () => `wrote version ${after?.version ?? "?"} of the guidelines.`,
    closed: () => "closed the set.",
    reopened: () => "opened the set again.",
    version: () => `made version ${after?.version ?? "?"} of the caption set ${after?.name ?? ""}.`,
    imported: () => `imported version ${after?.version ?? "?"} of the caption set ${after?.name ?? ""}.`,
  };
  return (sentences[event.action] ?? (() => `${said(event.action)} ${item}`))();
};

const detail = ({ action, after }) => {
  if (!after || !["verdict", "adjudicated"].includes(action)) return null;
  const parts = [
    after.reason,
    after.text ? `new text: “${after.text}”` : "",
    after.note ? `note: “${after.note}”` : "",
  ].filter(Boolean);
  return parts.length ? h("span", { class: "df-dim" }, ` (${parts.join("; ")})`) : null;
};
