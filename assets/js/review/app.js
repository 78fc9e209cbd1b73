// The Review tab: who reviews, which screen is shown, what is not saved yet.
import { call, Refusal, reviewer, Unreachable } from "./api.js";
import { button, empty, field, fill, h, message, title } from "./dom.js";
import { agreementView } from "./agreement.js";
import { auditView } from "./audit.js";
import { captionsView } from "./captions.js";
import { discussionView } from "./discussion.js";
import { guidelinesView } from "./guidelines.js";
import { judgeView } from "./judge.js";
import { listen, showKeys } from "./keys.js";
import { makeView } from "./make.js";
import { makeShelf } from "./picture.js";
import { setsView } from "./sets.js";
import { makeUnsaved } from "./unsaved.js";

const NAME = "dermaflux.review.name";
const PLACE = "dermaflux.review.place";
const MAKE = "dermaflux.review.make";
const SAID_AFTER_MS = 60;

const OF_A_SET = {
  judge: judgeView,
  discussion: discussionView,
  agreement: agreementView,
  audit: auditView,
  guidelines: guidelinesView,
};

/**
 * Build the tab into its host.
 * @param {() => boolean} isShown whether the tab is the one that is seen
 */
export const mount = (isShown) => {
  const live = h("div", { class: "df-sr", role: "status", "aria-live": "polite" });
  const who = h("div", { class: "df-row rv-who" });
  const parts = h("nav", { class: "df-row rv-parts", "aria-label": "Review" });
  const trouble = h("div", {});
  const main = h("div", {});
  const root = h("div", { class: "rv-root" }, live, h("div", { class: "rv-top" }, parts, who), trouble, main);
  /** @type {any} */
  let view = null;
  let shownAs = "sets";
  let crumbs = null;
  let lastSaid = 0;

  const app = {
    root,
    me: { name: null, signed_in: false, role: null, may: [], known: [] },
    shelf: makeShelf(),
    /** The form of a new set, as long as its set is being made or could not be. */
    form: null,
    isShown,
    /** @param {string} words */
    announce: (words) => {
      clearTimeout(lastSaid);
      live.textContent = "";
      lastSaid = setTimeout(() => {
        live.textContent = words;
      }, SAID_AFTER_MS);
    },
    /** What went wrong, as a sentence that stays until the next screen. @param {any} error @param {() => void} [again] */
    tell: (error, again) => {
      const isOurs = error instanceof Refusal || error instanceof Unreachable || error.constructor === Error;
      fill(
        trouble,
        message(
          h("p", {}, error.message),
          h(
            "div",
            { class: "df-row" },
            again
              ? button("Try again", () => {
                  fill(trouble);
                  again();
                })
              : null,
            button("Close", () => {
              fill(trouble);
              app.refocus();
            }),
          ),
        ),
      );
      trouble.scrollIntoView({ block: "nearest" });
      if (!isOurs) throw error;
    },
    refocus: () => view?.focus?.(),
    go: async (name, params = {}) => {
      const make = { sets: setsView, make: makeView, captions: captionsView, name: nameView }[name];
      crumbs = null;
      show(name, make(app, params));
    },
    openSet: async (id, name) => {
      try {
        const set = await call(`/sets/${id}`);
        crumbs = set;
        show(name, OF_A_SET[name](app, set));
      } catch (error) {
        app.tell(error);
      }
    },
    outbox: null,
  };

  const keepPlace = () =>
    isShown() && sessionStorage.setItem(PLACE, JSON.stringify({ view: shownAs, set: crumbs?.id ?? null }));
  const show = (name, next) => {
    view?.leave?.();
    view = next;
    shownAs = name;
    keepPlace();
    fill(trouble);
    fill(main, view.node);
    drawParts(name);
    view.focus?.();
    // One item a screen: the studio's own head makes room for it.
    if (crumbs) root.scrollIntoView({ block: "start" });
  };

  const drawParts = (name) => {
    const part = (label, key, press) =>
      button(label, press, { "aria-current": key === name ? "page" : undefined, kind: "rv-part" });
    const may = (one) => crumbs?.parts.includes(one);
    const open = (key) => () => app.openSet(crumbs.id, key);
    fill(
      parts,
      name === "name"
        ? null
        : [
            part(crumbs ? "← Sets" : "Sets", "sets", () => app.go("sets")),
            crumbs ? null : part("Caption sets", "captions", () => app.go("captions")),
            crumbs
              ? [
                  h("span", { class: "rv-crumb" }, crumbs.name),
                  may("reviewer") && crumbs.state === "open" ? part("Judge", "judge", open("judge")) : null,
                  may("adjudicator") ? part("Discussion", "discussion", open("discussion")) : null,
                  may("keeper") ? part("Agreement", "agreement", open("agreement")) : null,
                  part("Audit trail", "audit", open("audit")),
                  part("Guidelines", "guidelines", open("guidelines")),
                ]
              : null,
          ],
    );
    const { me } = app;
    fill(
      who,
      me.name ? h("span", { class: "df-dim" }, "Reviewing as ", h("strong", {}, me.name)) : null,
      me.name && !me.signed_in && !crumbs
        ? button("Change", () => app.go("name"), { "aria-label": "Change the name" })
        : null,
      button("Keys", () => keysDialog(), { key: "?" }),
    );
  };

  const unsaved = makeUnsaved(app, () => view);
  app.outbox = unsaved.outbox;
  trouble.before(unsaved.node);

  // ---- keys ----
  const own = [{ key: "?", says: "Show this list", run: () => keysDialog() }];
  const keysDialog = () => showKeys(root, [...(view?.keys?.() ?? []), ...own]);
  listen(isShown, () => [...(view?.keys?.() ?? []), ...own]);

  // ---- who I am ----
  const nameView = () => {
    const heading = title("Who is reviewing?");
    const box = h("input", {
      type: "text",
      class: "rv-input",
      maxlength: "64",
      autocomplete: "off",
      value: reviewer.name ?? "",
    });
    const take = (name) => {
      if (!name.trim()) return box.focus();
      reviewer.name = name.trim();
      localStorage.setItem(NAME, reviewer.name);
      return begin();
    };
    box.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.isComposing) take(box.value);
    });
    const node = h(
      "section",
      { class: "rv-screen rv-stack rv-narrow" },
      heading,
      h(
        "p",
        {},
        "Nobody signs in on this studio, so say under which name your verdicts are kept. It is remembered in this browser.",
      ),
      app.me.known.length
        ? h(
            "div",
            { class: "df-row", role: "group", "aria-label": "Names that have reviewed here" },
            app.me.known.map((name) => button(name, () => take(name))),
          )
        : null,
      field("Your name", box),
      h(
        "div",
        { class: "df-row" },
        button("Begin", () => take(box.value), { kind: "df-primary" }),
      ),
    );
    return { node, focus: () => box.focus({ preventScroll: true }) };
  };

  // The Corpus tab may have sent somebody here to review what is flagged (assets/js/ways.js).
  const makeWanted = async () => {
    const wanted = JSON.parse(sessionStorage.getItem(MAKE) ?? "null");
    if (!wanted || !app.me.name) return;
    sessionStorage.removeItem(MAKE);
    if (app.me.may.includes("keep")) await app.go("make", wanted);
  };

  const begin = async () => {
    try {
      app.me = await call("/me");
      reviewer.isSignedIn = app.me.signed_in;
      if (app.me.name) reviewer.name = app.me.name;
      const { set, view: name } = place ?? {};
      place = null;
      const before = view;
      if (app.me.name && set) await app.openSet(set, name);
      if (view === before) await app.go(app.me.name ? "sets" : "name");
      await makeWanted();
    } catch (error) {
      if (!view) fill(main, empty("Review", h("p", {}, "The studio does not answer yet.")));
      app.tell(error, begin);
    }
    app.outbox.pump();
  };

  let place = JSON.parse(sessionStorage.getItem(PLACE) ?? "null");
  reviewer.name = localStorage.getItem(NAME);
  unsaved.draw();
  begin();
  const shown = () => {
    keepPlace();
    view?.shown?.();
    makeWanted();
  };
  return { root, shown };
};
