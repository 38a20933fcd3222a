// Keys for what a page can do: an element with data-keys="ArrowLeft b" is clicked when one of them is pressed, and one
// that takes text is focused. Nothing happens while somebody types or chooses, or when a browser's own keys are meant.
"use strict";

(() => {
  let leaving = false; // a form is under way: a second key must not be taken for the next page's

  const typing = (target) => target.closest("input, textarea, select, [contenteditable]");
  const name = (event) => (event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key);

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && typing(event.target)) event.target.blur();
    if (leaving || event.defaultPrevented || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing(event.target)) return;
    const pressed = name(event);
    if (pressed === "Space" && event.target.closest("a, button, summary, [tabindex='0']")) return;
    const meant = [...document.querySelectorAll("[data-keys]")].find((one) => one.dataset.keys.split(" ").includes(pressed));
    if (!meant || meant.disabled) return;
    event.preventDefault();
    if (meant.matches("input, textarea")) {
      const details = meant.closest("details");
      if (details) details.open = true;
      meant.focus();
    } else meant.click();
  });
  document.addEventListener("submit", (event) => { if (!event.defaultPrevented) leaving = true; });
  window.addEventListener("pageshow", () => { leaving = false; });
})();
