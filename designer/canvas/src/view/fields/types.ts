import type { ComponentType } from "react";
import type { Field } from "../../core/schema.ts";
import type { Json, Schema } from "../../core/types.ts";

/** What every control gets. `onChange(undefined)` removes the value. */
export interface ControlProps {
  id: string;
  field: Field;
  root: Schema;
  path: string;
  value: Json | undefined;
  onChange(value: Json | undefined): void;
  /** The row component, handed down so that composite controls can nest forms without a cycle of imports. */
  Row: ComponentType<RowProps>;
}

export type RowProps = Omit<ControlProps, "id" | "Row"> & { bare?: boolean };
