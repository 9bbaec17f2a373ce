import { isJsonObject } from "../../core/equal.ts";
import { fieldsOf } from "../../core/schema.ts";
import type { JsonObject } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { anyField, MapControl } from "./composite.tsx";
import { useScope } from "./scope.ts";
import type { ControlProps } from "./types.ts";

/** The registered functions by module; an unregistered name stays visible so that it can be repaired. */
export function FunctionControl({ id, value, onChange }: ControlProps) {
  const { catalogue } = useDesigner();
  const { readOnly } = useScope();
  const chosen = typeof value === "string" ? value : "";
  const known = catalogue.functions.find((item) => item.name === chosen);
  const modules = Map.groupBy(catalogue.functions, (item) => item.name.split(".").slice(0, -1).join("."));
  return (
    <>
      <select
        id={id}
        value={chosen}
        disabled={readOnly}
        onChange={(event) => onChange(event.target.value || undefined)}
      >
        <option value="">Choose a function…</option>
        {chosen && !known && <option value={chosen}>{chosen} (not registered)</option>}
        {[...modules].map(([module, functions]) => (
          <optgroup key={module} label={module || "functions"}>
            {functions.map((item) => (
              <option key={item.name}>{item.name}</option>
            ))}
          </optgroup>
        ))}
      </select>
      {known?.description && <p className="field-help">{known.description}</p>}
    </>
  );
}

/** One row per declared argument of the chosen function; names and values where nothing is declared. */
export function ArgumentsControl(props: ControlProps & { functionName: string | null }) {
  const { catalogue } = useDesigner();
  const { functionName, value, onChange, path, Row } = props;
  const schema = catalogue.functions.find((item) => item.name === functionName)?.arguments_schema;
  const declared = schema ? fieldsOf(schema) : [];
  if (!schema || !declared.length) {
    if (schema && schema.additionalProperties !== true)
      return <p className="quiet">This function takes no arguments.</p>;
    return <MapControl {...props} />;
  }
  const current: JsonObject = isJsonObject(value) ? value : {};
  const set = (name: string, next: JsonObject[string] | undefined): void => {
    const { [name]: _, ...rest } = current;
    onChange(next === undefined ? rest : { ...rest, [name]: next });
  };
  const unknown = Object.keys(current).filter((name) => !(name in (schema.properties ?? {})));
  return (
    <div className="nested">
      {declared.map((field) => (
        <Row
          key={field.name}
          field={
            field.schema.type === undefined && field.widget === "json" ? { ...field, widget: "any" } : field
          }
          root={schema}
          path={`${path}.${field.name}`}
          value={current[field.name]}
          onChange={(next) => set(field.name, next)}
        />
      ))}
      {unknown.map((name) => (
        <Row
          key={name}
          field={{ ...anyField(name, {}, {}), required: false, help: "This function has no such argument." }}
          root={schema}
          path={`${path}.${name}`}
          value={current[name]}
          onChange={(next) => set(name, next)}
        />
      ))}
    </div>
  );
}
