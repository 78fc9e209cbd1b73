// Light or dark: as chosen with the switch and remembered, else as the system prefers.
(() => {
  const KEY = "dermaflux.appearance";
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => localStorage.getItem(KEY);
  const dark = () => (chosen() ?? (system.matches ? "dark" : "light")) === "dark";

  const apply = () => {
    const wanted = dark();
    document.documentElement.style.colorScheme = wanted ? "dark" : "light";
    if (document.body && document.body.classList.contains("dark") !== wanted) {
      document.body.classList.toggle("dark", wanted);
    }
    const control = document.getElementById("appearance");
    if (control && control.getAttribute("aria-pressed") !== String(wanted)) {
      control.setAttribute("aria-pressed", String(wanted));
    }
  };

  document.addEventListener("click", (event) => {
    if (!event.target.closest("#appearance")) return;
    localStorage.setItem(KEY, dark() ? "light" : "dark");
    apply();
  });
  system.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", apply);
  new MutationObserver(apply).observe(document.documentElement, {
    attributes: true, attributeFilter: ["class"], childList: true, subtree: true,
  });
})();
