/** The calls of one workflow, by name. */

import type { RunView, StepRunView, Tally } from "../core/run.ts";
import type { Catalogue, Document, Json, JsonObject, Problem } from "../core/types.ts";
import type { Api } from "./http.ts";

export interface Draft {
  revision: number;
  document: Document;
  problems: Problem[];
  saved_at: string | null;
  saved_by: string | null;
  live_version: number | null;
}

export interface Saved {
  revision: number;
  problems: Problem[];
  saved_at: string;
}

export interface Version {
  number: number;
  note: string;
  published_at: string;
  published_by: string | null;
  document: Document;
}

export type Certainty = "certain" | "possible";

/** Steps of one stage are undone side by side; without `undo` a step acts and stays; `by`: a scope undoes it alone. */
export interface UndoPlanStep {
  key: string;
  name: string;
  stage: number;
  certainty: Certainty;
  undo: string | null;
  inside: string | null;
  by: string | null;
}

/** Where the run goes on in spite of a failure: by a port, or (null) because this step bears it. */
export interface UndoPlanWay {
  key: string;
  name: string;
  port: string | null;
  certainty: Certainty;
}

export interface UndoPlan {
  on_failure: "fail" | "undo";
  run_fails: Certainty | "never" | null;
  goes_on: UndoPlanWay[];
  steps: UndoPlanStep[];
  /** Why nothing can be told: the drawing has errors. */
  why_not: string | null;
}

export type Preview = { value: Json } | { error: { code: string; message: string } } | { unknown: string };

export interface Listed {
  slug: string;
  name: string;
  live_version: number | null;
}

export class WorkflowApi {
  readonly #api: Api;
  readonly #at: string;

  constructor(api: Api, slug: string) {
    this.#api = api;
    this.#at = `workflows/${encodeURIComponent(slug)}/`;
  }

  catalogue = (): Promise<Catalogue> => this.#api.ask("step-kinds/");
  /** The workflows of the workspace, by name. */
  workflows = async (): Promise<Listed[]> =>
    (await this.#api.ask<{ items: Listed[] }>("workflows/?limit=200")).items;
  draft = (): Promise<Draft> => this.#api.ask(`${this.#at}draft/`);

  /** Raises `ApiError` 412 `stale_revision` when somebody else saved in between. */
  save = (document: Document, revision: number, keepalive = false): Promise<Saved> =>
    this.#api.ask(`${this.#at}draft/`, {
      method: "PUT",
      body: document,
      headers: { "If-Match": `"${revision}"` },
      keepalive,
    });

  problems = (document: Document, signal?: AbortSignal): Promise<{ problems: Problem[] }> =>
    this.#api.ask(`${this.#at}draft/problems/`, {
      method: "POST",
      body: document,
      ...(signal ? { signal } : {}),
    });

  preview = (expression: string, step: string | null, undo: boolean, signal: AbortSignal): Promise<Preview> =>
    this.#api.ask(`${this.#at}draft/preview/`, {
      method: "POST",
      body: { expression, step, undo },
      signal,
    });

  roots = (step: string | null, undo: boolean): Promise<{ roots: JsonObject }> => {
    const asked = step ? `?step=${encodeURIComponent(step)}${undo ? "&undo=true" : ""}` : "";
    return this.#api.ask(`${this.#at}draft/preview/${asked}`);
  };

  /** What would be undone if this step of the saved draft failed. */
  undoPlan = (step: string, signal: AbortSignal): Promise<UndoPlan> =>
    this.#api.ask(`${this.#at}draft/undo-plan/?step=${encodeURIComponent(step)}`, { signal });

  publish = (note: string): Promise<{ number: number }> =>
    this.#api.ask(`${this.#at}publish/`, { method: "POST", body: { note } });

  version = (number: number): Promise<Version> => this.#api.ask(`${this.#at}versions/${number}/`);

  start = (input: Json, key: string, about: { business_key?: string }): Promise<{ id: string }> =>
    this.#api.ask(`${this.#at}runs/`, {
      method: "POST",
      body: { input, ...about },
      headers: { "Idempotency-Key": key },
    });
}

export const runSteps = (
  api: Api,
  id: string,
): Promise<{ seq: number; run: RunView; steps: StepRunView[]; tallies?: Tally[] }> =>
  api.ask(`runs/${encodeURIComponent(id)}/steps/`);
