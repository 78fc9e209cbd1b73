// The form of a new set. Only what fits the chosen kind and way of drawing is asked.
import { call, LOOK_EVERY_MS, Unreachable } from "./api.js";
import { button, empty, field, fill, h, select, tick, title } from "./dom.js";
import { KINDS, said, STRATEGIES } from "./words.js";

const STRATA = ["label", "dataset", "skin_tone"];
const DEFAULT_SIZE = 100;
const NO_CAPTIONS =
  "The corpus has no captions yet: make some in the Captions part of the Corpus tab; then they appear here.";

/**
 * @param {any} app
 * @param {{captioner?: string, prompt?: string}} wanted whose flagged captions are to be reviewed
 */
export const makeView = (app, wanted = {}) => {
  const heading = title("Make a review set");
  const content = h("div", { class: "rv-stack" }, h("p", { class: "df-dim" }, "Loading…"));
  // A form that waits for its set stays; another gives way to what is wanted now.
  let form = wanted.captioner && !app.form?.job ? null : app.form;
  const load = async () => {
    try {
      form ??= makeForm(app, await call("/sources"), wanted);
      fill(content, form.node);
      // A form that was kept is here at once, before its screen is.
      setTimeout(form.look);
    } catch (error) {
      app.tell(error, load);
    }
  };
  load();
  return {
    node: h("section", { class: "rv-screen rv-stack" }, heading, content),
    focus: () => heading.focus({ preventScroll: true }),
    shown: () => form?.look(),
    leave: () => form?.rest(),
  };
};

const names = (text) =>
  text
    .split(/[,;\n]/)
    .map((one) => one.trim())
    .filter(Boolean);
const choices = (all, words) => [["", all], ...words.map((one) => [one, one])];

