// What pages of the studio may ask for with attributes alone. Everything is made by the server; nothing is made of text here.
//
// <div data-refresh="URL" data-every="1000">  its content is fetched anew every so many milliseconds while the page is
//     seen. The answer's header Studio-Refresh ends this ("stop") or loads the whole page anew ("reload").
// <div data-load="URL">                       its content is fetched once, in a <details> when that is opened; until then,
//     and where that fails, it shows what stands in it.
// <form data-live="ID">                       a GET form whose answer replaces the content of #ID as one types or chooses;
//     the address says what is shown. data-live-url="URL" asks elsewhere than the form's action.
// <form data-confirm="QUESTION">              asks before it is sent.
// <button data-copy="ID">                     copies the text of #ID.
//
// After a part was replaced, the event "studio:replaced" is sent from it.
"use strict";

(() => {
  const TYPING = 200; // milliseconds without a key before a live form asks
  const SLOWEST = 15000; // milliseconds between two tries while the studio does not answer

  const say = (text, kind) => {
    const said = document.getElementById("said");
    let line = document.getElementById("studio-said");
    if (!text) {
      if (line) line.remove();
      return;
    }
    if (!line) {
      line = document.createElement("div");
      line.id = "studio-said";
      line.append(document.createElement("p"));
      said.append(line);
    }
    line.className = `notice ${kind}`;
    if (line.firstChild.textContent !== text) line.firstChild.textContent = text;
  };

  const ask = (url, signal) =>
    fetch(url, { headers: { "Studio-Partial": "true" }, credentials: "same-origin", redirect: "error", signal });

  // Put a part of a page in its place: focus, selection, scrolling and what is opened stay as they were.
  const replace = (element, html) => {
    if (element.studioHtml === html) return;
    element.studioHtml = html;
    const active = element.contains(document.activeElement) ? document.activeElement : null;
    const focused = active && active.id;
    const range = active && "selectionStart" in active ? [active.selectionStart, active.selectionEnd] : null;
    const scrolled = [...element.querySelectorAll("[id]")].filter((one) => one.scrollLeft || one.scrollTop)
      .map((one) => [one.id, one.scrollLeft, one.scrollTop]);
    const opened = new Map([...element.querySelectorAll("details[id]")].map((one) => [one.id, one.open]));
    const place = [window.scrollX, window.scrollY];
    element.innerHTML = html; // of our own server alone, which escapes every text
    for (const [id, open] of opened) {
      const one = document.getElementById(id);
      if (one) one.open = open;
    }
    for (const [id, left, top] of scrolled) {
      const one = document.getElementById(id);
      if (one) one.scrollTo(left, top);
    }
    if (focused) {
      const one = document.getElementById(focused);
      if (one) {
        one.focus({ preventScroll: true });
        if (range && range[0] !== null) one.setSelectionRange(...range);
      }
    }
    window.scrollTo(...place);
    start(element);
    element.dispatchEvent(new CustomEvent("studio:replaced", { bubbles: true }));
  };

  const refresh = (element) => {
    const every = Math.max(250, Number(element.dataset.every) || 1000);
    let wait = every;
    let failed = 0;
    let timer = 0;
    const next = () => {
      clearTimeout(timer);
      if (element.isConnected && !document.hidden) timer = setTimeout(turn, wait);
    };
    const turn = async () => {
      try {
        const answer = await ask(element.dataset.refresh, AbortSignal.timeout(10000));
        const html = await answer.text();
        const wish = answer.headers.get("Studio-Refresh");
        if (!element.isConnected) return;
        if (failed) say("", "");
        failed = 0;
        wait = every;
        if (wish === "reload") {
          window.location.reload();
          return;
        }
        replace(element, html);
        if (wish === "stop" || answer.status === 401 || answer.status === 404) return;
        if (!answer.ok) wait = SLOWEST;
      } catch {
        failed += 1;
        wait = Math.min(SLOWEST, every * 2 ** failed);
        if (failed > 1) say("The studio does not answer. What is shown is as it was when it last did; it is asked again now and then.", "warn");
      }
      next();
    };
    const seen = () => {
      if (!element.isConnected) document.removeEventListener("visibilitychange", seen);
      else if (document.hidden) clearTimeout(timer);
      else turn();
    };
    document.addEventListener("visibilitychange", seen);
    next();
  };

  const load = (element) => {
    const details = element.closest("details");
    const once = async () => {
      element.setAttribute("aria-busy", "true");
      try {
        const answer = await ask(element.dataset.load, AbortSignal.timeout(60000));
        const html = await answer.text();
        if (answer.ok) replace(element, html);
        else element.insertAdjacentHTML("afterbegin", html); // what stood there is better than nothing
        if (!answer.ok && details) details.addEventListener("toggle", opened);
      } catch {
        element.textContent = "The studio does not answer. Reload the page to try again.";
      }
      element.removeAttribute("aria-busy");
    };
    const opened = () => {
      if (!details.open) return;
      details.removeEventListener("toggle", opened);
      once();
    };
    if (details && !details.open) details.addEventListener("toggle", opened);
    else once();
  };

  const live = (form) => {
    let timer = 0;
    let running = null;
    const query = () => {
      const filled = [...new FormData(form)].filter(([, value]) => typeof value === "string" && value !== "");
      return new URLSearchParams(filled).toString();
    };
    const turn = async () => {
      clearTimeout(timer);
      if (running) running.abort();
      const mine = (running = new AbortController());
      const target = document.getElementById(form.dataset.live);
      const wanted = query();
      const address = (url) => (wanted ? `${url}?${wanted}` : url);
      const action = form.getAttribute("action") || window.location.pathname;
      target.setAttribute("aria-busy", "true");
      try {
        const answer = await ask(address(form.dataset.liveUrl || action), mine.signal);
        const html = await answer.text();
        if (mine !== running) return;
        replace(target, html);
        if (answer.ok) window.history.replaceState(null, "", address(action));
        say("", "");
      } catch {
        if (mine !== running || mine.signal.aborted) return;
        say("The studio does not answer. Is it still running in its terminal?", "warn");
      }
      target.removeAttribute("aria-busy");
    };
    form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(turn, TYPING);
    });
    form.addEventListener("submit", (event) => {
      if (event.submitter && event.submitter.dataset.live === "off") return;
      event.preventDefault();
      turn();
    });
  };

  const confirmed = (form) => {
    form.addEventListener("submit", (event) => {
      if (!window.confirm(form.dataset.confirm)) event.preventDefault();
    });
  };

  const copies = (button) => {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      const before = button.textContent;
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = before; }, 1500);
    });
  };

  const start = (root) => {
    for (const [attribute, begin] of [
      ["data-refresh", refresh], ["data-load", load], ["data-confirm", confirmed], ["data-copy", copies],
    ]) root.querySelectorAll(`[${attribute}]`).forEach(begin);
    root.querySelectorAll("form[data-live]").forEach(live);
  };

  start(document);
})();
