// Adjudication: an item, the verdicts on it by letter, and the decision by the same controls.
import { call } from "./api.js";
import { button, empty, fill, h, title } from "./dom.js";
import { itemNode } from "./item.js";
import { makePicture } from "./picture.js";
import { makeControls, verdictNode } from "./verdict.js";
import { ANSWERS, WHY } from "./words.js";

const PAGE = 20;
const UNDECIDED = new Set(["skip", "flag"]);

/** @param {any} app @param {any} set */
export const discussionView = (app, set) => {
  /** @type {any[]} */
  let disputes = [];
  let at = 0;
  let [total, open, offset] = [0, 0, 0];
  let state = "open";

  const heading = title(`Discussion of ${set.name}`);
  const place = h("p", { class: "df-dim rv-place" });
  const picture = makePicture(app);
  const facts = h("div", { class: "rv-facts" });
  const verdicts = h("div", { class: "rv-letters" });
  const settle = () => heading.focus({ preventScroll: true });
  const controls = makeControls({
    ...set,
    answers: set.answers.filter((answer) => !UNDECIDED.has(answer)),
    give: (answer, rest) => give(answer, rest),
    announce: app.announce,
    settle,
  });
  const note = h("div", {});
  const screen = h(
    "div",
    { class: "rv-judge" },
    picture.node,
    h("div", { class: "rv-side" }, facts, verdicts, note, controls.node),
  );
  const rest = h("div", { class: "rv-rest" });
  const allButton = button(
    "With those decided",
    () => {
      state = state === "open" ? "all" : "open";
      allButton.setAttribute("aria-pressed", String(state === "all"));
      load();
    },
    { "aria-pressed": "false" },
  );
  const previousButton = button("Previous", () => step(-1), { key: "P" });
  const nextButton = button("Next", () => step(1), { key: "N" });
  const node = h(
    "section",
    { class: "rv-screen rv-full" },
    h(
      "div",
      { class: "rv-bar" },
      heading,
      place,
      h(
        "div",
        { class: "df-row rv-moves" },
        previousButton,
        nextButton,
        button("Undo", () => undo(), { key: "U" }),
        allButton,
      ),
    ),
    screen,
    rest,
  );

  const dispute = () => disputes[at];
  const draw = (said = "") => {
    const now = dispute();
    screen.hidden = !now;
    previousButton.disabled = at + offset === 0;
    nextButton.disabled = offset + at + 1 >= total;
    place.textContent = `${open} open`;
    controls.enable(Boolean(now?.may_adjudicate));
    if (!now) {
      fill(
        rest,
        empty(
          "Nothing waits for a decision",
          h(
            "p",
            {},
            "Items come here when somebody flags them, or when all their verdicts are given and differ.",
          ),
        ),
      );
      app.announce(`${said} Nothing waits for a decision.`.trim());
      heading.textContent = `Discussion of ${set.name}`;
      settle();
      return;
    }
    fill(rest);
    const { item } = now;
    heading.textContent = `Item ${item.position}: ${now.why
      .map((why) => WHY[why] ?? why)
      .join(", ")
      .toLowerCase()}`;
    place.textContent = `${offset + at + 1} of ${total} shown · ${open} open`;
    picture.show(item);
    fill(facts, itemNode(item, set.kind));
    fill(
      verdicts,
      h("h3", { class: "df-sub" }, "Verdicts"),
      h(
        "div",
        { class: "rv-lettered" },
        now.verdicts.map((one) => letter(one, item, now.mine)),
      ),
    );
    fill(
      note,
      now.adjudication?.answer
        ? h(
            "div",
            { class: "rv-mine" },
            h("h3", { class: "df-sub" }, "Decision"),
            verdictNode(now.adjudication, item.text),
          )
        : null,
      now.may_adjudicate
        ? h("h3", { class: "df-sub" }, now.adjudication?.answer ? "Decide anew" : "Your decision")
        : h("p", { class: "df-message" }, "You reviewed this item yourself, so somebody else decides it."),
    );
    controls.load(item, now.adjudication);
    if (heading.getBoundingClientRect().top < 0) node.scrollIntoView({ block: "start" });
    const following = disputes[at + 1];
    if (following) app.shelf(following.item.image_url).catch(() => {});
    app.announce(
      `${said} ${heading.textContent}. ${now.verdicts.map((one) => `${one.letter}: ${ANSWERS[one.answer]?.done}`).join(", ")}`.trim(),
    );
  };
  const letter = (one, item, mine) =>
    h(
      "article",
      { class: "rv-letter", "aria-label": `Verdict ${one.letter}` },
      h("span", { class: "df-letter rv-badge", "aria-hidden": "true" }, one.letter),
      one.letter === mine ? h("span", { class: "df-dim" }, " yours") : null,
      verdictNode(one, item.text),
    );

  const load = async (from = 0) => {
    try {
      const page = await call(`/sets/${set.id}/discussion?state=${state}&offset=${from}&limit=${PAGE}`);
      [disputes, total, open, offset, at] = [page.disputes, page.total, page.open, from, 0];
      draw();
    } catch (error) {
      screen.hidden = true;
      app.tell(error);
    }
  };
  const step = async (by) => {
    if (controls.isOpen()) return;
    const to = offset + at + by;
    if (to < 0 || to >= total) return;
    if (disputes[at + by]) {
      at += by;
      draw();
    } else {
      await load(Math.max(0, by > 0 ? to : to - PAGE + 1));
      at = to - offset;
      draw();
    }
  };
  const give = (answer, details) => {
    const now = dispute();
    const body = { revision: now.adjudication?.revision ?? 0, answer, ...details, seconds: null };
    const wasOpen = !now.adjudication?.answer;
    app.outbox.add({
      what: "adjudication",
      set: set.id,
      setName: set.name,
      item: now.item.id,
      position: now.item.position,
      body,
    });
    now.adjudication = { ...body, at: new Date().toISOString() };
    if (wasOpen) open -= 1;
    if (state === "open") {
      disputes.splice(at, 1);
      total -= 1;
      at = Math.min(at, Math.max(0, disputes.length - 1));
    } else if (at + 1 < disputes.length) at += 1;
    draw(`Decided: ${ANSWERS[answer].done}.`);
  };
  const undo = () => {
    if (!controls.isOpen())
      app.outbox.add({ what: "undo", set: set.id, setName: set.name, item: null, position: null, body: {} });
  };

  load();
  return {
    node,
    focus: settle,
    saved: (entry, answer) => {
      if (entry.set !== set.id) return;
      for (const one of disputes.filter((other) => other.item.id === entry.item))
        one.adjudication = answer.verdict;
      if (entry.what === "undo") {
        app.announce("Taken back.");
        load();
      } else if (!disputes.length && open > 0) load();
    },
    settled: () => load(),
    keys: () => [
      ...controls.keys,
      { key: "p", says: "The dispute before", run: () => step(-1), when: () => !controls.isOpen() },
      { key: "n", says: "The next dispute", run: () => step(1), when: () => !controls.isOpen() },
      { key: "u", says: "Undo: take back my last action", run: undo, when: () => !controls.isOpen() },
      ...picture.keys,
    ],
  };
};
