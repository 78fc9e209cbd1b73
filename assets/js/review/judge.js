// The judging screen: one item at a time, the next ones fetched and decoded before they are wanted.
import { call, Refusal, Unreachable } from "./api.js";
import { button, empty, fill, h, message, title } from "./dom.js";
import { itemNode } from "./item.js";
import { makePicture } from "./picture.js";
import { makeControls, verdictNode } from "./verdict.js";
import { guidelinesAside } from "./guidelines.js";
import { ANSWERS, counted, duration } from "./words.js";

const AHEAD = 3;
const PAGE = 20;
const ASKS_AGAIN_MS = 20_000;
const PROGRESS_EVERY_MS = 15_000;

/** Seconds that an item was looked at, the page being in front. */
const makeClock = () => {
  let [total, since] = [0, performance.now()];
  const read = () => total + (since === null ? 0 : performance.now() - since);
  document.addEventListener("visibilitychange", () => {
    total = read();
    since = document.hidden ? null : performance.now();
  });
  return {
    start: () => {
      [total, since] = [0, document.hidden ? null : performance.now()];
    },
    seconds: () => Math.min(86_400, Math.round(read() / 100) / 10),
  };
};

const clock = makeClock();

/**
 * The screen of a set.
 * @param {any} app @param {any} set the set in full
 */
