// Nodes, never markup: whatever comes from a person or a model goes into the page as text.

/** @typedef {Node | string | number | null | undefined | false} Child */

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden"]);

/**
 * A node with attributes (`onclick` and the like are listeners) and children.
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {any}
 */
export const h = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) node[name] = value;
    else if (value !== false) node.setAttribute(name, value === true ? "" : String(value));
  }
  return fill(node, ...children);
};

/**
 * The same node with these children instead of its own.
 * @param {any} node
 * @param {...(Child | Child[])} children
 */
export const fill = (node, ...children) => {
  const kept = children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false);
  node.replaceChildren(...kept.map((one) => (one instanceof Node ? one : String(one))));
  return node;
};

/**
 * A button of the studio. `key` is shown beside its label and is no part of its name.
 * @param {string} label
 * @param {() => void} press
 * @param {{kind?: string, key?: string} & Record<string, unknown>} [options]
 */
export const button = (label, press, { kind = "", key, ...attributes } = {}) =>
  h(
    "button",
    {
      type: "button",
      class: `df-button ${kind}`.trim(),
      onclick: press,
      "aria-keyshortcuts": key && spoken(key),
      ...attributes,
    },
    label,
    key ? h("kbd", { "aria-hidden": "true" }, key) : null,
  );

const spoken = (key) => key.replace("Ctrl + ", "Control+").replace("Esc", "Escape").replace("−", "-");

/**
 * A labelled field; `hint` says what to write.
 * @param {string} label
 * @param {any} control
 * @param {string} [hint]
 */
export const field = (label, control, hint = "") => {
  control.id ||= `rv-${Math.random().toString(36).slice(2)}`;
  const hintId = `${control.id}-hint`;
  if (hint) control.setAttribute("aria-describedby", hintId);
  return h(
    "div",
    { class: "rv-field" },
    h("label", { for: control.id }, label),
    control,
    hint ? h("p", { class: "df-dim", id: hintId }, hint) : null,
  );
};

/**
 * A choice from a list of [value, words].
 * @param {[string, string][]} options
 * @param {Record<string, unknown>} [attributes]
 */
export const select = (options, attributes = {}) => {
  const { value, ...rest } = attributes;
  const node = h(
    "select",
    { class: "df-select", ...rest },
    options.map(([key, words]) => h("option", { value: key }, words)),
  );
  if (value !== undefined) node.value = value;
  return node;
};

/**
 * A tick box with its label.
 * @param {string} label
 * @param {Record<string, unknown>} [attributes]
 * @returns {{node: any, box: any}}
 */
export const tick = (label, attributes = {}) => {
  const box = h("input", { type: "checkbox", ...attributes });
  return { node: h("label", { class: "rv-tick" }, box, h("span", {}, label)), box };
};

/**
 * The title of a screen: focus goes there when the screen is shown.
 * @param {...(Child | Child[])} children
 */
export const title = (...children) => h("h2", { class: "df-section rv-title", tabindex: "-1" }, ...children);

/**
 * What a screen says instead of content.
 * @param {string} heading
 * @param {...(Child | Child[])} children
 */
export const empty = (heading, ...children) =>
  h("div", { class: "df-empty", tabindex: "-1" }, h("h3", { class: "df-section" }, heading), ...children);

/**
 * A sentence of warning or refusal.
 * @param {...(Child | Child[])} children
 */
export const message = (...children) =>
  h("div", { class: "df-message rv-message", role: "alert" }, ...children);

/**
 * A table that scrolls inside itself where it is too wide, also by keyboard.
 * @param {string} name
 * @param {any} table
 */
export const scrolling = (name, table) =>
  h("div", { class: "df-scroll", role: "region", "aria-label": name, tabindex: "0" }, table);

/**
 * A modal dialog in the page until it is closed; resolves with what was pressed, null for Escape.
 * @param {any} root
 * @param {string} heading
 * @param {any[]} content
 * @param {[string, string, string?][]} answers value, label, kind; the first has the focus, where all is seen at once
 * @returns {Promise<string | null>}
 */
export const ask = (root, heading, content, answers) =>
  new Promise((resolve) => {
    const id = `rv-${Math.random().toString(36).slice(2)}`;
    const before = document.activeElement;
    let answer = null;
    const press = (value) => () => {
      answer = value;
      dialog.close();
    };
    const buttons = answers.map(([value, label, kind = ""]) => button(label, press(value), { kind, value }));
    const dialog = h(
      "dialog",
      { class: "df-dialog rv-dialog", "aria-labelledby": id },
      h("h2", { class: "df-section", id, tabindex: "-1" }, heading),
      ...content,
      h("div", { class: "df-row df-foot" }, buttons),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (before?.isConnected) before.focus({ preventScroll: true });
      resolve(answer);
    });
    root.append(dialog);
    dialog.showModal();
    // What is longer than the screen is read from its top.
    const isLong = dialog.scrollHeight > dialog.clientHeight;
    (isLong ? dialog.querySelector("h2") : buttons[0]).focus();
  });

/**
 * Hand a file to the person.
 * @param {Blob} blob
 * @param {string} name
 */
export const download = (blob, name) => {
  const address = URL.createObjectURL(blob);
  const link = h("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
};
