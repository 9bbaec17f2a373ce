import { useMemo, useState } from "react";
import { ApiError } from "../../api/http.ts";
import { isJsonObject } from "../../core/equal.ts";
import { type Field, fieldsOf } from "../../core/schema.ts";
import type { Json, JsonObject, Schema } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { FormScope } from "../fields/scope.ts";
import { FieldRow } from "../fields/value-field.tsx";
import { useStore } from "../use-store.ts";
import { DialogFrame } from "./frame.tsx";

/** Nothing in a run's input is an expression; a shape that nobody declared is written as JSON. */
const inputField = (field: Field): Field => {
  const open = field.widget === "map" || (field.widget === "list" && !field.schema.items);
  return { ...field, expression: false, widget: open ? "json" : field.widget };
};

function defaults(schema: Schema): JsonObject {
  const values: JsonObject = {};
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (property.default !== undefined) values[name] = property.default;
  }
  return values;
}

const violations = (details: Json): string[] => {
  const list = isJsonObject(details) ? (details.problems ?? details.errors) : details;
  if (!Array.isArray(list)) return [];
  return list.map((item) =>
    isJsonObject(item) ? `${item.path ?? item.field ?? ""} ${item.message ?? ""}` : String(item),
  );
};

/** The input as a form where its schema has properties, else as JSON. */
function useInput(schema: Schema) {
  const [values, setValues] = useState<JsonObject>(() => defaults(schema));
  const [text, setText] = useState<string | null>(Object.keys(schema.properties ?? {}).length ? null : "{}");
  const read = (): Json => (text === null ? values : (JSON.parse(text) as Json));
  const toggle = (): void => {
    if (text === null) setText(JSON.stringify(values, null, 2));
    else {
      const parsed = JSON.parse(text) as Json;
      if (isJsonObject(parsed)) setValues(parsed);
      setText(null);
    }
  };
  return { values, setValues, text, setText, read, toggle };
}

export function RunDialog({ onClose }: { onClose(): void }) {
  const designer = useDesigner();
  const live = useStore(designer.live);
  const schema = useMemo(() => designer.editor.document.input as unknown as Schema, [designer]);
  const input = useInput(schema);
  const key = useMemo(() => crypto.randomUUID(), []);
  const [business, setBusiness] = useState("");
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<{ message: string; more: string[] } | null>(null);
  const fields = fieldsOf(schema).map(inputField);

  const start = async (): Promise<void> => {
    setBusy(true);
    try {
      const run = await designer.api.start(input.read(), key, business ? { business_key: business } : {});
      const page = designer.config.pages.run ?? "";
      location.assign(page.replace("{id}", encodeURIComponent(run.id)));
    } catch (error) {
      const more = error instanceof ApiError ? violations(error.details) : [];
      setRefused({ message: (error as Error).message, more });
      setBusy(false);
    }
  };
  const toggle = (): void => {
    try {
      input.toggle();
      setRefused(null);
    } catch (error) {
      setRefused({ message: `This is not JSON yet: ${(error as Error).message}`, more: [] });
    }
  };

  return (
    <DialogFrame title={`Run ${designer.editor.document.name || designer.config.workflow}`} onClose={onClose}>
      <form
        className="dialog-body"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void start();
        }}
      >
        <p className="quiet">
          {live
            ? `Starts version ${live}, which is live. Changes of the draft run once they are published.`
            : "There is no live version yet. Publish the draft first."}
        </p>
        {input.text === null ? (
          <FormScope.Provider value={{ step: null, problems: [], readOnly: false, intent: "run" }}>
            {fields.map((field) => (
              <FieldRow
                key={field.name}
                field={field}
                root={schema}
                path={`input.${field.name}`}
                value={input.values[field.name]}
                onChange={(value) => {
                  const { [field.name]: _, ...rest } = input.values;
                  input.setValues(value === undefined ? rest : { ...rest, [field.name]: value });
                }}
              />
            ))}
          </FormScope.Provider>
        ) : (
          <label className="field">
            <span className="field-label">Input as JSON</span>
            <textarea
              className="code"
              rows={8}
              spellCheck={false}
              value={input.text}
              onChange={(event) => input.setText(event.target.value)}
            />
          </label>
        )}
        {fields.length > 0 && (
          <button type="button" className="link" onClick={toggle}>
            {input.text === null ? "Write the input as JSON" : "Back to the form"}
          </button>
        )}
        <label className="field">
          <span className="field-label">Business key</span>
          <input
            value={business}
            onChange={(event) => setBusiness(event.target.value)}
            placeholder="Optional, to find this run again"
          />
        </label>
        {refused && (
          <div className="refusal" role="alert">
            <p>{refused.message}</p>
            {refused.more.length > 0 && (
              <ul>
                {refused.more.map((line) => (
                  <li key={line}>{line}</li>
                ))}
              </ul>
            )}
          </div>
        )}
        <footer className="dialog-foot">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button
            type="submit"
            className="button primary"
            disabled={busy || !live}
            title={live ? undefined : "Publish the draft first"}
          >
            {busy ? "Starting…" : "Start"}
          </button>
        </footer>
      </form>
    </DialogFrame>
  );
}
