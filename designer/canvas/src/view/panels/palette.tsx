import { useState } from "react";
import { found } from "../../core/search.ts";
import type { Group, StepKind } from "../../core/types.ts";
import { KIND_TYPE } from "../canvas/drop.ts";
import { useDesigner } from "../designer.ts";
import { Icon } from "../icon.tsx";
import { addFromPalette } from "../steps.ts";

export const GROUPS: { group: Group; label: string }[] = [
  { group: "do", label: "Do" },
  { group: "flow", label: "Flow" },
  { group: "wait", label: "Wait" },
  { group: "tell", label: "Tell" },
];

export const kindTexts = (kind: StepKind): string[] => [kind.name, kind.kind, kind.description];

function Entry({ kind }: { kind: StepKind }) {
  const designer = useDesigner();
  return (
    <li>
      <button
        type="button"
        className={`palette-entry step-${kind.group}`}
        draggable
        title={kind.description}
        onDragStart={(event) => {
          event.dataTransfer.setData(KIND_TYPE, kind.kind);
          event.dataTransfer.effectAllowed = "copy";
        }}
        onClick={() => addFromPalette(designer, kind)}
      >
        <span className="step-icon">
          <Icon name={kind.icon} size={14} />
        </span>
        <span className="palette-name">{kind.name}</span>
      </button>
    </li>
  );
}

/** All step kinds by group: drag one onto the canvas, or click (Enter) to add it after the selected step. */
export function Palette() {
  const { catalogue } = useDesigner();
  const [query, setQuery] = useState("");
  const kinds = found(catalogue.kinds, query, kindTexts);
  return (
    <nav className="palette" aria-label="Step kinds" data-panel="palette">
      <div className="search">
        <Icon name="search" size={14} />
        <input
          type="search"
          data-first
          placeholder="Search steps"
          aria-label="Search steps"
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
      </div>
      <div className="palette-groups">
        {GROUPS.map(({ group, label }) => {
          const members = kinds.filter((kind) => kind.group === group);
          if (!members.length) return null;
          return (
            <section key={group} aria-label={label}>
              <h2>{label}</h2>
              <ul>
                {members.map((kind) => (
                  <Entry key={kind.kind} kind={kind} />
                ))}
              </ul>
            </section>
          );
        })}
        {!kinds.length && <p className="quiet">No step kind matches “{query}”.</p>}
      </div>
    </nav>
  );
}
