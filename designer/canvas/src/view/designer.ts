/** Everything the edit page holds together: editor, saving, problems, catalogue, and what is open on the screen. */
import { createContext, useContext } from "react";
import type { DraftSync } from "../api/draft-sync.ts";
import type { WorkflowApi } from "../api/workflow.ts";
import type { PageConfig } from "../config.ts";
import type { Editor, Maker } from "../core/editor.ts";
import type { Wire } from "../core/edits.ts";
import { Store } from "../core/store.ts";
import type { Catalogue, Document, JsonObject, Point, Problem, StepKind } from "../core/types.ts";

export type Tab = "settings" | "input" | "errors" | "undo";
export type Dialog = "help" | "commands" | "find" | "publish" | "run" | "import" | "connect" | null;

export interface PickerRequest {
  /** Where the picker opens, in window pixels, and where the new step goes, in drawing units. */
  screen: Point;
  place: Point;
  wire: Wire;
}

export interface Toast {
  text: string;
  tone: "info" | "refused" | "done";
}

export interface Screen {
  tab: Tab;
  dialog: Dialog;
  picker: PickerRequest | null;
  outline: boolean;
  renaming: string | null;
  toast: Toast | null;
  /** An inspector field somebody asked for (from a problem), with a count so that asking twice works. */
  wantedField: { field: string; count: number } | null;
  dropEdge: string | null;
}

export interface Found {
  problems: Problem[];
  /** The document they were found in: fixes name places in it. */
  document: Document | null;
  checking: boolean;
  byStep: ReadonlyMap<string, Problem[]>;
}

/** What only the mounted canvas can do. */
export interface CanvasHandle {
  centre(id: string): void;
  focus(id: string): void;
  /** Moves to the inspector of what is selected. */
  open(): void;
  fit(): void;
  zoom(to: "in" | "out" | "full"): void;
  toDrawing(screen: Point): Point;
  middle(): Point;
}

const NO_PROBLEMS: Problem[] = [];

export class Designer {
  readonly screen = new Store<Screen>({
    tab: "settings",
    dialog: null,
    picker: null,
    outline: false,
    renaming: null,
    toast: null,
    wantedField: null,
    dropEdge: null,
  });
  readonly found = new Store<Found>({ problems: [], document: null, checking: false, byStep: new Map() });
  readonly live = new Store<number | null>(null);
  canvas: CanvasHandle | null = null;
  /** The last pointer place over the canvas, in window pixels. */
  pointer: Point | null = null;
  readonly #kinds: ReadonlyMap<string, StepKind>;
  readonly #roots = new Map<string, Promise<JsonObject>>();

  constructor(
    readonly config: PageConfig,
    readonly editor: Editor,
    readonly sync: DraftSync,
    readonly api: WorkflowApi,
    readonly catalogue: Catalogue,
  ) {
    this.#kinds = new Map(catalogue.kinds.map((kind) => [kind.kind, kind]));
  }

  readonly kindOf = (kind: string): StepKind | undefined => this.#kinds.get(kind);

  run(make: Maker): boolean {
    return this.editor.run(make);
  }

  say(text: string, tone: Toast["tone"] = "info"): void {
    this.screen.update({ toast: { text, tone } });
  }

  open(dialog: Dialog): void {
    this.screen.update({ dialog, picker: null });
  }

  /** Selects a step (or note), brings it into view and, where asked, opens one of its fields. */
  show(id: string, field?: string | null): void {
    this.editor.select([id]);
    this.canvas?.centre(id);
    if (field) this.wantField(field);
  }

  /** Moves the keyboard into the inspector. */
  openInspector(): void {
    document
      .querySelector<HTMLElement>(".inspector [role=tabpanel] :is(input, textarea, select, button)")
      ?.focus();
  }

  wantField(field: string): void {
    const count = (this.screen.get().wantedField?.count ?? 0) + 1;
    this.screen.update({ wantedField: { field, count }, tab: tabOf(field) });
  }

  setProblems(problems: Problem[], document: Document): void {
    const byStep = new Map<string, Problem[]>();
    for (const problem of problems) {
      if (problem.step) byStep.set(problem.step, [...(byStep.get(problem.step) ?? []), problem]);
    }
    this.found.set({ problems, document, checking: false, byStep });
  }

  problemsOf(key: string): Problem[] {
    return this.found.get().byStep.get(key) ?? NO_PROBLEMS;
  }

  /** What an expression in this step may read, asked once per saved revision. */
  roots(step: string | null): Promise<JsonObject> {
    const id = `${this.sync.revision}:${step ?? ""}`;
    const known = this.#roots.get(id);
    if (known) return known;
    if (this.#roots.size > 50) this.#roots.clear();
    const asked = this.api.roots(step).then(
      (answer) => answer.roots,
      () => ({}),
    );
    this.#roots.set(id, asked);
    return asked;
  }
}

const tabOf = (field: string): Tab => {
  if (/^(retry|timeout|queue)/.test(field)) return "errors";
  if (/^join/.test(field)) return "input";
  return field.startsWith("undo") ? "undo" : "settings";
};

export const DesignerContext = createContext<Designer | null>(null);

export function useDesigner(): Designer {
  const designer = useContext(DesignerContext);
  if (!designer) throw new Error("This view needs a designer around it.");
  return designer;
}
