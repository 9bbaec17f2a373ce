import { editStep } from "../../core/edits.ts";
import type { Step, Undo } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { FieldRow } from "../fields/value-field.tsx";
import { Icon } from "../icon.tsx";
import { ConfigForm } from "./config-form.tsx";
import { plainField, Section } from "./section.tsx";

/** The counter-action of a step: any kind that does something, with a form of its own. */
export function UndoTab({ step }: { step: Step }) {
  const designer = useDesigner();
  const kinds = designer.catalogue.kinds.filter((kind) => kind.group === "do");
  const undo = step.undo ?? null;
  const kind = undo ? designer.kindOf(undo.kind) : undefined;
  const set = (next: Undo | undefined): void => {
    designer.run((doc) => editStep(doc, step.key, { undo: next } as Partial<Step>, `undo:${step.key}`));
  };
  return (
    <Section
      title="How to take this back"
      help="Besides the usual, expressions here read output (what this step gave) and error. It is kept with the drawing; this release does not execute it yet."
    >
      <FieldRow
        field={plainField("kind", "Undo with", "choice", {
          choices: kinds.map((item) => item.kind),
          names: Object.fromEntries(kinds.map((item) => [item.kind, item.name])),
        })}
        root={{}}
        path="undo.kind"
        value={undo?.kind}
        onChange={(value) => set(typeof value === "string" ? { kind: value, config: {} } : undefined)}
      />
      {undo && kind && (
        <ConfigForm
          kind={kind}
          config={undo.config}
          path="undo.config"
          onChange={(config) => set({ ...undo, config })}
        />
      )}
      {undo && !kind && <p className="field-problem">No step kind "{undo.kind}" is registered here.</p>}
      {undo && !designer.editor.readOnly && (
        <button type="button" className="button small" onClick={() => set(undefined)}>
          <Icon name="trash-2" size={12} /> Remove the undo
        </button>
      )}
    </Section>
  );
}
