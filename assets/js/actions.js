// Buttons, checkboxes and lists of our own HTML speak to Python through the hidden textbox of their tab
// (studio/actions.py). After the server has drawn the part anew, focus returns to where it was.
(() => {
  let nonce = Date.now();
  let last = null;

  const send = (source, on) => {
    const field = document.querySelector(`#${source.dataset.bridge} textarea, #${source.dataset.bridge} input`);
    if (!field) return;
    nonce += 1;
    const { action, value = "" } = source.dataset;
    last = { action, value, bridge: source.dataset.bridge };
    const choice = source.matches("select") ? source.value : "";
    field.value = JSON.stringify({ action, value, on, choice, nonce });
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };

  const ask = (source) => {
    const dialog = document.getElementById("confirm");
    dialog.querySelector("[data-question]").textContent = source.dataset.confirm;
    const { yes = "Remove", no = "Keep" } = source.dataset;
    const agree = dialog.querySelector('[value="yes"]');
    agree.textContent = yes;
    agree.className = `df-button ${source.dataset.yes ? "df-primary" : "df-danger"}`;
    dialog.querySelector('[value="no"]').textContent = no;
    dialog.returnValue = "";
    dialog.addEventListener("close", () => dialog.returnValue === "yes" && send(source, true), { once: true });
    dialog.showModal();
  };

  document.addEventListener("click", (event) => {
    const source = event.target.closest("button[data-action]");
    if (!source) return;
    if (source.dataset.confirm) ask(source);
    else send(source, source.getAttribute("aria-pressed") !== "true");
  });

  document.addEventListener("change", (event) => {
    const source = event.target.closest(":is(input[type=checkbox], select)[data-action]");
    if (source) send(source, source.checked ?? true);
  });

  // Whatever the person does next, focus is theirs again.
  for (const kind of ["pointerdown", "keydown"]) {
    document.addEventListener(kind, () => { last = null; }, true);
  }

  const refocus = () => {
    if (!last || document.activeElement !== document.body) return;
    const same = [...document.querySelectorAll(`[data-bridge="${last.bridge}"][data-action="${last.action}"]`)];
    same.find((element) => element.dataset.value === last.value)?.focus({ preventScroll: true });
  };
  new MutationObserver(refocus).observe(document.documentElement, { childList: true, subtree: true });
})();
