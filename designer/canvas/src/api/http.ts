/** One door to the JSON API: CSRF header, session cookie, and errors as values with code and message. */
import type { Json } from "../core/types.ts";

export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly details: Json;

  constructor(status: number, code: string, message: string, details: Json) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

/** The server could not be reached at all. */
export class Unreachable extends Error {}

export interface Ask {
  method?: "GET" | "POST" | "PUT";
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Lets the request outlive the page (body up to 64 kB by the fetch standard). */
  keepalive?: boolean;
}

interface ErrorBody {
  code?: string;
  message?: string;
  details?: Json;
}

export class Api {
  readonly #base: string;
  readonly #csrf: string;

  constructor(base: string, csrf: string) {
    this.#base = base;
    this.#csrf = csrf;
  }

  /** Sends and parses. Raises `ApiError` for a refusal, `Unreachable` when nobody answered. */
  async ask<T>(
    path: string,
    { method = "GET", body, headers = {}, signal, keepalive = false }: Ask = {},
  ): Promise<T> {
    const init: RequestInit = {
      method,
      credentials: "same-origin",
      keepalive,
      headers: { Accept: "application/json", ...this.#sent(method, body), ...headers },
    };
    if (body !== undefined) init.body = JSON.stringify(body);
    if (signal) init.signal = signal;
    const response = await this.#send(path, init);
    const text = await response.text();
    if (!response.ok) throw refusal(response.status, text);
    return (text ? JSON.parse(text) : null) as T;
  }

  #sent(method: string, body: unknown): Record<string, string> {
    if (method === "GET") return {};
    return {
      "X-CSRFToken": this.#csrf,
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
    };
  }

  async #send(path: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(this.#base + path, init);
    } catch (error) {
      if ((error as Error).name === "AbortError") throw error;
      throw new Unreachable("The server does not answer. Your changes are kept in this browser.");
    }
  }
}

function refusal(status: number, text: string): ApiError {
  let body: ErrorBody = {};
  try {
    body = JSON.parse(text) as ErrorBody;
  } catch {
    // A proxy or a crash answered with something that is not ours; the status says enough.
  }
  const message =
    body.message ?? (status === 403 ? "You may not do this here." : `The server answered ${status}.`);
  return new ApiError(status, body.code ?? `http_${status}`, message, body.details ?? null);
}
