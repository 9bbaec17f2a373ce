import { isExpression, isJsonObject } from "../../core/equal.ts";
import { type Field, fieldOf, fieldsOf, firstValue, resolved } from "../../core/schema.ts";
import type { Json, JsonObject, Schema } from "../../core/types.ts";
import { Icon } from "../icon.tsx";
import { useScope } from "./scope.ts";
import type { ControlProps } from "./types.ts";

const objectOf = (value: Json | undefined): JsonObject =>
  isJsonObject(value) && !isExpression(value) ? value : {};
const listOf = (value: Json | undefined): Json[] => (Array.isArray(value) ? value : []);

const without = (value: JsonObject, name: string): JsonObject => {
  const { [name]: _, ...rest } = value;
  return rest;
};

/** The fields of an object, one row each. */
export function ObjectControl({ field, root, path, value, onChange, Row }: ControlProps) {
  const current = objectOf(value);
  return (
    <div className="nested">
      {fieldsOf(field.schema, root).map((inner) => (
        <Row
          key={inner.name}
          field={inner}
          root={root}
          path={`${path}.${inner.name}`}
          value={current[inner.name]}
          onChange={(next) => {
            const changed =
              next === undefined ? without(current, inner.name) : { ...current, [inner.name]: next };
            onChange(Object.keys(changed).length || field.required ? changed : undefined);
          }}
        />
      ))}
    </div>
  );
}

const itemField = (field: Field, root: Schema, index: number): Field => {
  const schema = field.schema.items ?? {};
  const item = fieldOf(`${index}`, schema, root, true);
  return { ...item, label: `${field.label} ${index + 1}`, help: "", expression: field.expression };
};

function Tools({
  index,
  count,
  onMove,
  onRemove,
}: {
  index: number;
  count: number;
  onMove(by: number): void;
  onRemove(): void;
}) {
  const { readOnly } = useScope();
  if (readOnly) return null;
  return (
    <span className="item-tools">
      <button
        type="button"
        className="icon-button tiny"
        aria-label={`Move item ${index + 1} up`}
        disabled={index === 0}
        onClick={() => onMove(-1)}
      >
        <Icon name="arrow-up" size={12} />
      </button>
      <button
        type="button"
        className="icon-button tiny"
        aria-label={`Move item ${index + 1} down`}
        disabled={index === count - 1}
        onClick={() => onMove(1)}
      >
        <Icon name="arrow-down" size={12} />
      </button>
      <button
        type="button"
        className="icon-button tiny"
        aria-label={`Remove item ${index + 1}`}
        onClick={onRemove}
      >
        <Icon name="x" size={12} />
      </button>
    </span>
  );
}

const NEW_ITEMS: Record<string, (count: number) => JsonObject> = {
  cases: (count) => ({ port: `case_${count + 1}`, when: { $: "" } }),
  fields: (count) => ({ key: `field_${count + 1}`, kind: "text", label: `Field ${count + 1}` }),
  outcomes: (count) => ({ key: `outcome_${count + 1}`, label: `Outcome ${count + 1}` }),
};

/** A fresh item: keys of cases, form fields and outcomes are proposed, the rest comes from the schema. */
function newItem(field: Field, root: Schema, items: Json[]): Json {
  const schema = resolved(field.schema.items ?? {}, root);
  const first = firstValue(schema, root);
  const propose = NEW_ITEMS[field.widget];
  if (!propose) return first;
  const proposed = propose(items.length);
  if (!isJsonObject(first)) return String(proposed.key ?? proposed.port);
  const known = schema.properties ?? {};
  const fitting = Object.fromEntries(Object.entries(proposed).filter(([name]) => name in known));
  return { ...first, ...fitting };
}

const isPlain = (schema: Schema, root: Schema): boolean => resolved(schema, root).properties === undefined;

