import type { ReactNode } from "react";
import type { Field } from "../../core/schema.ts";

export function Section({ title, help, children }: { title: string; help?: string; children: ReactNode }) {
  return (
    <section className="form-section">
      <h3>{title}</h3>
      {help && <p className="field-help">{help}</p>}
      {children}
    </section>
  );
}

/** A field of the document itself (not of a config), described here because no schema from the server does. */
export const plainField = (
  name: string,
  label: string,
  widget: string,
  more: Partial<Field> = {},
): Field => ({
  name,
  label,
  help: "",
  placeholder: "",
  widget,
  language: "",
  required: false,
  expression: false,
  schema: {},
  choices: [],
  default: undefined,
  ...more,
});
