import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";

interface Props<T> {
  label: string;
  placeholder: string;
  empty: string;
  items(query: string): T[];
  idOf(item: T): string;
  row(item: T): ReactNode;
  onPick(item: T): void;
  onCancel(): void;
}

/** Stable, so that React calls it once: other fields of a dialog keep the focus. A modal asks for `autofocus`. */
const focusFirst = (input: HTMLInputElement | null): void => {
  if (!input) return;
  input.autofocus = true;
  input.focus({ preventScroll: true });
};

/** A search field over a list, all by keyboard: arrows choose, Enter picks, Escape leaves. */
export function SearchList<T>({ label, placeholder, empty, items, idOf, row, onPick, onCancel }: Props<T>) {
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const found = items(query);
  const current = Math.min(at, found.length - 1);
  useEffect(() => {
    list.current?.querySelector(`[data-index="${current}"]`)?.scrollIntoView({ block: "nearest" });
  }, [current]);
  const onKey = (event: KeyboardEvent): void => {
    event.stopPropagation();
    const item = found[current];
    if (event.key === "ArrowDown") setAt(Math.min(current + 1, found.length - 1));
    else if (event.key === "ArrowUp") setAt(Math.max(current - 1, 0));
    else if ((event.key === "Enter" || event.key === "Tab") && item) onPick(item);
    else if (event.key === "Escape") onCancel();
    else return;
    event.preventDefault();
  };
  return (
    <div className="search-list">
      <input
        type="text"
        role="combobox"
        aria-label={label}
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={found[current] ? `${id}-${current}` : undefined}
        placeholder={placeholder}
        value={query}
        ref={focusFirst}
        onChange={(event) => {
          setQuery(event.target.value);
          setAt(0);
        }}
        onKeyDown={onKey}
      />
      <div id={id} role="listbox" aria-label={label} ref={list} className="search-rows" tabIndex={-1}>
        {found.map((item, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are handled by the search field
          // biome-ignore lint/a11y/useFocusableInteractive: focus stays in the search field, see aria-activedescendant
          <div
            key={idOf(item)}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === current}
            data-index={index}
            className="search-row"
            onPointerMove={() => setAt(index)}
            onClick={() => onPick(item)}
          >
            {row(item)}
          </div>
        ))}
        {!found.length && <p className="quiet">{empty}</p>}
      </div>
    </div>
  );
}
