import { fieldsOf } from "../../core/schema.ts";
import type { JsonObject, StepKind } from "../../core/types.ts";
import { FieldRow } from "../fields/value-field.tsx";

interface Props {
  kind: StepKind;
  config: JsonObject;
  /** The place of the config in the step: "config" or "undo.config". */
  path: string;
  onChange(config: JsonObject): void;
}

/** The form of a step kind, generated from its config schema. */
export function ConfigForm({ kind, config, path, onChange }: Props) {
  const fields = fieldsOf(kind.config_schema);
  const functionName = typeof config.function === "string" ? config.function : null;
  if (!fields.length) return <p className="quiet">This step has no settings.</p>;
  return fields.map((field) => (
    <FieldRow
      key={field.name}
      field={field}
      root={kind.config_schema}
      path={`${path}.${field.name}`}
      value={config[field.name]}
      functionName={functionName}
      onChange={(value) => {
        const { [field.name]: _, ...rest } = config;
        onChange(value === undefined ? rest : { ...config, [field.name]: value });
      }}
    />
  ));
}