export const judgeView = (app, set) => {
  /** @type {any[]} */
  let ready = [];
  /** What I judged, the oldest first; older ones are fetched when they are wanted. @type {any[]} */
  let trail = [];
  let older = { before: null, isEnd: false };
  let back = 0;
  let shown = null;
  const judged = new Set();
  let [finished, waiting, refusal, trouble] = [false, 0, "", ""];
  let [isFilling, isAskedAgain] = [false, false];
  let isLeft = false;
  let timer = 0;
  let progress = set.progress;
  let progressAt = performance.now();

  const heading = title("");
  const place = h("p", { class: "df-dim rv-place" });
  const bar = h("progress", { max: "1", value: 0, "aria-label": "Items with all their verdicts" });
  const earlier = h("div", { class: "rv-earlier" });
  const facts = h("div", { class: "rv-facts" });
  const picture = makePicture(app);
  const settle = () => heading.focus({ preventScroll: true });
  const controls = makeControls({
    ...set,
    give: (answer, rest) => give(answer, rest),
    announce: app.announce,
    settle,
  });
  const aside = guidelinesAside(set.guidelines);
  const undoButton = button("Undo", () => undo(), { key: "U" });
  const previousButton = button("Previous", () => lookBack(), { key: "P" });
  const nextButton = button("Back to the next", () => lookAhead(), { key: "N" });
  const guideButton = button("Guidelines", () => toggleGuide(), { key: "G", "aria-expanded": "false" });
  const screen = h(
    "div",
    { class: "rv-judge" },
    picture.node,
    h("div", { class: "rv-side" }, earlier, facts, controls.node),
  );
  const rest = h("div", { class: "rv-rest" });
  const node = h(
    "section",
    { class: "rv-screen rv-full" },
    h(
      "div",
      { class: "rv-bar" },
      heading,
      place,
      h("div", { class: "df-row rv-moves" }, previousButton, nextButton, undoButton, guideButton),
    ),
    bar,
    aside.node,
    screen,
    rest,
  );

  const toggleGuide = () => {
    const isOpen = aside.toggle();
    guideButton.setAttribute("aria-expanded", String(isOpen));
    app.announce(isOpen ? `Guidelines: ${set.guidelines.text}` : "Guidelines closed");
  };

  // The last verdicts are saved after the end is on the screen: then it counts them too.
  const thanks = h("p");
  const drawProgress = () => {
    const mine = progress.mine;
    bar.max = Math.max(1, progress.verdicts_needed);
    bar.value = progress.verdicts;
    const parts = [
      mine ? `${counted(mine.given, "verdict")} of mine` : "",
      `${progress.verdicts} of ${progress.verdicts_needed} verdicts in all`,
      mine?.pace ? `${Math.round(mine.pace)} an hour` : "",
      progress.seconds_left ? `${duration(progress.seconds_left)} left` : "",
    ];
    place.textContent = parts.filter(Boolean).join(" · ");
    thanks.textContent = mine
      ? `You gave ${counted(mine.given, "verdict")}, skipped ${mine.skipped} and flagged ${mine.flagged}. Thank you.`
      : "All items have their verdicts.";
  };

  const draw = (said = "") => {
    const next = back ? trail[trail.length - back] : ready[0];
    const isNew = next !== shown;
    shown = next ?? null;
    drawProgress();
    previousButton.disabled = back ? back >= trail.length && older.isEnd : !trail.length && older.isEnd;
    nextButton.hidden = !back;
    controls.enable(Boolean(shown) && !shown.adjudicated);
    screen.hidden = !shown;
    if (!shown) return drawRest(said);
    fill(rest, refusal ? message(refusal) : null);
    heading.textContent = `Item ${shown.position} of ${progress.items}`;
    if (isNew) {
      picture.show(shown);
      fill(facts, itemNode(shown, set.kind));
      controls.load(shown, shown.verdict);
      clock.start();
      if (heading.getBoundingClientRect().top < 0) node.scrollIntoView({ block: "start" });
      app.announce(`${said} Item ${shown.position} of ${progress.items}. ${shown.text}`.trim());
    }
    const verdict = shown.verdict?.answer ? shown.verdict : null;
    fill(
      earlier,
      shown.adjudicated
        ? h("p", { class: "df-message" }, "This item has been decided: it takes no verdict any more.")
        : null,
      verdict
        ? h(
            "div",
            { class: "rv-mine" },
            h("h3", { class: "df-sub" }, "Your verdict"),
            verdictNode(verdict, shown.text),
            shown.adjudicated ? null : h("p", { class: "df-dim" }, "Judge anew to change it."),
          )
        : null,
    );
  };

  const drawRest = (said) => {
    heading.textContent = finished && !waiting ? "Done" : "Judging";
    const mine = progress.mine;
    const skipped = mine?.skipped ?? 0;
    const toSets = button("To the sets", () => app.go("sets"), { kind: "df-primary" });
    let content = empty("Loading…");
    if (refusal) content = [message(refusal), h("div", { class: "df-row df-foot" }, toSets)];
    else if (finished && waiting) {
      content = empty(
        "Others are at the last items",
        h(
          "p",
          {},
          `${counted(waiting, "item")} of this set are with other reviewers at the moment. They come here if they are not judged.`,
        ),
        h(
          "div",
          { class: "df-row rv-centred" },
          button("Look again", () => refill()),
          toSets,
        ),
      );
    } else if (finished) {
      content = empty(
        "Nothing is left for you here",
        thanks,
        h(
          "div",
          { class: "df-row rv-centred" },
          toSets,
          skipped
            ? button(`Look at the ${counted(skipped, "skipped item")} again`, () => lookAtSkipped())
            : null,
        ),
      );
    } else if (trouble)
      content = empty(
        "Waiting for the studio",
        h(
          "p",
          {},
          `${trouble} What you decided is kept in this browser, and the next items come as soon as it answers.`,
        ),
        button("Try now", () => refill()),
      );
    fill(rest, content);
    if (finished || trouble || refusal) {
      app.announce(`${said} ${rest.querySelector("h3, .df-message")?.textContent ?? ""}`.trim());
      if (
        !node.contains(document.activeElement) ||
        document.activeElement === document.body ||
        controls.node.hidden
      )
        settle();
    }
  };

  const refill = async () => {
    isAskedAgain = isFilling;
    if (isFilling || isLeft || refusal) return;
    isFilling = true;
    clearTimeout(timer);
    try {
      const unsaved = app.outbox.all().filter((one) => one.set === set.id).length;
      const answer = await call(`/sets/${set.id}/next?count=${Math.min(20, AHEAD + unsaved)}`);
      const there = new Set(ready.map((one) => one.id));
      const fresh = answer.items.filter(
        (one) => !judged.has(one.id) && !there.has(one.id) && !app.outbox.holds(set.id, one.id),
      );
      ready.push(...fresh);
      fresh.forEach((one) => app.shelf(one.image_url).catch(() => {}));
      [finished, waiting, trouble] = [
        answer.finished || (!answer.items.length && !answer.waiting),
        answer.waiting,
        "",
      ];
      if (!ready.length && !finished && waiting) finished = true;
    } catch (error) {
      if (error instanceof Refusal) refusal = error.message;
      else if (error instanceof Unreachable) trouble = error.message;
      else throw error;
    } finally {
      isFilling = false;
    }
    if (isLeft) return;
    if (isAskedAgain) return refill();
    if (!shown) draw();
    if (!ready.length && !refusal && (trouble || waiting))
      timer = setTimeout(() => app.isShown() && refill(), ASKS_AGAIN_MS);
  };

  const give = (answer, details) => {
    const item = shown;
    const body = { revision: item.verdict?.revision ?? 0, answer, ...details, seconds: clock.seconds() };
    judged.add(item.id);
    item.verdict = { ...body, revision: body.revision, at: new Date().toISOString() };
    trail = [...trail.filter((one) => one.id !== item.id), item];
    ready = ready.filter((one) => one.id !== item.id);
    back = 0;
    app.outbox.add({
      what: "verdict",
      set: set.id,
      setName: set.name,
      item: item.id,
      position: item.position,
      body,
    });
    draw(`${ANSWERS[answer].done}.`);
    if (ready.length < AHEAD) refill();
  };

  const undo = () => {
    if (controls.isOpen()) return;
    app.outbox.add({ what: "undo", set: set.id, setName: set.name, item: null, position: null, body: {} });
    if (app.outbox.trouble()) app.announce("It is taken back as soon as the studio answers.");
  };

  const comeBack = async (id, said) => {
    try {
      const item = await call(`/sets/${set.id}/items/${id}`);
      judged.delete(id);
      trail = trail.filter((one) => one.id !== id);
      ready = [item, ...ready.filter((one) => one.id !== id)];
      if (item.verdict?.answer) {
        ready.shift();
        trail.push(item);
        back = 1;
      } else back = 0;
      shown = null;
      draw(said);
      settle();
    } catch (error) {
      app.tell(error);
    }
  };

  const lookBack = async () => {
    if (back < trail.length) back += 1;
    else if (!older.isEnd) {
      const found = await fetchOlder("");
      if (found.length) back += 1;
    }
    draw(back ? "Looking back." : "There is nothing earlier.");
  };
  const fetchOlder = async (query) => {
    try {
      const before = older.before ? `&before=${encodeURIComponent(older.before)}` : "";
      const page = await call(`/sets/${set.id}/mine?limit=${PAGE}${before}${query}`);
      const there = new Set(trail.map((one) => one.id));
      const found = page.filter((one) => !there.has(one.id));
      older = { before: page.at(-1)?.verdict.at ?? null, isEnd: page.length < PAGE };
      trail = [...found.reverse(), ...trail];
      return found;
    } catch (error) {
      app.tell(error);
      return [];
    }
  };
  const lookAtSkipped = async () => {
    [trail, back, older] = [[], 0, { before: null, isEnd: false }];
    const found = await fetchOlder("&answer=skip");
    back = found.length;
    draw("The skipped items.");
    settle();
  };
  const lookAhead = () => {
    if (back) back -= 1;
    draw(back ? "" : "Back to the next item.");
  };

  draw();
  refill();
  return {
    node,
    focus: settle,
    leave: () => {
      isLeft = true;
      clearTimeout(timer);
    },
    shown: () => !ready.length && refill(),
    /** The studio has saved something of this set. */
    saved: (entry, answer) => {
      if (entry.set !== set.id) return;
      if (answer.progress) progress = { ...progress, mine: answer.progress };
      if (entry.what === "verdict" && !entry.body.revision && entry.body.answer !== "skip")
        progress.verdicts += 1;
      if (entry.what === "undo") {
        if (answer.action === "adjudicated") app.announce("Your decision was taken back.");
        else comeBack(answer.item, "Taken back.");
      } else for (const one of trail.filter((item) => item.id === entry.item)) one.verdict = answer.verdict;
      if (performance.now() - progressAt > PROGRESS_EVERY_MS || finished) refreshProgress();
      drawProgress();
      if (ready.length < AHEAD) refill();
    },
    /** A conflict was decided: what is there now is shown. */
    settled: (entry, verdict) => {
      for (const one of trail.filter((item) => entry.set === set.id && item.id === entry.item))
        one.verdict = verdict;
      draw();
    },
    keys: () => [
      ...controls.keys,
      { key: "u", says: "Undo: take back my last action", run: undo, when: () => !controls.isOpen() },
      { key: "p", says: "Look at what I judged before", run: lookBack, when: () => !controls.isOpen() },
      {
        key: "n",
        says: "Back to the next item",
        run: lookAhead,
        when: () => Boolean(back) && !controls.isOpen(),
      },
      ...picture.keys,
      { key: "g", says: "Show or hide the guidelines", run: toggleGuide },
    ],
  };

  async function refreshProgress() {
    progressAt = performance.now();
    try {
      progress = (await call(`/sets/${set.id}`)).progress;
      if (!isLeft) drawProgress();
    } catch {
      // The next verdict asks again.
    }
  }
};
