import { createContext, useContext } from "react";
import type { Problem } from "../../core/types.ts";

/** Where a form stands: which step its expressions see, what is wrong, and which undo step its typing joins. */
export interface Scope {
  step: string | null;
  problems: Problem[];
  readOnly: boolean;
  intent: string;
  /** The form is of the step's undo, whose expressions also read output and error. */
  undo?: boolean;
}

export const FormScope = createContext<Scope>({ step: null, problems: [], readOnly: false, intent: "" });
export const useScope = (): Scope => useContext(FormScope);
