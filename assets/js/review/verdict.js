// A verdict in words, and the controls that make one: marks of attributes, and the answer over all.
import { button, field, fill, h } from "./dom.js";
import { diffNode, wordDiff } from "./diff.js";
import { ANSWERS, MARKS, said, when } from "./words.js";

/**
 * A verdict as it is read: the answer, what was changed, the reason, the note, the marks.
 * @param {any} verdict @param {string} original the text that was judged
 */
export const verdictNode = (verdict, original) => {
  const marks = Object.entries(verdict.marks ?? {});
  return h(
    "div",
    { class: "rv-verdict" },
    h(
      "p",
      {},
      h("strong", { class: `rv-answer rv-${verdict.answer}` }, ANSWERS[verdict.answer]?.done ?? "Taken back"),
      verdict.reason ? `: ${verdict.reason}` : "",
      verdict.at ? h("span", { class: "df-dim" }, ` ${when(verdict.at)}`) : null,
    ),
    verdict.text ? diffNode(wordDiff(original, verdict.text)) : null,
    verdict.note ? h("p", { class: "rv-note" }, `“${verdict.note}”`) : null,
    marks.length
      ? h(
          "p",
          { class: "df-dim" },
          marks.map(([name, mark]) => `${said(name)}: ${MARKS[mark] ?? mark}`).join(" · "),
        )
      : null,
  );
};

/**
 * The controls. They keep their nodes from item to item, so that focus stays where it is.
 * @param {{
 *   attributes: {name: string, question: string, marks: string[]}[], answers: string[], reasons: string[],
 *   give: (answer: string, rest: {marks: any, text: string | null, reason: string, note: string}) => void,
 *   announce: (said: string) => void, settle: () => void,
 * }} options `settle` gives the focus back when a form is closed
 */
