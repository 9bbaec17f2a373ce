import { useMemo } from "react";
import { editWorkflow } from "../../core/edits.ts";
import { isJsonObject } from "../../core/equal.ts";
import { PATTERN_WORDS, regionId, regionName } from "../../core/regions.ts";
import type { Document, Json, JsonObject, Settings } from "../../core/types.ts";
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
    names: { fail: "It ends as failed", undo: "What was done is undone" },
    default: "fail",
    required: true,
    help: "An undo takes back what was done, in reverse order.",
  }),
  plainField("priority", "Priority", "number", {
    default: 0,
    help: "Runs with a higher number go first when workers are short.",
  }),
];

const CONCURRENCY = [
  plainField("limit", "Runs at once", "number", { placeholder: "no limit", schema: { minimum: 1 } }),
  plainField("key", "For each", "text", {
    expression: true,
    placeholder: "the whole workflow",
    help: "An expression over the input: the limit then holds for each of its values by itself.",
  }),
  plainField("on_limit", "When it is reached", "choice", {
    choices: ["queue", "replace", "refuse"],
    names: {
      queue: "The new run waits in line",
      replace: "The oldest open run is cancelled",
      refuse: "The new run is refused",
    },
    default: "queue",
    required: true,
  }),
];

const OUTPUT = plainField("output", "Output of a run", "json", {
  expression: true,
  help: "What the run answers with, usually an expression over steps.",
  placeholder: "null",
});

const changed = (settings: JsonObject, name: string, value: Json | undefined): JsonObject => {
  const { [name]: _, ...rest } = settings;
  return value === undefined ? rest : { ...rest, [name]: value };
};

/** The settings of the workflow; a limit of runs at once shows its details once there is one. */
function SettingsForm({ settings }: { settings: Settings }) {
  const designer = useDesigner();
  const plain = settings as JsonObject;
  const concurrency = isJsonObject(plain.concurrency) ? plain.concurrency : {};
  const save = (next: JsonObject): void => {
    designer.run((doc) => editWorkflow(doc, { settings: next as Settings }, "settings"));
  };
  const limited = (name: string, value: Json | undefined): void => {
    const next = changed(concurrency, name, value);
    save(changed(plain, "concurrency", next.limit === undefined ? undefined : next));
  };
  return (
    <>
      <Section title="Settings">
        {SETTINGS.map((field) => (
          <FieldRow
            key={field.name}
            field={field}
            root={{}}
            path={`settings.${field.name}`}
            value={plain[field.name]}
            onChange={(value) => save(changed(plain, field.name, value))}
          />
        ))}
      </Section>
      <Section title="Concurrency">
        {CONCURRENCY.filter((field) => field.name === "limit" || concurrency.limit !== undefined).map(
          (field) => (
            <FieldRow
              key={field.name}
              field={field}
              root={{}}
              path={`settings.concurrency.${field.name}`}
              value={concurrency[field.name]}
              onChange={(value) => limited(field.name, value)}
            />
          ),
        )}
      </Section>
    </>
  );
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
        <SettingsForm settings={document.settings} />
        {document.regions.length > 0 && (
          <Section title="Regions">
            <ul className="connections">
              {document.regions.map((region) => (
                <li key={region.key}>
                  <button type="button" className="link" onClick={() => designer.show(regionId(region.key))}>
                    {regionName(region)}
                  </button>
                  <small>{PATTERN_WORDS[region.pattern] ?? region.pattern}</small>
                </li>
              ))}
            </ul>
          </Section>
        )}
      </div>
    </FormScope.Provider>
  );
}
