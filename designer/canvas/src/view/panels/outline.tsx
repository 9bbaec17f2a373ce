import { type CSSProperties, type KeyboardEvent, useMemo, useRef, useState } from "react";
import { remove, rename } from "../../core/edits.ts";
import { outlined } from "../../core/graph.ts";
import { isContainer } from "../../core/nesting.ts";
import { speaker } from "../../core/speech.ts";
import { summaryOf } from "../../core/summary.ts";
import type { Step } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { Icon } from "../icon.tsx";
import { useChosen, useStore } from "../use-store.ts";

interface ItemProps {
  step: Step;
  level: number;
  /** Of a container: whether it shows what it holds. */
  expanded: boolean | undefined;
  spoken: string;
  stop: boolean;
  selected: boolean;
  renaming: boolean;
  onRenamed(name: string | null): void;
  onFocus(): void;
}

function Item({ step, level, expanded, spoken, stop, selected, renaming, onRenamed, onFocus }: ItemProps) {
  const designer = useDesigner();
  const kind = designer.kindOf(step.kind);
  // The indentation shows what the spoken name says with "inside".
  const shown = spoken
    .split(", ")
    .slice(2)
    .filter((part) => !part.startsWith("inside "));
  return (
    <div
      role="treeitem"
      aria-level={level}
      aria-expanded={expanded}
      aria-selected={selected}
      tabIndex={stop ? 0 : -1}
      data-key={step.key}
      className={`outline-row ${step.disabled ? "is-disabled" : ""}`}
      style={{ "--level": level - 1 } as CSSProperties}
      onFocus={onFocus}
    >
      {expanded !== undefined && (
        // biome-ignore lint/a11y/noStaticElementInteractions: the keys Left and Right of the tree do the same
        // biome-ignore lint/a11y/useKeyWithClickEvents: as above
        <span className="outline-fold" onClick={() => designer.fold(step.key)}>
          <Icon name={expanded ? "chevron-down" : "chevron-right"} size={14} />
        </span>
      )}
      <span className={`step-icon step-${kind?.group ?? "unknown"}`}>
        <Icon name={kind?.icon ?? "circle-question-mark"} size={14} />
      </span>
      {renaming ? (
        <input
          defaultValue={step.name}
          aria-label="Name of the step"
          ref={focusOnce}
          onFocus={(event) => event.stopPropagation()}
          onBlur={(event) => onRenamed(event.target.value)}
          onKeyDown={(event) => {
            event.stopPropagation();
            if (event.key === "Enter") onRenamed(event.currentTarget.value);
            if (event.key === "Escape") onRenamed(null);
          }}
        />
      ) : (
        <strong>{step.name || step.key}</strong>
      )}
      <small>
        <span className="visually-hidden">{kind?.name ?? step.kind}, </span>
        {summaryOf(step, kind)}
      </small>
      {level > 1 && (
        <span className="visually-hidden">
          {spoken.split(", ").find((part) => part.startsWith("inside "))}
        </span>
      )}
      <small className="outline-links">{shown.join(" · ")}</small>
    </div>
  );
}

/** Stable, so that React calls it once and typing is not selected away. */
const focusOnce = (input: HTMLInputElement | null): void => {
  input?.focus();
  input?.select();
};

/** The same draft as a list in running order: everything by keyboard, everything spoken. */
export function Outline() {
  const designer = useDesigner();
  const { document, selected } = useStore(designer.editor);
  const found = useStore(designer.found);
  const collapsed = useChosen(designer.screen, (screen) => screen.collapsed);
  const rows = useMemo(() => outlined(document, collapsed), [document, collapsed]);
  const steps = rows.map(({ step }) => step);
  const speak = useMemo(
    () => speaker(document, designer.kindOf, (key) => found.byStep.get(key) ?? []),
    [document, found, designer],
  );
  const [renaming, setRenaming] = useState<string | null>(null);
  const list = useRef<HTMLDivElement>(null);
  const current = steps.find((step) => selected.has(step.key)) ?? steps[0];
  const readOnly = designer.editor.readOnly;
  const holdsSteps = (step: Step): boolean =>
    isContainer(step) && designer.frames.nesting.children(step.key).length > 0;

  const focus = (key: string | undefined): void => {
    if (key) list.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus();
  };
  const onKey = (event: KeyboardEvent): void => {
    if (!current || renaming) return;
    const at = steps.indexOf(current);
    const { nesting } = designer.frames;
    const holds = holdsSteps(current);
    const goTo = (index: number): void => focus(steps[Math.max(0, Math.min(index, steps.length - 1))]?.key);
    if (event.key === "ArrowDown") goTo(at + 1);
    else if (event.key === "ArrowUp") goTo(at - 1);
    else if (event.key === "ArrowRight" && holds) {
      if (collapsed.has(current.key)) designer.fold(current.key, false);
      else focus(steps[at + 1]?.key);
    } else if (event.key === "ArrowLeft") {
      if (holds && !collapsed.has(current.key)) designer.fold(current.key, true);
      else focus(nesting.parent(current.key) ?? undefined);
    } else if (event.key === "Home") goTo(0);
    else if (event.key === "End") goTo(steps.length - 1);
    else if (event.key === "Enter") designer.openInspector();
    else if (event.key === "F2" && !readOnly) setRenaming(current.key);
    else if (event.key === "Delete" && !readOnly) {
      const gone = nesting.whole(new Set([current.key]));
      const next = steps.slice(at).find((step) => !gone.has(step.key)) ?? steps[at - 1];
      designer.run((doc) => remove(doc, new Set([current.key]), event.ctrlKey || event.metaKey));
      requestAnimationFrame(() => focus(next?.key));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <section className="outline" aria-label="Outline" data-panel="outline">
      {!steps.length && <p className="quiet">No steps yet. Choose one in the palette on the left.</p>}
      <div role="tree" aria-label="Steps in running order" ref={list} onKeyDown={onKey} tabIndex={-1}>
        {rows.map(({ step, level }) => (
          <Item
            key={step.key}
            step={step}
            level={level}
            expanded={holdsSteps(step) ? !collapsed.has(step.key) : undefined}
            spoken={speak(step)}
            stop={step === current}
            selected={selected.has(step.key)}
            renaming={renaming === step.key}
            onFocus={() => designer.editor.select([step.key])}
            onRenamed={(name) => {
              setRenaming(null);
              if (name?.trim()) designer.run((doc) => rename(doc, step.key, name.trim()));
              requestAnimationFrame(() => focus([...designer.editor.get().selected][0]));
            }}
          />
        ))}
      </div>
      {steps.length > 0 && (
        <p className="outline-keys">
          <kbd>Enter</kbd> open <kbd>F2</kbd> rename <kbd>C</kbd> connect <kbd>D</kbd> disable <kbd>I</kbd>{" "}
          add inside <kbd>M</kbd> move into <kbd>Delete</kbd> delete
        </p>
      )}
    </section>
  );
}
