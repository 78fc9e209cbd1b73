// Dialogs: opened and closed by buttons, opened by the server (data-open), and the walkthrough
// on the first visit.
(() => {
  const SEEN = "dermaflux.walkthrough";

  const fillFacts = (dialog) => {
    for (const slot of dialog.querySelectorAll("[data-fact-slot]")) {
      const fact = document.querySelector(`[data-fact="${slot.dataset.factSlot}"]`);
      if (fact) slot.textContent = fact.textContent;
    }
  };

  const open = (dialog) => {
    if (!dialog || dialog.open) return;
    fillFacts(dialog);
    dialog.showModal();
  };

  const showStep = (dialog, change) => {
    const steps = [...dialog.querySelectorAll("[data-step]")];
    const now = steps.findIndex((step) => !step.hidden);
    const next = Math.min(steps.length - 1, Math.max(0, now + change));
    steps.forEach((step, index) => { step.hidden = index !== next; });
    dialog.querySelector("[data-back]").disabled = next === 0;
    dialog.querySelector("[data-next]").hidden = next === steps.length - 1;
    dialog.querySelector("[data-finish]").hidden = next !== steps.length - 1;
    dialog.querySelector("[data-place]").textContent = `${next + 1} of ${steps.length}`;
    steps[next].querySelector("h2").focus();
  };

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) {
      opener.closest("dialog")?.close();
      open(document.getElementById(opener.dataset.opens));
    }
    if (event.target.closest("[data-closes]")) event.target.closest("dialog").close();
    const dialog = event.target.closest("#walkthrough");
    if (dialog && event.target.closest("[data-next]")) showStep(dialog, 1);
    if (dialog && event.target.closest("[data-back]")) showStep(dialog, -1);
    if (event.target.tagName === "DIALOG") event.target.close();
  });

  document.addEventListener("close", (event) => {
    if (event.target.id === "walkthrough") localStorage.setItem(SEEN, "1");
  }, true);

  const watch = () => {
    document.querySelectorAll("dialog[data-open]").forEach((dialog) => {
      dialog.removeAttribute("data-open");
      open(dialog);
    });
    document.querySelectorAll("a[data-download]").forEach((link) => {
      link.removeAttribute("data-download");
      link.click();
    });
    const walkthrough = document.getElementById("walkthrough");
    const ready = document.querySelector('[data-fact="model"]');
    if (walkthrough && ready && !localStorage.getItem(SEEN) && !document.querySelector("dialog[open]")) {
      open(walkthrough);
    }
  };
  new MutationObserver(watch).observe(document.documentElement, { childList: true, subtree: true });
})();
