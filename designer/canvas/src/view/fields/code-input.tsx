import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import { type Completion, complete } from "../../core/completion.ts";
import type { JsonObject } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { useScope } from "./scope.ts";

interface Props {
  id: string;
  value: string;
  onChange(text: string): void;
  rows: number;
  placeholder?: string;
  wrong?: boolean;
  label?: string;
}

/** What can be read here, and how to look again: the drawing may have got new connections since. */
function useRoots(step: string | null, undo: boolean): [JsonObject, () => void] {
  const designer = useDesigner();
  const [roots, setRoots] = useState<JsonObject>({});
  const [revision, setRevision] = useState(designer.sync.revision);
  useEffect(() => {
    let wanted = true;
    void designer.roots(step, undo, revision).then((found) => wanted && setRoots(found));
    return () => {
      wanted = false;
    };
  }, [designer, step, undo, revision]);
  return [roots, () => setRevision(designer.sync.revision)];
}

/** A text area for Python with completion from the declared inputs and the last run's data. */
export function CodeInput({ id, value, onChange, rows, placeholder, wrong = false, label }: Props) {
  const { step, readOnly, undo = false } = useScope();
  const [roots, look] = useRoots(step, undo);
  /** The text before the caret while completions are wanted: they come, too, when what can be read comes later. */
  const [typed, setTyped] = useState<string | null>(null);
  const offer: Completion | null = typed === null ? null : complete(typed, roots);
  const [at, setAt] = useState(0);
  const area = useRef<HTMLTextAreaElement>(null);
  const list = useId();

  const accept = (index: number): void => {
    const chosen = offer?.suggestions[index];
    const box = area.current;
    if (!offer || !chosen || !box) return;
    const caret = offer.start + chosen.text.length;
    onChange(value.slice(0, offer.start) + chosen.text + value.slice(box.selectionEnd));
    setTyped(null);
    requestAnimationFrame(() => box.setSelectionRange(caret, caret));
  };

  const onKey = (event: KeyboardEvent): void => {
    if (!offer) {
      if (event.key === " " && event.ctrlKey && area.current) {
        setTyped(value.slice(0, area.current.selectionEnd));
        event.preventDefault();
      }
      return;
    }
    const last = offer.suggestions.length - 1;
    if (event.key === "ArrowDown") setAt(Math.min(at + 1, last));
    else if (event.key === "ArrowUp") setAt(Math.max(at - 1, 0));
    else if (event.key === "Enter" || event.key === "Tab") accept(at);
    else if (event.key === "Escape") setTyped(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div className="code-input">
      <textarea
        id={id}
        ref={area}
        className={`code ${wrong ? "is-wrong" : ""}`}
        rows={rows}
        spellCheck={false}
        autoComplete="off"
        autoCapitalize="off"
        aria-label={label}
        aria-invalid={wrong}
        aria-autocomplete="list"
        aria-controls={offer ? list : undefined}
        aria-activedescendant={offer ? `${list}-${at}` : undefined}
        value={value}
        placeholder={placeholder}
        readOnly={readOnly}
        onChange={(event) => {
          onChange(event.target.value);
          setTyped(event.target.value.slice(0, event.target.selectionEnd));
          setAt(0);
        }}
        onKeyDown={onKey}
        onFocus={look}
        onBlur={() => setTyped(null)}
      />
      {offer && (
        <div id={list} role="listbox" className="completions raised" aria-label="Completions" tabIndex={-1}>
          {offer.suggestions.map((suggestion, index) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the text area handles the keys
            <div
              key={suggestion.text}
              id={`${list}-${index}`}
              role="option"
              tabIndex={-1}
              aria-selected={index === at}
              className={index === at ? "is-current" : ""}
              onPointerDown={(event) => event.preventDefault()}
              onClick={() => accept(index)}
            >
              <code>{suggestion.text}</code>
              <small>{suggestion.detail}</small>
            </div>
          ))}
        </div>
      )}
    </div>
  );
}
