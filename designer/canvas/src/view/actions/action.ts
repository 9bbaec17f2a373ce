/** What one action is. */
import { selectedSteps } from "../../core/editor.ts";
import type { Designer } from "../designer.ts";

export interface Action {
  id: string;
  label: string;
  group: "Add" | "Edit" | "Select" | "View" | "Workflow";
  /** `Mod` is Ctrl, or Cmd on a Mac. Several alternatives are all accepted. */
  keys: string[];
  /** Works even while typing in a field. */
  everywhere?: boolean;
  changes?: boolean;
  hidden?: boolean;
  run(designer: Designer, event?: KeyboardEvent): void;
}

export const chosen = (designer: Designer): string[] => selectedSteps(designer.editor.get());