const makeForm = (app, sources, wanted) => {
  const line = (value, rest = {}) =>
    h("input", { type: "text", class: "rv-input", value, maxlength: "200", ...rest });
  const amount = (value, rest = {}) =>
    h("input", { type: "number", class: "rv-input", value, min: "1", ...rest });
  const day = new Date().toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
  const hasCaptions = sources.captioners.length > 0;

  const name = line(`Review of ${day}`, { required: true });
  const kind = select(Object.entries(KINDS), {
    value: hasCaptions || !sources.gallery ? "captions" : "images",
  });
  const captioner = select(
    sources.captioners.map((one, index) => [
      String(index),
      `${one.captioner}, prompt ${one.prompt} (${one.captions.toLocaleString("en")} captions, ${one.flagged.toLocaleString("en")} flagged)`,
    ]),
  );
  const subset = select(choices("The whole corpus", sources.subsets));
  const dataset = select(choices("All datasets", sources.datasets));
  const imageSet = select(choices(`The whole gallery (${sources.gallery} images)`, sources.image_sets));
  const strategy = select(Object.entries(STRATEGIES));
  const size = amount(DEFAULT_SIZE, { max: "1000000" });
  const all = tick("All that match");
  const per = amount(1, { max: "20" });
  const blind = tick("Blind: reviewers do not see each other’s verdicts", { checked: true });
  const checks = sources.checks.map((one) => ({ name: one.name, ...tick(one.words) }));
  const strata = STRATA.map((one) => ({ name: one, ...tick(said(one), { checked: true }) }));
  const balanced = tick("As many of each, where there are as many", { checked: true });
  const seed = amount(0, { min: "0" });
  const reviewers = line("");
  const adjudicators = line("");
  const guidelines = h("textarea", { class: "rv-text", rows: "5", maxlength: "100000" });
  const make = button("Make the set", () => send(), { kind: "df-primary" });
  const leave = button("Cancel", () => {
    app.form = null;
    app.go("sets");
  });
  const now = h("p", { role: "status", tabindex: "-1" });
  const waiting = h(
    "div",
    {},
    now,
    h(
      "p",
      { class: "df-dim" },
      "It goes on if you leave this page. The Jobs tab shows it too, and can cancel it.",
    ),
  );

  const group = (words, boxes) =>
    h(
      "fieldset",
      { class: "rv-group" },
      h("legend", {}, words),
      h(
        "div",
        { class: "df-row" },
        boxes.map((one) => one.node),
      ),
    );
  const parts = {
    captions: h("div", { class: "rv-fields" }, field("Captions of", captioner)),
    corpus: h("div", { class: "rv-fields" }, field("Subset", subset), field("Dataset", dataset)),
    gallery: h("div", { class: "rv-fields" }, field("Generated images", imageSet)),
    strategy: field("Which come first", strategy),
    checks: group("Flagged by these checks (none ticked: by any)", checks),
    strata: h("div", { class: "rv-stack" }, group("Balanced over", strata), balanced.node),
    none: empty("Nothing to take", h("p", {}, "")),
  };
  const redraw = () => {
    const isCaptions = kind.value === "captions";
    const isTest = kind.value === "real_or_synthetic";
    parts.captions.hidden = !isCaptions;
    parts.corpus.hidden = kind.value === "images";
    parts.gallery.hidden = isCaptions;
    parts.strategy.hidden = isTest;
    parts.checks.hidden = !isCaptions || strategy.value !== "flagged";
    parts.strata.hidden = strategy.value !== "stratified" || isTest;
    size.disabled = all.box.checked;
    const missing =
      isCaptions && !hasCaptions
        ? NO_CAPTIONS
        : !isCaptions && !sources.gallery
          ? "The gallery is empty: generate images first."
          : isTest && !sources.datasets.length
            ? "The corpus is empty: import a dataset first."
            : "";
    parts.none.hidden = !missing;
    parts.none.querySelector("p").textContent = missing;
    make.disabled = Boolean(missing || own.job);
    leave.hidden = Boolean(own.job);
    waiting.hidden = !own.job;
  };
  kind.addEventListener("change", redraw);
  strategy.addEventListener("change", () => {
    all.box.checked = strategy.value === "flagged";
    redraw();
  });
  all.box.addEventListener("change", redraw);

  const recipe = () => {
    const chosen = sources.captioners[Number(captioner.value)];
    const isCaptions = kind.value === "captions";
    return {
      name: name.value.trim(),
      kind: kind.value,
      ...(isCaptions
        ? { captioner: chosen.captioner, prompt: chosen.prompt }
        : { image_set: imageSet.value || null }),
      ...(kind.value === "images" ? {} : { subset: subset.value || null, dataset: dataset.value || null }),
      ...(kind.value === "real_or_synthetic" ? {} : { strategy: strategy.value }),
      size: all.box.checked ? null : Number(size.value),
      ...(parts.strata.hidden
        ? {}
        : {
            strata: strata.filter((one) => one.box.checked).map((one) => one.name),
            balanced: balanced.box.checked,
          }),
      ...(parts.checks.hidden
        ? {}
        : { checks: checks.filter((one) => one.box.checked).map((one) => one.name) }),
      seed: Number(seed.value),
      reviewers_per_item: Number(per.value),
      blind: blind.box.checked,
      reviewers: names(reviewers.value),
      adjudicators: names(adjudicators.value),
      guidelines: guidelines.value,
    };
  };
  const send = async () => {
    make.disabled = true;
    try {
      own.job = (await call("/sets", { method: "POST", body: recipe() })).job;
      app.form = own;
      say("waiting");
      redraw();
      now.focus();
      own.look();
    } catch (error) {
      app.tell(error);
    } finally {
      redraw();
    }
  };
  const asked = sources.captioners.findIndex(
    (one) => one.captioner === wanted.captioner && one.prompt === wanted.prompt,
  );
  if (asked >= 0) {
    kind.value = "captions";
    captioner.value = String(asked);
    strategy.value = "flagged";
    all.box.checked = true;
  }
  const say = (words) => {
    const sentence = `The set is being made: ${words || "beginning"}.`;
    if (now.textContent !== sentence) now.textContent = sentence;
  };
  const stop = (error) => {
    own.job = null;
    redraw();
    app.tell(error);
    make.focus({ preventScroll: true });
  };
  let timer = 0;
  const isSeen = () => own.node.isConnected && app.isShown();
  const own = {
    node: h("div", { class: "rv-stack" }),
    /** @type {string | null} */
    job: null,
    rest: () => clearTimeout(timer),
    /** See how far the job is, again and again as long as the form is seen. */
    look: async () => {
      own.rest();
      redraw();
      const { job } = own;
      if (!job || !isSeen()) return;
      try {
        const one = await call(`/jobs/${job}`);
        if (job !== own.job || !isSeen()) return;
        if (one.set) {
          own.job = app.form = null;
          // Not to judge: who only made a set takes no items from those who review it.
          await app.openSet(one.set, "guidelines");
          app.announce(`${one.name} is made.`);
          return;
        }
        if (one.error) return stop(new Error(one.error));
        say(one.text);
      } catch (error) {
        if (job !== own.job || !isSeen()) return;
        if (!(error instanceof Unreachable)) return stop(error);
        say("the studio does not answer at the moment");
      }
      clearTimeout(timer);
      timer = setTimeout(own.look, LOOK_EVERY_MS);
    },
  };
  redraw();
  fill(own.node, [
    h("div", { class: "rv-fields" }, field("Name", name), field("What is judged", kind)),
    parts.none,
    parts.captions,
    parts.corpus,
    parts.gallery,
    h(
      "div",
      { class: "rv-fields" },
      parts.strategy,
      h("div", { class: "rv-stack" }, field("How many", size), all.node),
      field("Verdicts an item", per, "Two or more make a double review, with agreement and discussion."),
    ),
    parts.checks,
    blind.node,
    field(
      "Guidelines",
      guidelines,
      "What reviewers should hold to. They can be changed later; versions are kept.",
    ),
    h(
      "details",
      { class: "rv-more" },
      h("summary", {}, "More settings"),
      h(
        "div",
        { class: "rv-stack" },
        parts.strata,
        h(
          "div",
          { class: "rv-fields" },
          field("Reviewers", reviewers, "Names with commas between. Empty: whoever’s role allows it."),
          field("Adjudicators", adjudicators, "The same."),
          field("Seed of the draw", seed),
        ),
      ),
    ),
    waiting,
    h("div", { class: "df-row" }, make, leave),
  ]);
  return own;
};
