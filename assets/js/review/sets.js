// All review sets: how far they are, what I may do in them, closing and reopening.
import { call, LOOK_EVERY_MS } from "./api.js";
import { ask, button, empty, fill, h, title } from "./dom.js";
import { counted, duration, KINDS, STRATEGIES, when } from "./words.js";

/** @param {any} app */
export const setsView = (app) => {
  const heading = title("Review sets");
  const content = h("div", { class: "rv-stack" }, h("p", { class: "df-dim" }, "Loading…"));
  const mayKeep = app.me.may.includes("keep");

  let drawn = "";
  let timer = 0;
  /** @type {string[]} jobs that were seen to make a set */
  let known = app.form?.job ? [app.form.job] : [];
  const draw = (sets, jobs) => {
    const anew = JSON.stringify([sets, jobs]);
    if (anew === drawn) return;
    drawn = anew;
    const { activeElement: focused } = document;
    const place = content.contains(focused) && {
      set: focused.closest("[data-set]")?.dataset.set,
      words: focused.textContent,
    };
    paint(sets, jobs);
    const same = (one) =>
      one.textContent === place.words && one.closest("[data-set]")?.dataset.set === place.set;
    if (place) [...content.querySelectorAll("button, summary")].find(same)?.focus({ preventScroll: true });
  };
  const paint = (sets, jobs) =>
    fill(
      content,
      mayKeep
        ? h(
            "div",
            { class: "df-row" },
            button("Make a set", () => app.go("make"), { kind: sets.length ? "" : "df-primary" }),
          )
        : null,
      sets.length || jobs.length
        ? h("ul", { class: "rv-cards" }, jobs.map(making), sets.map((set) => card(app, set, load)))
        : empty(
            "Nothing to review yet",
            h(
              "p",
              {},
              mayKeep
                ? "Make a set: it draws captions or images, and you or others judge them one by one."
                : "A researcher makes a set first. It appears here as soon as it is made.",
            ),
          ),
    );
  const load = async () => {
    clearTimeout(timer);
    try {
      const jobs = mayKeep ? await call("/jobs") : [];
      const ended = known.filter((id) => !jobs.some((one) => one.job === id));
      known = jobs.map((one) => one.job);
      await Promise.all(ended.map(tellEnd));
      draw(
        await call("/sets"),
        jobs.filter((one) => !one.set),
      );
    } catch (error) {
      app.tell(error, load);
    }
    clearTimeout(timer);
    if (known.length) timer = setTimeout(() => node.isConnected && app.isShown() && load(), LOOK_EVERY_MS);
  };
  const tellEnd = async (id) => {
    const isOfForm = app.form?.job === id;
    if (isOfForm) app.form.job = null;
    try {
      const one = await call(`/jobs/${id}`);
      if (one.set && isOfForm) app.form = null;
      if (one.set) app.announce(`${one.name} is made.`);
      else app.tell(new Error(`${one.name} could not be made. ${one.error}`));
    } catch (error) {
      app.tell(error);
    }
  };
  const node = h("section", { class: "rv-screen rv-stack" }, heading, content);
  load();
  return {
    node,
    focus: () => heading.focus({ preventScroll: true }),
    shown: load,
    leave: () => clearTimeout(timer),
  };
};

const making = (job) => {
  const id = `rv-job-${job.job}`;
  return h(
    "li",
    { class: "rv-card", "data-making": job.name, "aria-labelledby": id },
    h(
      "div",
      { class: "rv-card-head" },
      h("h3", { class: "rv-set-name", id }, job.name),
      h("span", { class: "rv-state rv-closed" }, "Being made"),
    ),
    h("p", {}, `The set is being made: ${job.text || "beginning"}.`),
    h("p", { class: "df-dim" }, "The Jobs tab shows it too, and can cancel it."),
  );
};

