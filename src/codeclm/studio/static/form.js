// A form that is checked as it is typed: <form data-check="URL"> is sent there, without its files, and the answer says by
// field what is wrong: {errors: {FIELD: TEXT}, general: [TEXT], notes: {FIELD: TEXT}, yaml: TEXT}. Texts are put in place as
// texts. A field is told to be wrong only when somebody has been at it.
"use strict";

(() => {
  const TYPING = 300; // milliseconds without a key before it is asked

  const put = (id, text) => {
    const place = document.getElementById(id);
    if (!place) return;
    place.textContent = text || "";
    place.hidden = !text;
  };

  const checked = (form) => {
    const touched = new Set([...form.querySelectorAll("[aria-invalid]")].map((one) => one.name));
    let timer = 0;
    let running = null;

    const show = (told) => {
      for (const one of form.querySelectorAll("input[name], select[name], textarea[name]")) {
        if (!document.getElementById(`wrong-${one.name}`)) continue;
        const wrong = touched.has(one.name) ? told.errors[one.name] : "";
        put(`wrong-${one.name}`, wrong);
        if (wrong) one.setAttribute("aria-invalid", "true");
        else one.removeAttribute("aria-invalid");
        put(`note-${one.name}`, told.notes[one.name]);
      }
      const general = document.getElementById("general");
      general.replaceChildren(...told.general.map((text) => {
        const notice = document.createElement("div");
        const line = document.createElement("p");
        notice.className = "notice bad";
        line.className = "text";
        line.dir = "auto";
        line.textContent = text;
        notice.append(line);
        return notice;
      }));
      const yaml = document.getElementById("as-yaml");
      if (yaml && told.yaml) yaml.textContent = told.yaml;
    };

    const ask = async () => {
      if (running) running.abort();
      const mine = (running = new AbortController());
      const body = new FormData(form);
      for (const [name, value] of [...body]) if (value instanceof File) body.delete(name);
      try {
        const answer = await fetch(form.dataset.check, { method: "POST", body, credentials: "same-origin", redirect: "error", signal: mine.signal });
        if (answer.ok && mine === running) show(await answer.json());
      } catch {
        // It is checked again when the form is sent.
      }
    };

    form.addEventListener("input", (event) => {
      if (event.target.name) touched.add(event.target.name);
      clearTimeout(timer);
      timer = setTimeout(ask, TYPING);
    });
  };

  document.querySelectorAll("form[data-check]").forEach(checked);
})();
