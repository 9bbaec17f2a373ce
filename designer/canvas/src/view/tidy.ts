/** Tidy-up: ELK computes in a worker that is loaded on first use; the result is one undo step. */
import elkWorker from "elkjs/lib/elk-worker.min.js?url";
import { place } from "../core/edits.ts";
import { arranged, type ElkGraph } from "../core/layout.ts";
import type { Designer } from "./designer.ts";

interface Elk {
  layout(graph: ElkGraph): Promise<ElkGraph>;
}

let engine: Promise<Elk> | null = null;

async function start(): Promise<Elk> {
  const { default: ELK } = await import("elkjs/lib/elk-api.js");
  return new ELK({ workerFactory: () => new Worker(elkWorker) }) as unknown as Elk;
}

export async function tidyUp(designer: Designer): Promise<void> {
  const { document } = designer.editor;
  if (document.steps.length < 2) return;
  engine ??= start();
  try {
    const elk = await engine;
    const places = await arranged(document, designer.frames, (graph) => elk.layout(graph));
    designer.run((doc) => place(doc, places, "Tidy up"));
    requestAnimationFrame(() => designer.canvas?.fit());
  } catch (error) {
    engine = null;
    designer.say(`The tidy-up failed: ${(error as Error).message}`, "refused");
  }
}
