// Guidelines of a set: read while judging, written by who keeps it, every version kept.
import { call, Refusal } from "./api.js";
import { button, field, fill, h, message, title } from "./dom.js";
import { diffNode, wordDiff } from "./diff.js";
import { when } from "./words.js";

const NOTHING = "Nobody has written guidelines for this set yet.";

/** A folded part of the judging screen. @param {any} guidelines */
export const guidelinesAside = (guidelines) => {
  const node = h(
    "aside",
    { class: "rv-guide", "aria-label": "Guidelines", hidden: true, tabindex: "0" },
    h("h3", { class: "df-sub" }, `Guidelines${guidelines.version ? `, version ${guidelines.version}` : ""}`),
    h("p", { class: "rv-plain" }, guidelines.text || NOTHING),
  );
  return {
    node,
    toggle: () => {
      node.hidden = !node.hidden;
      return !node.hidden;
    },
  };
};

/** The page of guidelines. @param {any} app @param {any} set */
export const guidelinesView = (app, set) => {
  const mayWrite = set.parts.includes("keeper");
  let newest = set.guidelines;
  const heading = title(`Guidelines of ${set.name}`);
  const content = h("div", { class: "rv-stack" });

  const origin = (one) =>
    one.version
      ? `Version ${one.version}${one.author ? `, by ${one.author}` : ""}, ${when(one.at)}`
      : NOTHING;
  const showVersion = async (version) => {
    try {
      draw(version === newest.version ? newest : await call(`/sets/${set.id}/guidelines?version=${version}`));
      app.announce(`Version ${version}`);
    } catch (error) {
      app.tell(error);
    }
  };
  const draw = (one = newest) => {
    const isOld = one.version !== newest.version;
    fill(
      content,
      h("p", { class: "df-dim" }, origin(one)),
      one.text ? h("p", { class: "rv-plain" }, one.text) : null,
      isOld
        ? h(
            "div",
            {},
            h("h3", { class: "df-sub" }, "What has changed since"),
            diffNode(wordDiff(one.text, newest.text)),
          )
        : null,
      h(
        "div",
        { class: "df-row" },
        mayWrite && !isOld
          ? button(newest.version ? "Edit" : "Write guidelines", () => edit(newest.text), {
              kind: "df-primary",
            })
          : null,
        one.version > 1 ? button("Older version", () => showVersion(one.version - 1)) : null,
        isOld ? button("Newer version", () => showVersion(one.version + 1)) : null,
      ),
    );
  };
  const edit = (text, based = newest, conflict = null) => {
    const box = h("textarea", { class: "rv-text", rows: "12", value: text, maxlength: "100000" });
    const save = async () => {
      try {
        newest = await call(`/sets/${set.id}/guidelines`, {
          method: "PUT",
          body: { version: based.version, text: box.value },
        });
        set.guidelines = newest;
        draw();
        heading.focus();
        app.announce(`Saved as version ${newest.version}.`);
      } catch (error) {
        if (error instanceof Refusal && error.status === 409) await meet(box.value, error.message);
        else app.tell(error);
      }
    };
    fill(
      content,
      conflict,
      field(
        "Guidelines",
        box,
        "Plain text. Everybody who judges in this set reads them; older versions are kept.",
      ),
      h(
        "div",
        { class: "df-row" },
        button("Save a new version", save, { kind: "df-primary" }),
        button("Cancel", () => {
          draw();
          heading.focus();
        }),
      ),
    );
    box.focus();
  };
  /** Somebody else has written meanwhile: both texts are shown, mine goes on being edited. */
  const meet = async (mine, sentence) => {
    newest = await call(`/sets/${set.id}/guidelines`);
    edit(
      mine,
      newest,
      h(
        "div",
        { class: "rv-stack" },
        message(
          `${sentence} Your text is still below: take over what you want, then save it over version ${newest.version}.`,
        ),
        h("h3", { class: "df-sub" }, `Version ${newest.version}, by ${newest.author ?? "somebody"}`),
        h("p", { class: "rv-plain" }, newest.text),
        h("h3", { class: "df-sub" }, "From that version to your text"),
        diffNode(wordDiff(newest.text, mine)),
      ),
    );
  };

  draw();
  return {
    node: h("section", { class: "rv-screen rv-stack" }, heading, content),
    focus: () => heading.focus({ preventScroll: true }),
  };
};
