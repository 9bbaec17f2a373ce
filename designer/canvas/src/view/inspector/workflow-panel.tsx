import { useMemo } from "react";
import { editWorkflow } from "../../core/edits.ts";
import type { Document, Json, Settings } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { FormScope } from "../fields/scope.ts";
import { FieldRow } from "../fields/value-field.tsx";
import { useStore } from "../use-store.ts";
import { InputSchema } from "./input-schema.tsx";
import { plainField, Section } from "./section.tsx";

const SETTINGS = [
  plainField("deadline", "Deadline of a run", "duration", { placeholder: "none" }),
  plainField("on_failure", "When a run fails", "choice", {
    choices: ["fail", "undo"],
    default: "fail",
    required: true,
    help: "undo takes back what was done, in reverse order. It is stored; this release does not execute it yet.",
  }),
];

const OUTPUT = plainField("output", "Output of a run", "json", {
  expression: true,
  help: "What the run answers with, usually an expression over steps.",
  placeholder: "null",
});

function SettingsForm({ settings }: { settings: Settings }) {
  const designer = useDesigner();
  return SETTINGS.map((field) => (
    <FieldRow
      key={field.name}
      field={field}
      root={{}}
      path={`settings.${field.name}`}
      value={settings[field.name as keyof Settings] ?? undefined}
      onChange={(value) => {
        const { [field.name as keyof Settings]: _, ...rest } = settings;
        const next = (value === undefined ? rest : { ...rest, [field.name]: value }) as Settings;
        designer.run((doc) => editWorkflow(doc, { settings: next }, "settings"));
      }}
    />
  ));
}

/** What belongs to the whole workflow; shown while no step is selected. */
export function WorkflowPanel() {
  const designer = useDesigner();
  const { document } = useStore(designer.editor);
  const { problems } = useStore(designer.found);
  const scope = useMemo(
    () => ({
      step: null,
      problems: problems.filter((problem) => !problem.step && !problem.edge),
      readOnly: designer.editor.readOnly,
      intent: "workflow",
    }),
    [problems, designer],
  );
  const output = (value: Json | undefined): void => {
    designer.run((doc) => editWorkflow(doc, { output: value ?? null } as Partial<Document>, "output"));
  };
  return (
    <FormScope.Provider value={scope}>
      <div className="panel-title">
        <h2>Workflow</h2>
        <small>
          {document.steps.length} steps, {document.edges.length} connections
        </small>
      </div>
      <div className="tab-panel" role="tabpanel" aria-label="Workflow settings">
        <InputSchema input={document.input} />
        <Section title="Output">
          <FieldRow
            field={OUTPUT}
            root={{}}
            path="output"
            value={document.output ?? undefined}
            onChange={output}
          />
        </Section>
        <Section title="Settings">
          <SettingsForm settings={document.settings} />
        </Section>
      </div>
    </FormScope.Provider>
  );
}
