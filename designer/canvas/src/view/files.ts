/** Export and import of the whole document. */
import { fromText } from "../core/clipboard.ts";
import { replaceAll } from "../core/edits.ts";
import type { Designer } from "./designer.ts";

export function exportDocument(designer: Designer): void {
  const text = JSON.stringify(designer.editor.document, null, 2);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `${designer.config.workflow}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** Replaces the drawing by the document in the text, as one undo step. Answers what is wrong, or null. */
export function importText(designer: Designer, text: string): string | null {
  const parsed = fromText(text);
  if (!parsed.ok) return parsed.why;
  designer.run((doc) =>
    replaceAll(doc, { ...parsed.document, name: parsed.document.name || doc.name }, "Import"),
  );
  designer.say(`Imported ${parsed.document.steps.length} steps. Undo brings the old drawing back.`, "done");
  requestAnimationFrame(() => designer.canvas?.fit());
  return null;
}