const card = (app, set, reload) => {
  const { progress } = set;
  const may = (part) => set.parts.includes(part);
  const isOpen = set.state === "open";
  const id = `rv-set-${set.id}`;
  const go = (view) => () => app.openSet(set.id, view);
  const mine = progress.mine;
  const isLeft = progress.verdicts < progress.verdicts_needed;
  return h(
    "li",
    { class: "rv-card", "data-set": set.name, "aria-labelledby": id },
    h(
      "div",
      { class: "rv-card-head" },
      h("h3", { class: "rv-set-name", id }, set.name),
      h("span", { class: `rv-state rv-${set.state}` }, isOpen ? "Open" : "Closed"),
    ),
    h(
      "p",
      { class: "df-dim" },
      [
        KINDS[set.kind],
        STRATEGIES[set.strategy],
        set.reviewers_per_item > 1 ? `${set.reviewers_per_item} verdicts an item` : "",
        set.blind ? "blind" : "",
        set.captioner ? `captions by ${set.captioner}` : "",
        `made ${when(set.created_at)}${set.created_by ? ` by ${set.created_by}` : ""}`,
      ]
        .filter(Boolean)
        .join(" · "),
    ),
    h("progress", {
      max: Math.max(1, progress.verdicts_needed),
      value: progress.verdicts,
      "aria-label": `Verdicts in ${set.name}`,
    }),
    h(
      "p",
      {},
      [
        `${progress.done} of ${counted(progress.items, "item")} done`,
        `${progress.verdicts} of ${counted(progress.verdicts_needed, "verdict")}`,
        progress.disputed ? `${progress.disputed} to discuss` : "",
        progress.adjudicated ? `${progress.adjudicated} decided` : "",
        mine?.pace ? `your pace ${Math.round(mine.pace)} an hour` : "",
        isOpen && progress.seconds_left ? `${duration(progress.seconds_left)} left` : "",
      ]
        .filter(Boolean)
        .join(" · "),
    ),
    progress.reviewers.length > 1 || (progress.reviewers.length && may("keeper"))
      ? reviewerList(progress.reviewers)
      : null,
    h(
      "div",
      { class: "df-row" },
      isOpen && may("reviewer") && isLeft
        ? button(mine?.given ? "Go on judging" : "Judge", go("judge"), {
            kind: "df-primary",
            "aria-describedby": id,
          })
        : null,
      isOpen && may("reviewer") && !isLeft && mine
        ? button("Look at what I judged", go("judge"), { "aria-describedby": id })
        : null,
      may("adjudicator")
        ? button(progress.disputed ? `Discussion (${progress.disputed})` : "Discussion", go("discussion"), {
            "aria-describedby": id,
          })
        : null,
      may("keeper") ? button("Agreement", go("agreement"), { "aria-describedby": id }) : null,
      button("Audit trail", go("audit"), { "aria-describedby": id }),
      button("Guidelines", go("guidelines"), { "aria-describedby": id }),
      may("keeper") && set.kind === "captions"
        ? button("Make a caption set", () => app.go("captions", { from: set }), { "aria-describedby": id })
        : null,
      may("keeper") ? closer(app, set, reload) : null,
    ),
  );
};

const reviewerList = (reviewers) =>
  h(
    "details",
    {},
    h("summary", {}, counted(reviewers.length, "reviewer")),
    h(
      "ul",
      { class: "rv-plain-list" },
      reviewers.map((one) =>
        h(
          "li",
          {},
          h("strong", {}, one.reviewer),
          `: ${one.given} given, ${one.skipped} skipped, ${one.flagged} flagged${one.pace ? `, ${Math.round(one.pace)} an hour` : ""}${one.last_at ? `, last ${when(one.last_at)}` : ""}`,
        ),
      ),
    ),
  );

const closer = (app, set, reload) => {
  const isOpen = set.state === "open";
  const isTest = set.kind === "real_or_synthetic";
  if (!isOpen && isTest) return null;
  const press = async () => {
    const consequence = isTest
      ? "Its result is shown then, and it cannot be reopened."
      : "It takes no verdict any more until it is reopened.";
    const left = set.progress.verdicts_needed - set.progress.verdicts;
    if (isOpen) {
      const words = `${left ? `${counted(left, "verdict is", "verdicts are")} missing. ` : ""}${consequence}`;
      const answer = await ask(
        app.root,
        `Close “${set.name}”?`,
        [h("p", {}, words)],
        [
          ["no", "Keep it open"],
          ["yes", "Close the set", "df-danger"],
        ],
      );
      if (answer !== "yes") return;
    }
    try {
      await call(`/sets/${set.id}/${isOpen ? "close" : "reopen"}`, { method: "POST" });
      app.announce(isOpen ? `${set.name} is closed.` : `${set.name} is open again.`);
      await reload();
      app.refocus();
    } catch (error) {
      app.tell(error);
    }
  };
  return button(isOpen ? "Close…" : "Reopen", press, {
    "aria-label": `${isOpen ? "Close" : "Reopen"} ${set.name}`,
  });
};
