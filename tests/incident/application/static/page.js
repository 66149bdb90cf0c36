// SPDX-License-Identifier: MIT
"use strict";

// What the browser remembers, in the form in which zustand's `persist` keeps it. It outlives the login: that is the bug's
// other half.
const KEY = "chat-storage";

function remembered() {
  const kept = localStorage.getItem(KEY);
  return (kept && JSON.parse(kept).state.session_id) || "";
}

function remember(session_id) {
  localStorage.setItem(KEY, JSON.stringify({ state: { session_id }, version: 0 }));
}

const $ = (id) => document.getElementById(id);

function say(text, isError) {
  $("message").textContent = text;
  $("message").className = isError ? "error" : "";
}

// `state` tells whoever watches: busy, then done or failed; `status` is the answer's.
function mark(state, status) {
  document.body.dataset.state = state;
  document.body.dataset.status = status || "";
}

async function post(path, fields) {
  mark("busy");
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  try {
    const response = await fetch(path, { method: "POST", body: form });
    const answer = await response.json();
    if (!response.ok) {
      say(answer.error, true);
      mark("failed", response.status);
      return null;
    }
    if (answer.session_id) remember(answer.session_id);
    return { answer, done: () => mark("done", response.status) };
  } catch (error) {
    say("The server does not answer.", true);
    mark("failed", 0);
    return null;
  }
}

function enter(name, state) {
  $("who").textContent = `${name}, ${state} State`;
  $("login").hidden = true;
  $("upload").hidden = false;
}

const form = $("upload").elements;

$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name, password } = $("login").elements;
  const got = await post("/login", { name: name.value, password: password.value });
  if (!got) return;
  password.value = "";
  enter(got.answer.name, got.answer.state);
  say("");
  got.done();
});

$("upload").addEventListener("submit", async (event) => {
  event.preventDefault();
  const file = form.file.files[0];
  const path = form.analysis.checked ? "/api/data-analysis/upload" : "/upload";
  const got = await post(path, { session_id: remembered(), file });
  if (!got) return;
  say(`${file.name} was uploaded.`);
  got.done();
});

$("show").addEventListener("click", async () => {
  $("result").hidden = true;
  const name = form.file.files[0].name;
  const got = await post("/api/tpr", { session_id: remembered(), file: name });
  if (!got) return;
  const { overall, rows, release, sha256 } = got.answer;
  $("overall").textContent = `${overall.toFixed(1)} %`;
  $("state").textContent = [...new Set(rows.map((row) => row[0]))].join(", ");
  $("rows").replaceChildren(...rows.map((row) => {
    const line = document.createElement("tr");
    row.forEach((cell, i) => { line.insertCell().textContent = i === 3 ? `${cell.toFixed(1)} %` : cell; });
    return line;
  }));
  $("source").textContent = `Computed by release ${release} from ${name}, SHA-256 ${sha256}`;
  Object.assign(document.body.dataset, { release, sha256 });
  $("result").hidden = false;
  say("");
  got.done();
});

$("logout").addEventListener("click", async () => {
  const got = await post("/logout", {});
  if (!got) return;
  location.reload();
});

// Another tab may have logged in.
fetch("/account").then(async (response) => {
  if (response.ok) {
    const { name, state } = await response.json();
    enter(name, state);
  }
  mark("done", response.status);
});
