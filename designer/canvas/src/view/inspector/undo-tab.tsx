import { useMemo } from "react";
import { editStep } from "../../core/edits.ts";
import type { Step, Undo } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { FormScope, useScope } from "../fields/scope.ts";
import { FieldRow } from "../fields/value-field.tsx";
import { Icon } from "../icon.tsx";
import { ConfigForm } from "./config-form.tsx";
import { plainField, Section } from "./section.tsx";
import { UndoPlanView } from "./undo-plan.tsx";

const TOLERANT = plainField("tolerant", "Also when nobody knows whether the step acted", "toggle", {
  default: false,
  help: "A lost worker leaves that open. On: the undo runs anyway, so it must bear that there is nothing to undo. Off: an operator decides.",
});

/** The counter-action of a step: any kind that does something, with a form of its own. */
export function UndoTab({ step }: { step: Step }) {
  const designer = useDesigner();
  const kinds = designer.catalogue.kinds.filter((kind) => kind.group === "do");
  const scope = useScope();
  const inner = useMemo(() => ({ ...scope, undo: true }), [scope]);
  const undo = step.undo ?? null;
  const kind = undo ? designer.kindOf(undo.kind) : undefined;
  const set = (next: Undo | undefined): void => {
    designer.run((doc) => editStep(doc, step.key, { undo: next } as Partial<Step>, `undo:${step.key}`));
  };
  return (
    <FormScope.Provider value={inner}>
      <Section
        title="How to take this back"
        help="Runs when the run is undone: by itself after a failure where the workflow says so, or when an operator asks. Besides the usual, expressions here read output (what this step gave) and error."
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
        {undo && (
          <FieldRow
            field={TOLERANT}
            root={{}}
            path="undo.tolerant"
            value={undo.tolerant}
            onChange={(value) => {
              const { tolerant: _, ...rest } = undo;
              set(value === true ? { ...rest, tolerant: true } : rest);
            }}
          />
        )}
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
      <UndoPlanView step={step.key} />
    </FormScope.Provider>
  );
}
