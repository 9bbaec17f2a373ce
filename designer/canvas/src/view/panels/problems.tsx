import { useState } from "react";
import { command } from "../../core/command.ts";
import { edgeId, findStep, makeEdge } from "../../core/graph.ts";
import { patched } from "../../core/patch.ts";
import type { Problem } from "../../core/types.ts";
import { type Designer, useDesigner } from "../designer.ts";
import { Icon } from "../icon.tsx";
import { useStore } from "../use-store.ts";

/** The fix was made for the document the server looked at; as a delta it still fits if the person typed on. */
function applyFix(designer: Designer, problem: Problem): void {
  const { document } = designer.found.get();
  const fix = problem.fix;
  if (!fix || !document) return;
  try {
    const fixed = patched(document, fix.patch);
    const made = command(fix.label, document, fixed);
    if (made) designer.run(() => made);
  } catch (error) {
    designer.say((error as Error).message, "refused");
  }
}

function show(designer: Designer, problem: Problem): void {
  designer.screen.update({ outline: false });
  if (problem.edge) {
    const { from, port, to } = problem.edge;
    designer.editor.select([], [edgeId(makeEdge(from, port, to))]);
    designer.canvas?.centre(from);
  } else if (problem.step) designer.show(problem.step, problem.field);
  else {
    designer.editor.select([]);
    if (problem.field) designer.wantField(problem.field);
  }
}

function Row({ problem }: { problem: Problem }) {
  const designer = useDesigner();
  const { document } = useStore(designer.editor);
  const spot = problem.step ?? problem.edge?.from ?? null;
  const name = spot ? findStep(document, spot)?.name || spot : "Workflow";
  return (
    <li className={`problem is-${problem.severity}`}>
      <button type="button" className="problem-spot" onClick={() => show(designer, problem)}>
        <Icon
          name={problem.severity === "error" ? "circle-x" : "triangle-alert"}
          size={14}
          label={problem.severity === "error" ? "Error" : "Warning"}
        />
        <span className="problem-name">{name}</span>
        <span className="problem-text">{problem.message}</span>
      </button>
      {problem.fix && !designer.editor.readOnly && (
        <button type="button" className="button small" onClick={() => applyFix(designer, problem)}>
          {problem.fix.label}
        </button>
      )}
    </li>
  );
}

const idOf = ({ code, step, edge, field, message }: Problem): string =>
  [code, step, edge && edgeId(makeEdge(edge.from, edge.port, edge.to)), field, message].join("|");

const counted = (count: number, word: string): string => `${count} ${word}${count === 1 ? "" : "s"}`;

/** Live list of what is wrong; every line leads to its spot and, where there is one, offers the fix. */
export function Problems() {
  const designer = useDesigner();
  const { problems, checking } = useStore(designer.found);
  // On a narrow screen the list would hide the drawing, so there it waits to be opened.
  const [open, setOpen] = useState(() => matchMedia("(min-width: 720px)").matches);
  const errors = problems.filter((problem) => problem.severity === "error").length;
  const warnings = problems.length - errors;
  const words = [errors && counted(errors, "error"), warnings && counted(warnings, "warning")]
    .filter(Boolean)
    .join(", ");
  const [tone, icon] = errors
    ? ["is-error", "circle-x"]
    : warnings
      ? ["is-warning", "triangle-alert"]
      : ["is-fine", "circle-check"];
  return (
    <section className="problems raised" aria-label="Problems" data-panel="problems">
      <button
        type="button"
        className={`problems-head ${tone}`}
        aria-expanded={open && problems.length > 0}
        disabled={!problems.length}
        onClick={() => setOpen(!open)}
      >
        <Icon name={icon as string} size={14} />
        <span role="status">{words || "No problems"}</span>
        <span className={`checking ${checking ? "is-on" : ""}`} aria-hidden="true" />
        {problems.length > 0 && <Icon name={open ? "chevron-down" : "chevron-up"} size={14} />}
      </button>
      {open && problems.length > 0 && (
        <ul>
          {problems.map((problem) => (
            <Row key={idOf(problem)} problem={problem} />
          ))}
        </ul>
      )}
    </section>
  );
}
