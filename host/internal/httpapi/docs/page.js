// Shows /openapi.json. Everything is built out of text nodes, so nothing in the
// document can become markup or script.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const DEEPEST = 8;

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// prose turns `code` and blank lines into markup, and nothing else.
function prose(text) {
  return (text || "").split("\n\n").filter(Boolean).map((paragraph) =>
    element("p", {}, ...inline(paragraph)));
}

function inline(text) {
  return text.split("`").map((part, i) => (i % 2 ? element("code", {}, part) : document.createTextNode(part)));
}

function resolve(spec, schema) {
  if (!schema || !schema.$ref) return schema || {};
  return schema.$ref.split("/").slice(1).reduce((at, key) => at[key], spec);
}

function nameOf(schema) {
  return schema && schema.$ref ? schema.$ref.split("/").pop() : "";
}

// kind says in a few words what a schema allows.
function kind(spec, schema) {
  const name = nameOf(schema);
  const s = resolve(spec, schema);
  const types = [].concat(s.type || []);
  if (s.oneOf) return s.oneOf.map((one) => kind(spec, one)).join(" or ");
  if (types.includes("array")) return "list of " + kind(spec, s.items);
  const words = [name || types.filter((t) => t !== "null").join(" or ") || "any JSON"];
  if (s.format) words.push("(" + s.format + ")");
  if (types.includes("null")) words.push("or null");
  if (s.enum) words.push("— one of " + s.enum.filter((v) => v !== null).join(", "));
  if (s.default !== undefined) words.push("— default " + s.default);
  if (s.minimum !== undefined && s.maximum !== undefined) words.push(`— ${s.minimum} to ${s.maximum}`);
  return words.join(" ");
}

function row(spec, name, schema, required, text, depth) {
  const label = element("code", required ? { class: "required" } : {}, name);
  const about = element("td", {}, element("span", { class: "kind" }, kind(spec, schema)));
  if (text) about.append(element("div", {}, ...inline(text)));
  const inner = nested(spec, schema, depth);
  if (inner) about.append(inner);
  return element("tr", {}, element("td", {}, label), about);
}

function nested(spec, schema, depth) {
  const s = resolve(spec, schema);
  let target = [].concat(s.type || []).includes("array") ? s.items : schema;
  if (s.oneOf) target = s.oneOf.find((one) => one.$ref) || target;
  const t = resolve(spec, target);
  if (!t.properties || depth >= DEEPEST) return null;
  const more = element("details", { class: "nested" }, element("summary", {}, (nameOf(target) || "its") + " fields"));
  more.addEventListener("toggle", () => {
    if (more.open && more.children.length === 1) more.append(fields(spec, target, depth + 1));
  });
  return more;
}

function fields(spec, schema, depth) {
  const s = resolve(spec, schema);
  const table = element("table");
  for (const [name, property] of Object.entries(s.properties || {})) {
    const text = property.description || resolve(spec, property).description;
    table.append(row(spec, name, property, (s.required || []).includes(name), text, depth));
  }
  return table;
}

function body(spec, content) {
  return Object.entries(content || {}).flatMap(([type, media]) => {
    const shown = [element("p", { class: "kind" }, type + ": " + kind(spec, media.schema))];
    if (resolve(spec, media.schema).properties) shown.push(fields(spec, media.schema, 0));
    return shown;
  });
}

function responses(spec, all) {
  return Object.entries(all).map(([status, response]) => {
    const more = element("details", { class: "nested" },
      element("summary", {}, element("code", {}, status), " " + (response.description || "")));
    more.addEventListener("toggle", () => {
      if (more.open && more.children.length === 1) more.append(element("div", {}, ...body(spec, response.content)));
    });
    return more;
  });
}

function example(spec, method, path, operation) {
  const lines = [`curl -X ${method.toUpperCase()} '${location.origin}${path}'`, `  -H "Authorization: Bearer $TOKEN"`];
  const types = Object.keys((operation.requestBody || {}).content || {});
  if (types.length) lines.push(`  -H 'Content-Type: ${types[0]}'`, "  --data-binary @body");
  return element("pre", {}, lines.join(" \\\n"));
}

function operationCard(spec, method, path, operation) {
  const inside = element("div", {}, ...prose(operation.description));
  const parameters = operation.parameters || [];
  if (parameters.length) {
    const table = element("table");
    for (const p of parameters) table.append(row(spec, p.name, p.schema, p.required, `${p.in}. ${p.description || ""}`, 0));
    inside.append(element("h4", {}, "Parameters"), table);
  }
  if (operation.requestBody) inside.append(element("h4", {}, "Body"), ...body(spec, operation.requestBody.content));
  inside.append(element("h4", {}, "Answers"), ...responses(spec, operation.responses));
  inside.append(element("h4", {}, "Call"), example(spec, method, path, operation));
  return element("details", { class: "operation", id: operation.operationId },
    element("summary", {},
      element("span", { class: "method " + method }, method.toUpperCase()),
      element("span", { class: "path" }, path),
      element("span", { class: "summary" }, operation.summary || "")),
    inside);
}

function operationsOf(spec, tag) {
  return Object.entries(spec.paths).flatMap(([path, item]) =>
    METHODS.filter((m) => item[m] && (item[m].tags || []).includes(tag)).map((m) => [m, path, item[m]]));
}

function show(spec) {
  const contents = document.getElementById("contents");
  const page = document.getElementById("page");
  page.replaceChildren(
    element("h1", {}, spec.info.title + " API"),
    element("p", { class: "kind" }, "Version " + spec.info.version + " · ", element("a", { href: "/openapi.json" }, "openapi.json")),
    ...prose(spec.info.description));
  contents.replaceChildren(element("strong", {}, spec.info.title));
  for (const tag of spec.tags) {
    page.append(element("h2", {}, tag.name), ...prose(tag.description));
    contents.append(element("h2", {}, tag.name));
    for (const [method, path, operation] of operationsOf(spec, tag.name)) {
      page.append(operationCard(spec, method, path, operation));
      contents.append(element("a", { href: "#" + operation.operationId }, operation.summary));
    }
  }
  openNamed();
}

function openNamed() {
  const named = document.getElementById(location.hash.slice(1));
  if (named && named.tagName === "DETAILS") {
    named.open = true;
    named.scrollIntoView();
  }
}

async function start() {
  try {
    const answer = await fetch("/openapi.json");
    if (!answer.ok) throw new Error("status " + answer.status);
    show(await answer.json());
    window.addEventListener("hashchange", openNamed);
  } catch (problem) {
    document.getElementById("page").replaceChildren(
      element("p", {}, "The OpenAPI document could not be loaded: " + problem.message));
  }
}

start();
