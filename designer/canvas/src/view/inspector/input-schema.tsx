import { useState } from "react";
import { editWorkflow } from "../../core/edits.ts";
import {
  INPUT_TYPES,
  type InputProperty,
  type InputType,
  propertiesOf,
  withProperties,
} from "../../core/input-schema.ts";
import type { JsonObject } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { FieldRow } from "../fields/value-field.tsx";
import { Icon } from "../icon.tsx";
import { plainField, Section } from "./section.tsx";

interface RowProps {
  property: InputProperty;
  number: number;
  onChange(property: InputProperty): void;
  onRemove(): void;
}

function PropertyRow({ property, number, onChange, onRemove }: RowProps) {
  const [open, setOpen] = useState(false);
  const set = (fields: Partial<InputProperty>): void => onChange({ ...property, ...fields });
  return (
    <li className="input-property">
      <div className="input-line">
        <input
          className="code"
          aria-label={`Name of input ${number}`}
          value={property.name}
          spellCheck={false}
          onChange={(event) => set({ name: event.target.value })}
        />
        <select
          aria-label={`Type of ${property.name}`}
          value={property.type}
          onChange={(event) => set({ type: event.target.value as InputType })}
        >
          {INPUT_TYPES.map((type) => (
            <option key={type}>{type}</option>
          ))}
        </select>
        <label className="check" title="Required">
          <input
            type="checkbox"
            checked={property.required}
            onChange={(event) => set({ required: event.target.checked })}
          />
          <span>required</span>
        </label>
        <button
          type="button"
          className="icon-button tiny"
          aria-expanded={open}
          aria-label={`More about ${property.name}`}
          onClick={() => setOpen(!open)}
        >
          <Icon name={open ? "chevron-down" : "chevron-right"} size={12} />
        </button>
        <button
          type="button"
          className="icon-button tiny"
          aria-label={`Remove ${property.name}`}
          onClick={onRemove}
        >
          <Icon name="x" size={12} />
        </button>
      </div>
      {open && (
        <div className="input-more">
          <label className="field">
            <span className="field-label">Description</span>
            <input
              value={property.description}
              onChange={(event) => set({ description: event.target.value })}
            />
          </label>
          <label className="field">
            <span className="field-label">Default</span>
            <input
              className="code"
              value={property.default}
              placeholder="none"
              onChange={(event) => set({ default: event.target.value })}
            />
          </label>
        </div>
      )}
    </li>
  );
}

const RAW = plainField("input", "JSON Schema", "json");

/** The run's input as a table of properties; the raw schema is one click away. */
export function InputSchema({ input }: { input: JsonObject }) {
  const designer = useDesigner();
  const [raw, setRaw] = useState(false);
  const properties = propertiesOf(input);
  const save = (next: JsonObject): void => {
    designer.run((doc) => editWorkflow(doc, { input: next }, "input"));
  };
  const change = (next: InputProperty[]): void => {
    const names = next.map((property) => property.name);
    // Two properties of one name would become one and lose the other; the rename waits until it is unique.
    if (new Set(names).size === names.length) save(withProperties(input, next));
  };
  const add = (): void => {
    let number = properties.length + 1;
    while (properties.some((property) => property.name === `value_${number}`)) number += 1;
    const fresh = {
      name: `value_${number}`,
      type: "string" as const,
      required: true,
      description: "",
      default: "",
      rest: {},
    };
    change([...properties, fresh]);
  };
  return (
    <Section title="Input of a run">
      {raw ? (
        <FieldRow
          field={RAW}
          root={{}}
          path="input"
          value={input}
          onChange={(value) => save((value ?? { type: "object" }) as JsonObject)}
        />
      ) : (
        <fieldset className="input-table" disabled={designer.editor.readOnly}>
          <legend className="visually-hidden">Inputs</legend>
          {!properties.length && (
            <p className="quiet">Runs start without input. Add what a run needs to know.</p>
          )}
          <ul>
            {properties.map((property, index) => (
              <PropertyRow
                // biome-ignore lint/suspicious/noArrayIndexKey: the name is being typed, so it cannot be the key
                key={index}
                number={index + 1}
                property={property}
                onChange={(next) => change(properties.map((old, at) => (at === index ? next : old)))}
                onRemove={() => change(properties.filter((_, at) => at !== index))}
              />
            ))}
          </ul>
          <button type="button" className="button small" onClick={add}>
            <Icon name="plus" size={12} /> Add input
          </button>
        </fieldset>
      )}
      <button type="button" className="link" onClick={() => setRaw(!raw)}>
        {raw ? "Back to the table" : "Edit as JSON Schema"}
      </button>
    </Section>
  );
}