/** A list of values or of small forms: cases, form fields, outcomes and every other list. */
export function ListControl({ field, root, path, value, onChange, Row }: ControlProps) {
  const { readOnly } = useScope();
  const items = listOf(value);
  const plain = isPlain(field.schema.items ?? {}, root);
  const change = (next: Json[]): void => onChange(next.length || field.required ? next : undefined);
  const move = (index: number, by: number): void => {
    const next = [...items];
    const [item] = next.splice(index, 1);
    next.splice(index + by, 0, item ?? null);
    change(next);
  };
  return (
    <div className="items">
      {items.map((item, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: items have no identity of their own
        <div className={plain ? "item item-plain" : "item"} key={index}>
          <Row
            bare
            field={itemField(field, root, index)}
            root={root}
            path={`${path}.${index}`}
            value={item}
            onChange={(next) => change(items.map((old, at) => (at === index ? (next ?? "") : old)))}
          />
          <Tools
            index={index}
            count={items.length}
            onMove={(by) => move(index, by)}
            onRemove={() => change(items.filter((_, at) => at !== index))}
          />
        </div>
      ))}
      {!readOnly && (
        <button
          type="button"
          className="button small"
          onClick={() => change([...items, newItem(field, root, items)])}
        >
          <Icon name="plus" size={12} /> {addLabel(field.label)}
        </button>
      )}
    </div>
  );
}

/** "Accepted statuses" -> "Add accepted status"; a label that is no plural gives just "Add". */
const addLabel = (label: string): string => {
  const text = label.toLowerCase();
  if (!/[^su]s$|uses$/.test(text)) return "Add";
  const one = text.replace(/ies$/, "y").replace(/uses$/, "us");
  return `Add ${one === text ? text.replace(/s$/, "") : one}`;
};

/** Names and values; each value may be text or an expression. */
export function MapControl({ field, root, path, value, onChange, Row }: ControlProps) {
  const { readOnly } = useScope();
  const current = objectOf(value);
  const extra = field.schema.additionalProperties;
  const schema: Schema = typeof extra === "object" ? extra : {};
  const entries = Object.entries(current);
  const rename = (from: string, to: string): void => {
    if (to in current && to !== from) return;
    onChange(Object.fromEntries(entries.map(([name, item]) => [name === from ? to : name, item])));
  };
  const freeName = (): string => {
    let number = entries.length + 1;
    while (`name_${number}` in current) number += 1;
    return `name_${number}`;
  };
  return (
    <div className="items">
      {entries.map(([name, item], index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the name itself is being typed, so it cannot be the key
        <div className="item item-map" key={index}>
          <input
            className="map-name"
            aria-label={`Name ${index + 1}`}
            value={name}
            readOnly={readOnly}
            onChange={(event) => rename(name, event.target.value)}
          />
          <Row
            bare
            field={{ ...anyField(name, schema, root), expression: field.expression }}
            root={root}
            path={`${path}.${name}`}
            value={item}
            onChange={(next) => onChange({ ...current, [name]: next ?? "" })}
          />
          {!readOnly && (
            <button
              type="button"
              className="icon-button tiny"
              aria-label={`Remove ${name}`}
              onClick={() =>
                onChange(entries.length > 1 || field.required ? without(current, name) : undefined)
              }
            >
              <Icon name="x" size={12} />
            </button>
          )}
        </div>
      ))}
      {!readOnly && (
        <button
          type="button"
          className="button small"
          onClick={() => onChange({ ...current, [freeName()]: "" })}
        >
          <Icon name="plus" size={12} /> {addLabel(field.label)}
        </button>
      )}
    </div>
  );
}

/** A field for a value whose type nobody declared: text first, JSON where the value is more than text. */
export function anyField(name: string, schema: Schema, root: Schema): Field {
  const field = fieldOf(name, schema, root, true);
  const typed = resolved(schema, root).type !== undefined || schema["x-ui"]?.widget !== undefined;
  return typed ? field : { ...field, widget: "any" };
}

const WHO = [
  ["users", "Users"],
  ["groups", "Groups"],
  ["roles", "Roles"],
] as const;

/** Who may answer: names separated by commas, or an expression for each list. */
export function AssigneesControl({ field, root, path, value, onChange, Row }: ControlProps) {
  const current = objectOf(value);
  return (
    <div className="nested">
      {WHO.map(([name, label]) => (
        <Row
          key={name}
          field={{
            ...fieldOf(name, { type: "array", items: { type: "string" } }, root, false),
            label,
            widget: "names",
            expression: field.expression,
          }}
          root={root}
          path={`${path}.${name}`}
          value={current[name]}
          onChange={(next) =>
            onChange(next === undefined ? without(current, name) : { ...current, [name]: next })
          }
        />
      ))}
    </div>
  );
}
