/** Everything the edit page holds together: editor, saving, problems, catalogue, and what is open on the screen. */
import { createContext, useContext } from "react";
import type { DraftSync } from "../api/draft-sync.ts";
import { folded } from "../api/folded.ts";
import type { Listed, WorkflowApi } from "../api/workflow.ts";
import type { PageConfig } from "../config.ts";
import type { Editor, Maker } from "../core/editor.ts";
import type { Wire } from "../core/edits.ts";
import { Frames } from "../core/frames.ts";
import type { Layout } from "../core/room.ts";
import { Store } from "../core/store.ts";
import type { Catalogue, Document, JsonObject, Point, Problem, StepKind } from "../core/types.ts";

export type Tab = "settings" | "input" | "errors" | "undo";
export type Dialog = "help" | "commands" | "find" | "publish" | "run" | "import" | "connect" | "into" | null;

export interface PickerRequest {
  /** Where the picker opens, in window pixels, and where the new step goes, in drawing units. */
  screen: Point;
  place: Point;
  wire: Wire;
  /** The container it goes into, where no wire says so. */
  parent?: string | null;
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
  /** Where what is being dragged would go: a container, the open drawing (""), or nowhere else. */
  dropInto: string | null;
  /** Containers that hide what they hold. */
  collapsed: ReadonlySet<string>;
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
  /** The innermost open container at a place of the window. */
  under(screen: Point): string | null;
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
    dropInto: null,
    collapsed: new Set(),
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
    this.screen.update({ collapsed: folded.read(config) });
    this.#kinds = new Map(catalogue.kinds.map((kind) => [kind.kind, kind]));
  }

  #frames: Frames | null = null;

  /** Where everything lies in the present drawing. */
  get frames(): Frames {
    const { document } = this.editor;
    const { collapsed } = this.screen.get();
    const known = this.#frames;
    if (known?.doc === document && known.collapsed === collapsed) return known;
    this.#frames = new Frames(document, this.kindOf, collapsed);
    return this.#frames;
  }

  get layout(): Layout {
    return { kindOf: this.kindOf, collapsed: this.screen.get().collapsed };
  }

  /** Opens or closes a container. */
  fold(key: string, closed = !this.screen.get().collapsed.has(key)): void {
    const collapsed = new Set(this.screen.get().collapsed);
    if (closed) collapsed.add(key);
    else collapsed.delete(key);
    this.screen.update({ collapsed });
    folded.write(this.config, collapsed);
  }

  /** Opens every container around a step, so that it can be seen. */
  unfold(key: string): void {
    for (const above of this.frames.nesting.around(key)) {
      if (this.screen.get().collapsed.has(above)) this.fold(above, false);
    }
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

  #workflows: Promise<Listed[]> | null = null;

  /** The workflows of the workspace, asked once; a failed question may be asked again. */
  workflows(): Promise<Listed[]> {
    this.#workflows ??= this.api.workflows();
    this.#workflows.catch(() => {
      this.#workflows = null;
    });
    return this.#workflows;
  }

  /** What an expression in this step may read, asked once per saved revision. */
  roots(step: string | null, undo = false, revision = this.sync.revision): Promise<JsonObject> {
    const id = `${revision}:${step ?? ""}:${undo}`;
    const known = this.#roots.get(id);
    if (known) return known;
    if (this.#roots.size > 50) this.#roots.clear();
    const asked = this.api.roots(step, undo).then(
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
