// Keys of the screen that is shown, and the list of them. Nothing fires while somebody types.
import { ask, h, tick } from "./dom.js";

/**
 * @typedef {{key: string, says: string, run: () => void, when?: () => boolean, typing?: boolean, shown?: string}} Binding
 * `key` as `event.key` in lower case; `ctrl+enter` and `escape` may work while typing (`typing`).
 */

const OFF = "dermaflux.review.keys";
const SIGNS = ["?", "+", "-"];
const FIELDS = "textarea, select, [contenteditable], input:not([type=radio], [type=checkbox], [type=range])";

/** @param {any} target */
const isTyping = (target) => Boolean(target?.matches?.(FIELDS));

const nameOf = (event) => {
  if (SIGNS.includes(event.key)) return event.key;
  if (event.key === "=") return "+";
  // Digits by their place: French keyboards need Shift for them.
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
  const name = digit ?? event.key.toLowerCase();
  return event.ctrlKey || event.metaKey ? `ctrl+${name}` : name;
};

/**
 * Listen as long as the page lives. `bindings` are those of the screen as it is now.
 * @param {() => boolean} isShown
 * @param {() => Binding[]} bindings
 */
export const listen = (isShown, bindings) => {
  const hear = (event) => {
    if (!isShown() || event.defaultPrevented || event.isComposing || event.altKey) return;
    const dialog = document.querySelector("dialog[open]");
    const name = nameOf(event);
    // The studio's own Ctrl+Enter makes an image, its Escape cancels a job: not from here.
    const isOurs = !dialog && (name === "ctrl+enter" || name === "escape");
    const found = dialog ? null : bindings().find((one) => one.key === name && (one.when?.() ?? true));
    const may = found && (isTyping(event.target) ? found.typing : found.typing || areOn() || name === "?");
    if (may || isOurs) event.preventDefault();
    if (may && !(event.repeat && !name.startsWith("arrow"))) found.run();
  };
  document.addEventListener("keydown", hear, true);
};

const areOn = () => localStorage.getItem(OFF) !== "off";

/**
 * The list of keys, with the switch that turns single keys off.
 * @param {any} root @param {Binding[]} bindings
 */
export const showKeys = (root, bindings) => {
  const rows = bindings
    .filter((one) => one.says)
    .map((one) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, h("kbd", {}, one.shown ?? shown(one.key))),
        h("td", {}, one.says),
      ),
    );
  const { node, box } = tick("Single keys are on", { checked: areOn() });
  box.addEventListener("change", () => localStorage.setItem(OFF, box.checked ? "on" : "off"));
  const table = h(
    "table",
    { class: "df-table" },
    h(
      "thead",
      { class: "df-sr" },
      h("tr", {}, h("th", { scope: "col" }, "Key"), h("th", { scope: "col" }, "What it does")),
    ),
    h("tbody", {}, rows),
  );
  return ask(
    root,
    "Keys",
    [table, node, h("p", { class: "df-dim" }, "No key does anything while you type.")],
    [["close", "Close", "df-primary"]],
  );
};

const NAMES = {
  escape: "Esc",
  "ctrl+enter": "Ctrl + Enter",
  arrowleft: "←",
  arrowright: "→",
  arrowup: "↑",
  arrowdown: "↓",
  "-": "−",
};
const shown = (key) => NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key);