export const makeControls = ({ attributes, answers, reasons, give, announce, settle }) => {
  let original = "";
  let marks = {};
  let form = null;
  let itemId = 0;
  // An edit that was begun outlives its form, and a reload of the page.
  const draft = () => `dermaflux.review.draft.${itemId}`;
  let isOn = true;

  const markButtons = attributes.map(({ name, marks: allowed }) =>
    allowed.map((mark) =>
      button(MARKS[mark] ?? mark, () => setMark(name, marks[name] === mark ? null : mark), {
        "aria-pressed": "false",
        "data-mark": mark,
      }),
    ),
  );
  const drawMarks = () =>
    attributes.forEach(({ name, marks: allowed }, index) =>
      markButtons[index].forEach((one, place) =>
        one.setAttribute("aria-pressed", String(marks[name] === allowed[place])),
      ),
    );
  const setMark = (name, mark) => {
    marks = { ...marks };
    if (mark) marks[name] = mark;
    else delete marks[name];
    drawMarks();
    announce(`${said(name)}: ${mark ? MARKS[mark] : "not marked"}`);
  };
  const cycle = ({ name, marks: allowed }) =>
    setMark(name, allowed[allowed.indexOf(marks[name]) + 1] ?? null);

  const panel = h("div", { class: "rv-form", hidden: true });
  const close = () => {
    form = null;
    panel.hidden = true;
    fill(panel);
    drawAnswers();
  };
  const cancel = () => {
    close();
    settle();
  };
  const open = (name, save, focused, ...children) => {
    form = { name, save };
    fill(panel, ...children);
    panel.hidden = false;
    drawAnswers();
    focused.focus();
    panel.scrollIntoView({ block: "nearest" });
  };
  const submit = (answer, rest = {}) => {
    // Who approves the whole approves its parts; what was marked otherwise stays so.
    const parts =
      answer === "approve" ? Object.fromEntries(attributes.map(({ name }) => [name, "approve"])) : {};
    const wasOpen = Boolean(form);
    sessionStorage.removeItem(draft());
    close();
    give(answer, { marks: { ...parts, ...marks }, text: null, reason: "", note: "", ...rest });
    if (wasOpen) settle();
  };

  const startEdit = () => {
    const box = h("textarea", {
      class: "rv-text",
      rows: "5",
      maxlength: "10000",
      value: sessionStorage.getItem(draft()) ?? original,
    });
    const shown = h("div", { class: "rv-live" });
    const save = button("Save the edit", () => saveEdit(), { kind: "df-primary", key: "Ctrl + Enter" });
    const same = () => box.value.trim() === original.trim() || !box.value.trim();
    const redraw = () => {
      if (box.value === original) sessionStorage.removeItem(draft());
      else sessionStorage.setItem(draft(), box.value);
      save.disabled = same();
      fill(
        shown,
        same()
          ? h("p", { class: "df-dim" }, "Nothing is changed yet.")
          : diffNode(wordDiff(original, box.value)),
      );
    };
    const saveEdit = () => !same() && submit("edit", { text: box.value.trim() });
    box.addEventListener("input", redraw);
    redraw();
    open(
      "edit",
      saveEdit,
      box,
      field("The caption as it should be", box),
      h("h4", { class: "df-sub" }, "What you change"),
      shown,
      h("div", { class: "df-row" }, save, button("Cancel", cancel, { key: "Esc" })),
    );
  };
  const startReject = () => {
    const own = h("input", { type: "text", class: "rv-input", maxlength: "1000" });
    const send = () => own.value.trim() && submit("reject", { reason: own.value.trim() });
    own.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      send();
    });
    const offered = reasons.map((reason, index) =>
      button(reason, () => submit("reject", { reason }), { key: index < 9 ? String(index + 1) : undefined }),
    );
    open(
      "reject",
      send,
      offered[0] ?? own,
      h("h4", { class: "df-sub", id: "rv-why" }, "Why?"),
      h("div", { class: "rv-reasons", role: "group", "aria-labelledby": "rv-why" }, offered),
      field("Or in your own words", own),
      h(
        "div",
        { class: "df-row" },
        button("Reject", send, { kind: "df-danger" }),
        button("Cancel", cancel, { key: "Esc" }),
      ),
    );
  };
  const startFlag = () => {
    const box = h("textarea", { class: "rv-text", rows: "3", maxlength: "10000" });
    const send = () => submit("flag", { note: box.value.trim() });
    open(
      "flag",
      send,
      box,
      field("What should be discussed?", box, "Those who decide will read it."),
      h(
        "div",
        { class: "df-row" },
        button("Flag for discussion", send, { kind: "df-primary", key: "Ctrl + Enter" }),
        button("Cancel", cancel, { key: "Esc" }),
      ),
    );
  };
  const starts = { edit: startEdit, reject: startReject, flag: startFlag };
  const press = (answer) => (starts[answer] ?? (() => submit(answer)))();
  const answerButtons = answers.map((answer) =>
    button(ANSWERS[answer].does, () => press(answer), {
      kind: answer === "approve" ? "df-primary" : "",
      key: ANSWERS[answer].key.toUpperCase(),
      "data-answer": answer,
    }),
  );
  const drawAnswers = () =>
    answerButtons.forEach((one, index) => {
      if (answers[index] in starts) one.setAttribute("aria-expanded", String(form?.name === answers[index]));
    });
  drawAnswers();

  const groups = attributes.map(({ name, question }, index) => {
    const id = `rv-mark-${name}-${Math.random().toString(36).slice(2, 7)}`;
    return h(
      "div",
      { class: "rv-mark", role: "group", "aria-labelledby": id },
      h(
        "span",
        { id, class: "rv-question" },
        h("kbd", { "aria-hidden": "true" }, String(index + 1)),
        question,
      ),
      h("div", { class: "rv-choices" }, markButtons[index]),
    );
  });
  const node = h(
    "div",
    { class: "rv-controls" },
    groups.length ? h("div", { class: "rv-marks" }, groups) : null,
    panel,
    h("div", { class: "rv-answers", role: "group", "aria-label": "Verdict" }, answerButtons),
  );

  const idle = () => isOn && !form;
  const isForm = (name) => () => form?.name === name;
  return {
    node,
    /** @param {any} item @param {any} verdict what was said of it before */
    load: (item, verdict) => {
      itemId = item.id;
      original = item.text ?? "";
      marks = { ...(verdict?.marks ?? {}) };
      close();
      drawMarks();
    },
    /** @param {boolean} on */
    enable: (on) => {
      isOn = on;
      node.hidden = !on;
    },
    isOpen: () => Boolean(form),
    keys: [
      ...answers.map((answer) => ({
        key: ANSWERS[answer].key,
        says:
          {
            reject: "Reject, with a reason",
            flag: "Flag for discussion, with a note",
            edit: "Edit the caption",
            skip: "Skip: I cannot say",
          }[answer] ?? ANSWERS[answer].does,
        run: () => press(answer),
        when: idle,
      })),
      ...attributes.map((attribute, index) => ({
        key: String(index + 1),
        says: `Mark: ${attribute.question}`,
        run: () => cycle(attribute),
        when: idle,
      })),
      ...reasons
        .slice(0, 9)
        .map((reason, index) => ({
          key: String(index + 1),
          shown: "1 to 9",
          says: index === 0 ? "While rejecting: choose the reason" : "",
          run: () => submit("reject", { reason }),
          when: isForm("reject"),
        })),
      {
        key: "ctrl+enter",
        says: "Save the edit, the reason or the note",
        run: () => form?.save(),
        when: () => Boolean(form),
        typing: true,
      },
      {
        key: "escape",
        says: "Close what is being written; an edit is kept until you come back",
        run: cancel,
        when: () => Boolean(form),
        typing: true,
      },
    ],
  };
};
