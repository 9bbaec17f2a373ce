import { useEffect, useState } from "react";
import type { Preview } from "../../api/workflow.ts";
import { brief } from "../../core/completion.ts";
import { useDesigner } from "../designer.ts";
import { CodeInput } from "./code-input.tsx";
import { useScope } from "./scope.ts";

const LOOK_AFTER = 250;

/** The value an expression has right now; an older question is dropped when a newer one is asked. */
function usePreview(source: string, step: string | null, undo: boolean): Preview | null {
  const designer = useDesigner();
  const [preview, setPreview] = useState<Preview | null>(null);
  useEffect(() => {
    if (!source.trim()) {
      setPreview(null);
      return;
    }
    const asking = new AbortController();
    const timer = setTimeout(() => {
      designer.api.preview(source, step, undo, asking.signal).then(setPreview, (error: Error) => {
        if (error.name !== "AbortError") setPreview(null);
      });
    }, LOOK_AFTER);
    return () => {
      clearTimeout(timer);
      asking.abort();
    };
  }, [source, step, undo, designer]);
  return preview;
}

function said(preview: Preview): string {
  if ("error" in preview) return preview.error.message;
  return "unknown" in preview ? preview.unknown : `= ${brief(preview.value, 200)}`;
}

interface Props {
  id: string;
  source: string;
  placeholder?: string;
  onChange(source: string): void;
}

export function ExpressionInput({ id, source, placeholder, onChange }: Props) {
  const { step, undo = false } = useScope();
  const preview = usePreview(source, step, undo);
  const wrong = preview !== null && "error" in preview;
  return (
    <div className="expression">
      <CodeInput
        id={id}
        value={source}
        onChange={onChange}
        rows={1}
        placeholder={placeholder || "input.order.total > 100"}
        wrong={wrong}
      />
      {preview && (
        <output className={`preview ${wrong ? "is-wrong" : ""}`} htmlFor={id}>
          {said(preview)}
        </output>
      )}
    </div>
  );
}
