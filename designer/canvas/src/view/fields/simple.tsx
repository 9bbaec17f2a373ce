import { useState } from "react";
import { readDuration, spokenDuration } from "../../core/durations.ts";
import { equal } from "../../core/equal.ts";
import type { Json } from "../../core/types.ts";
import { useScope } from "./scope.ts";
import type { ControlProps } from "./types.ts";

const shown = (value: Json | undefined): string =>
  value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);

/** Clearing an optional text removes the value; a required one stays as empty text for the validator to name. */
const cleared = (text: string, { field }: ControlProps): Json | undefined =>
  text === "" && !field.required ? undefined : text;

const placeholderOf = ({ field }: ControlProps): string =>
  field.placeholder || (field.default === undefined || field.default === null ? "" : shown(field.default));

export function TextControl(props: ControlProps) {
  const { readOnly } = useScope();
  const type = { date: "date", email: "email" }[props.field.schema.format ?? ""] ?? "text";
  return (
    <input
      id={props.id}
      type={type}
      value={shown(props.value)}
      placeholder={placeholderOf(props)}
      readOnly={readOnly}
      aria-required={props.field.required}
      onChange={(event) => props.onChange(cleared(event.target.value, props))}
    />
  );
}

export function LongTextControl(props: ControlProps) {
  const { readOnly } = useScope();
  return (
    <textarea
      id={props.id}
      rows={3}
      value={shown(props.value)}
      placeholder={placeholderOf(props)}
      readOnly={readOnly}
      aria-required={props.field.required}
      onChange={(event) => props.onChange(cleared(event.target.value, props))}
    />
  );
}

/** Keeps what is typed until it can be read, so that "1." or "2 h 3" may be passed through on the way. */
function useTyped(value: string, read: (text: string) => Json | undefined | null, props: ControlProps) {
  const [typed, setTyped] = useState<string | null>(null);
  const text = typed ?? value;
  const wrong = typed !== null && typed.trim() !== "" && read(typed) === null;
  const change = (next: string): void => {
    setTyped(next);
    const result = next.trim() === "" ? undefined : read(next);
    if (result !== null) props.onChange(result);
  };
  return { text, wrong, change, done: () => setTyped(null) };
}

export function NumberControl(props: ControlProps) {
  const { readOnly } = useScope();
  const read = (text: string): number | null => (Number.isFinite(Number(text)) ? Number(text) : null);
  const typed = useTyped(shown(props.value), read, props);
  return (
    <input
      id={props.id}
      inputMode="decimal"
      value={typed.text}
      placeholder={placeholderOf(props)}
      readOnly={readOnly}
      aria-invalid={typed.wrong}
      onChange={(event) => typed.change(event.target.value)}
      onBlur={typed.done}
    />
  );
}

export function DurationControl(props: ControlProps) {
  const { readOnly } = useScope();
  const typed = useTyped(spokenDuration(shown(props.value)), readDuration, props);
  const initial = typeof props.field.default === "string" ? spokenDuration(props.field.default) : "";
  return (
    <>
      <input
        id={props.id}
        value={typed.text}
        placeholder={props.field.placeholder || initial || "30 s, 5 min, 2 h, 1 d"}
        readOnly={readOnly}
        aria-invalid={typed.wrong}
        onChange={(event) => typed.change(event.target.value)}
        onBlur={typed.done}
      />
      {typed.wrong && (
        <p className="field-problem">Write a time like “90 s”, “5 min”, “1 h 30 min” or PT1H30M.</p>
      )}
    </>
  );
}

export function ToggleControl({ id, value, field, onChange }: ControlProps) {
  const { readOnly } = useScope();
  const on = value === undefined ? field.default === true : value === true;
  return (
    <input
      id={id}
      type="checkbox"
      role="switch"
      className="switch"
      checked={on}
      aria-checked={on}
      disabled={readOnly}
      onChange={(event) => onChange(event.target.checked)}
    />
  );
}

const ACRONYMS = new Set(["json", "html", "url", "csv"]);

const words = (value: Json): string => {
  const text = shown(value).replaceAll("_", " ");
  if (ACRONYMS.has(text)) return text.toUpperCase();
  return /^[A-Z0-9]+$/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1);
};

export function ChoiceControl({ id, value, field, onChange }: ControlProps) {
  const { readOnly } = useScope();
  const { choices } = field;
  const at = choices.findIndex((choice) => shown(choice) === shown(value ?? field.default));
  const unknown = value !== undefined && at < 0;
  return (
    <select
      id={id}
      value={unknown ? "unknown" : String(at)}
      disabled={readOnly}
      onChange={(event) => {
        const index = Number(event.target.value);
        onChange(index < 0 ? undefined : choices[index]);
      }}
    >
      {(at < 0 || (!field.required && field.default === undefined)) && !unknown && (
        <option value="-1">—</option>
      )}
      {unknown && <option value="unknown">{shown(value)} (unknown)</option>}
      {choices.map((choice, index) => (
        <option key={shown(choice)} value={index}>
          {field.names?.[shown(choice)] ?? words(choice)}
        </option>
      ))}
    </select>
  );
}

const readJson = (text: string): Json | null => {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
};

export function JsonControl(props: ControlProps) {
  const { readOnly } = useScope();
  const text = props.value === undefined ? "" : JSON.stringify(props.value, null, 2);
  const [typed, setTyped] = useState<string | null>(null);
  const parsedTyped = typed === null ? undefined : readJson(typed);
  const wrong = typed !== null && typed.trim() !== "" && typed.trim() !== "null" && parsedTyped === null;
  // What was typed stays as it was typed: reformatting on blur would move the button that is being clicked.
  const mine = typed !== null && (wrong || equal(parsedTyped ?? undefined, props.value ?? undefined));
  return (
    <>
      <textarea
        id={props.id}
        className="code"
        rows={4}
        spellCheck={false}
        value={mine ? (typed ?? "") : text}
        placeholder={props.field.placeholder || '"text", 12, true, {"key": "value"}'}
        readOnly={readOnly}
        aria-invalid={wrong}
        onChange={(event) => {
          setTyped(event.target.value);
          const next = event.target.value;
          if (next.trim() === "") props.onChange(undefined);
          else if (next.trim() === "null") props.onChange(null);
          else {
            const parsed = readJson(next);
            if (parsed !== null) props.onChange(parsed);
          }
        }}
      />
      {wrong && <p className="field-problem">Not JSON yet. Text needs quotes: "like this".</p>}
    </>
  );
}
