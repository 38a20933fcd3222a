// In a narrow window the choices above the list are folded away until somebody asks for them.
"use strict";

(() => {
  const choices = document.getElementById("choices");
  if (choices && window.matchMedia("(max-width: 640px)").matches && !choices.querySelector("option[selected]:not(:first-child)")) {
    choices.open = false;
  }
})();
