import { useState } from "react";
import { useDesigner } from "../designer.ts";
import { importText } from "../files.ts";
import { DialogFrame } from "./frame.tsx";

export function ImportDialog({ onClose }: { onClose(): void }) {
  const designer = useDesigner();
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  return (
    <DialogFrame title="Import JSON" onClose={onClose}>
      <form
        className="dialog-body"
        onSubmit={(event) => {
          event.preventDefault();
          const answer = importText(designer, text);
          if (answer) setWrong(answer);
          else onClose();
        }}
      >
        <p className="quiet">The drawing is replaced by the document; one undo brings it back.</p>
        <label className="field">
          <span className="field-label">File</span>
          <input
            type="file"
            accept=".json,application/json"
            onChange={(event) => void event.target.files?.[0]?.text().then(setText)}
          />
        </label>
        <label className="field">
          <span className="field-label">or its text</span>
          <textarea
            className="code"
            rows={10}
            spellCheck={false}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        </label>
        {wrong && (
          <p className="refusal" role="alert">
            {wrong}
          </p>
        )}
        <footer className="dialog-foot">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button primary" disabled={!text.trim()}>
            Import
          </button>
        </footer>
      </form>
    </DialogFrame>
  );
}
