/** A pretend server for looking at the island alone. In memory, never shipped. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { bigDocument, nestedDocument, sampleDocument } from "./documents.ts";
import { CATALOGUE } from "./kinds.ts";
import { runViews } from "./run-views.ts";

interface State {
  revision: number;
  document: { steps: { key: string; kind: string; name: string }[]; edges: { from: string; to: string }[] };
  live: number | null;
}

const state: State = { revision: 12, document: sampleDocument() as never, live: 3 };

function problemsOf(document: State["document"]) {
  const found: unknown[] = [];
  const keys = new Set(document.steps.map((step) => step.key));
  for (const [index, step] of document.steps.entries()) {
    const config = (step as unknown as { config: Record<string, unknown> }).config;
    if (step.kind === "http" && !config.url) {
      found.push({
        code: "config_missing",
        severity: "error",
        message: `Step "${step.key}" calls no address. Fill in its URL.`,
        step: step.key,
        edge: null,
        field: "config.url",
        fix: {
          label: "Use the example address",
          patch: [{ op: "add", path: `/steps/${index}/config/url`, value: "https://example.com/" }],
        },
      });
    }
  }
  for (const edge of document.edges) {
    if (!keys.has(edge.to))
      found.push({
        code: "edge_nowhere",
        severity: "error",
        message: `A connection leads to "${edge.to}", which does not exist.`,
        step: null,
        edge: { port: "out", ...edge },
        field: null,
        fix: null,
      });
  }
  return found;
}

const ROOTS = {
  input: { order: { id: "A-1042", sku: "LAMP-7", quantity: 2, total: 118.5, email: "ann@example.com" } },
  steps: {
    reserve_stock: { id: "r-77", warehouse: "north" },
    charge_card: { status: 200, body: { id: "ch_1" } },
  },
  run: { id: "run-1", workflow: "order-payment" },
};

async function bodyOf(request: IncomingMessage): Promise<never> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return JSON.parse(Buffer.concat(parts).toString() || "{}") as never;
}

function preview(expression: string): unknown {
  try {
    const value = new Function("input", "steps", "run", `return (${expression})`)(
      ROOTS.input,
      ROOTS.steps,
      ROOTS.run,
    );
    return value === undefined
      ? { error: { code: "unknown_name", message: `Nothing is called that in "${expression}".` } }
      : { value };
  } catch (error) {
    return { error: { code: "expression_failed", message: (error as Error).message } };
  }
}

type Answer = [status: number, body: unknown];

async function answer(request: IncomingMessage, path: string): Promise<Answer> {
  const put = request.method === "PUT";
  const post = request.method === "POST";
  if (path.endsWith("/step-kinds/")) return [200, CATALOGUE];
  if (path.endsWith("/nested/draft/") && !put) return [200, { ...draft(), document: nestedDocument() }];
  if (path.endsWith("/workflows/")) {
    return [200, { items: [{ slug: "report", name: "Daily report", live_version: 4 }], next: null }];
  }
  if (path.endsWith("/big/draft/")) return [200, { ...draft(), document: bigDocument(2000) }];
  if (path.endsWith("/draft/problems/")) return [200, { problems: problemsOf(await bodyOf(request)) }];
  if (path.endsWith("/draft/preview/")) {
    return [
      200,
      post ? preview(((await bodyOf(request)) as { expression: string }).expression) : { roots: ROOTS },
    ];
  }
  if (path.endsWith("/draft/undo-plan/")) {
    return [200, { on_failure: "fail", run_fails: "certain", goes_on: [], steps: [], irreversible: [] }];
  }
  if (path.endsWith("/draft/") && put) return save(request);
  if (path.endsWith("/draft/")) return [200, draft()];
  if (path.endsWith("/other-saves/")) {
    state.document = await bodyOf(request);
    state.revision += 1;
    return [200, { revision: state.revision }];
  }
  if (path.endsWith("/reset/")) {
    Object.assign(state, { revision: 12, document: sampleDocument(), live: 3 });
    return [200, {}];
  }
  if (path.endsWith("/publish/")) {
    const errors = problemsOf(state.document).filter(
      (problem) => (problem as { severity: string }).severity === "error",
    );
    if (errors.length)
      return [
        400,
        { code: "draft_has_problems", message: "The draft has errors.", details: { problems: errors } },
      ];
    state.live = (state.live ?? 0) + 1;
    return [201, { number: state.live }];
  }
  if (/\/versions\/\d+\/$/.test(path))
    return [200, { number: 3, note: "", document: { ...sampleDocument(), edges: [] } }];
  if (path.endsWith("/runs/") && post) return [201, { id: "run-1", state: "running" }];
  if (path.includes("/runs/") && path.endsWith("/steps/")) {
    return [200, { seq: 1, run: { id: "run-1", state: "running" }, steps: runViews() }];
  }
  return [404, { code: "not_found", message: path, details: null }];
}

const draft = () => ({
  revision: state.revision,
  document: state.document,
  problems: problemsOf(state.document),
  saved_at: new Date(Date.now() - 190_000).toISOString(),
  saved_by: "alice",
  live_version: state.live,
});

async function save(request: IncomingMessage): Promise<Answer> {
  const document = (await bodyOf(request)) as State["document"];
  if (request.headers["if-match"] !== `"${state.revision}"`) {
    const details = { revision: state.revision, document: state.document, saved_by: "bob" };
    return [412, { code: "stale_revision", message: "Somebody saved in between.", details }];
  }
  state.document = document;
  state.revision += 1;
  return [
    200,
    { revision: state.revision, problems: problemsOf(document), saved_at: new Date().toISOString() },
  ];
}

export async function mockApi(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? "").split("?")[0] ?? "";
  const [status, body] = await answer(request, path);
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
