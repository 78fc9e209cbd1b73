// What is not saved yet, as the person sees it: waiting, refused, or met by another verdict.
import { call } from "./api.js";
import { ask, button, fill, h, message } from "./dom.js";
import { makeOutbox } from "./outbox.js";
import { verdictNode } from "./verdict.js";
import { counted } from "./words.js";

const SLOW_AFTER_MS = 400;

/**
 * The outbox and what is shown of it.
 * @param {any} app @param {() => any} view the screen that is shown
 */
export const makeUnsaved = (app, view) => {
  const node = h("div", { class: "rv-saving" });
  let slow = 0;
  const draw = () => {
    clearTimeout(slow);
    const entries = outbox.all();
    const stuck = entries.filter((one) => one.state !== "waiting");
    const others = entries.filter((one) => one.state === "waiting" && !outbox.isMine(one));
    const waiting = entries.length - stuck.length - others.length;
    const failing = outbox.trouble();
    const paint = () =>
      fill(
        node,
        waiting && failing
          ? h(
              "div",
              { class: "df-message rv-message", role: "status" },
              h(
                "p",
                {},
                `${counted(waiting, "step is", "steps are")} not saved yet. ${failing} Trying again; leave this window open.`,
              ),
              button("Try now", () => outbox.pump()),
            )
          : null,
        waiting && !failing ? h("p", { class: "df-dim", "data-saving": waiting }, "Saving…") : null,
        others.length
          ? h(
              "p",
              { class: "df-dim" },
              `${counted(others.length, "step")} of ${others[0].as} from this browser will be saved when ${others[0].as} signs in here again.`,
            )
          : null,
        stuck.map((entry) => stuckNode(entry)),
      );
    if (waiting && !failing && !stuck.length) slow = setTimeout(paint, SLOW_AFTER_MS);
    else paint();
    app.root.dataset.unsaved = entries.length;
  };
  const nameOf = (entry) => `${entry.position ? `Item ${entry.position}` : "Undo"} of ${entry.setName}`;
  const stuckNode = (entry) =>
    message(
      h("p", {}, h("strong", {}, `${nameOf(entry)}: `), entry.sentence),
      h(
        "div",
        { class: "df-row" },
        entry.state === "conflict"
          ? button("Decide", () => meet(entry), { kind: "df-primary" })
          : button("Try again", () => retry(entry)),
        button("Give it up", () => giveUp(entry), { kind: "df-danger" }),
      ),
    );
  const retry = (entry) => {
    entry.state = "waiting";
    outbox.pump();
  };
  const giveUp = async (entry) => {
    const content =
      entry.what === "undo" ? h("p", {}, "Nothing is taken back then.") : verdictNode(entry.body, "");
    const answer = await ask(
      app.root,
      "Give this up? It is not saved anywhere else.",
      [content],
      [
        ["no", "Keep it"],
        ["yes", "Give it up", "df-danger"],
      ],
    );
    if (answer !== "yes") return;
    outbox.discard(entry);
    app.refocus();
  };
  let isMeeting = false;
  const meet = async (entry) => {
    if (isMeeting) return;
    isMeeting = true;
    const text = await call(`/sets/${entry.set}/items/${entry.item}`).then(
      (item) => item.text,
      () => "",
    );
    const side = (words, verdict) =>
      h(
        "article",
        { class: "rv-letter", "aria-label": words },
        h("h3", { class: "df-sub" }, words),
        verdictNode(verdict, text),
      );
    const content = [
      h("p", {}, entry.sentence),
      h(
        "div",
        { class: "rv-lettered" },
        side("There now", entry.current),
        side("Yours, from this window", entry.body),
      ),
    ];
    const answer = await ask(app.root, `${nameOf(entry)}: two verdicts`, content, [
      ["keep", "Keep what is there"],
      ["mine", "Use mine instead", "df-primary"],
    ]);
    isMeeting = false;
    if (answer === "keep") {
      outbox.discard(entry);
      view()?.settled?.(entry, entry.current);
      app.announce("What is there is kept.");
    } else if (answer === "mine") {
      outbox.insist(entry);
      app.announce("Yours is sent again.");
    }
    app.refocus();
  };
  const outbox = makeOutbox({
    changed: () => draw(),
    saved: (entry, answer) => view()?.saved?.(entry, answer),
    stopped: (entry) => {
      draw();
      if (entry.state === "conflict") meet(entry);
      else app.announce(`${nameOf(entry)}: ${entry.sentence}`);
    },
  });

  return { node, outbox, draw };
};
