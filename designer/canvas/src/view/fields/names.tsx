import { useState } from "react";
import type { Json } from "../../core/types.ts";
import { useScope } from "./scope.ts";
import type { ControlProps } from "./types.ts";

const written = (value: Json | undefined): string => (Array.isArray(value) ? value.join(", ") : "");

/** A list of plain names in one line, separated by commas. */
export function NamesControl({ id, value, onChange, field }: ControlProps) {
  const { readOnly } = useScope();
  const [typed, setTyped] = useState<string | null>(null);
  return (
    <input
      id={id}
      value={typed ?? written(value)}
      placeholder={field.placeholder || "names, separated by commas"}
      readOnly={readOnly}
      onChange={(event) => {
        setTyped(event.target.value);
        const names = event.target.value
          .split(",")
          .map((name) => name.trim())
          .filter(Boolean);
        onChange(names.length ? names : undefined);
      }}
      onBlur={() => setTyped(null)}
    />
  );
}
