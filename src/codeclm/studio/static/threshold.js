// The slider of a threshold: the server tells what each would keep, and this asks for the latest place of the slider, one
// question at a time, so that the figures follow while it is moved. Without it the number and its button do the same.
"use strict";

(() => {
  const form = document.querySelector("form[data-threshold]");
  if (!form) return;
  const [slider, exact, own] = ["slider", "threshold", "own"].map((id) => document.getElementById(id));
  const place = document.getElementById(form.dataset.threshold);
  const known = new Map(); // what was told of each threshold: the files don't change while one slides
  let wanted = null;
  let asking = false;

  const told = async (threshold) => {
    if (!known.has(threshold)) {
      const answer = await fetch(`${form.action}?${new URLSearchParams({ threshold })}`, {
        headers: { "Studio-Partial": "true" }, credentials: "same-origin", redirect: "error",
      });
      const html = await answer.text();
      if (!answer.ok) return html;
      known.set(threshold, html);
    }
    return known.get(threshold);
  };

  const follow = async () => {
    if (asking) return;
    asking = true;
    try {
      while (wanted !== null) {
        const threshold = wanted;
        wanted = null;
        place.innerHTML = await told(threshold); // of our own server alone, which escapes every text
        window.history.replaceState(null, "", `${form.action}?${new URLSearchParams({ threshold })}`);
      }
    } catch {
      place.textContent = "The studio does not answer. Is it still running in its terminal?";
    }
    asking = false;
  };

  const show = (threshold) => {
    wanted = threshold;
    follow();
  };

  slider.hidden = false;
  own.hidden = false;
  slider.addEventListener("input", () => {
    exact.value = slider.value;
    show(slider.value);
  });
  exact.addEventListener("input", () => {
    if (exact.value === "" || !exact.checkValidity()) return;
    slider.value = exact.value;
    show(exact.value);
  });
  own.addEventListener("click", () => {
    slider.value = exact.value = own.dataset.own;
    show(own.dataset.own);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (exact.checkValidity() && exact.value !== "") show(exact.value);
  });
})();
