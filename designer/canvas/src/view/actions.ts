/** Every action with its name and keys: one list for the keyboard, the command palette and the help page. */
import type { Action } from "./actions/action.ts";
import { ADD } from "./actions/add.ts";
import { CONTAINERS } from "./actions/containers.ts";
import { EDIT } from "./actions/edit.ts";
import { SELECT } from "./actions/select.ts";
import { VIEW } from "./actions/view.ts";
import { WORKFLOW } from "./actions/workflow.ts";

export type { Action };
export const ACTIONS: readonly Action[] = [...ADD, ...EDIT, ...CONTAINERS, ...SELECT, ...VIEW, ...WORKFLOW];
