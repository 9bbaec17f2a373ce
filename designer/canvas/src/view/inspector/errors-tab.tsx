import { editStep } from "../../core/edits.ts";
import { failurePorts, outgoing, portOf, portsOf } from "../../core/graph.ts";
import type { Retry, Step } from "../../core/types.ts";
import { portTitle } from "../canvas/ports.tsx";
import { useDesigner } from "../designer.ts";
import { FieldRow } from "../fields/value-field.tsx";
import { Icon } from "../icon.tsx";
import { pickAfter } from "../steps.ts";
import { plainField, Section } from "./section.tsx";

const RETRY_FIELDS = [
  plainField("attempts", "Attempts, the first included", "number", { default: 1 }),
  plainField("first", "First wait", "duration", { default: "PT1S" }),
  plainField("factor", "Each wait times", "number", { default: 2 }),
  plainField("cap", "Longest wait", "duration", { default: "PT1M" }),
  plainField("jitter", "Spread", "choice", { choices: ["full", "none"], default: "full", required: true }),
  plainField("budget", "Give up after", "duration", { placeholder: "no limit" }),
];

const LIMITS = [
  plainField("timeout", "Time-out of one attempt", "duration", { placeholder: "the kind's own" }),
  plainField("queue", "Queue", "text", {
    placeholder: "default",
    help: "Workers that serve this queue take the step.",
  }),
];

function RetryForm({ step }: { step: Step }) {
  const designer = useDesigner();
  const retry: Retry = step.retry ?? {};
  const several = (retry.attempts ?? 1) > 1;
  return (
    <Section
      title="Retry"
      help="Passing errors are tried again; a business error goes to the error port at once."
    >
      {RETRY_FIELDS.filter((field) => field.name === "attempts" || several).map((field) => (
        <FieldRow
          key={field.name}
          field={field}
          root={{}}
          path={`retry.${field.name}`}
          value={(retry[field.name as keyof Retry] ?? undefined) as string | undefined}
          onChange={(value) => {
            const { [field.name as keyof Retry]: _, ...rest } = retry;
            const next = value === undefined ? rest : { ...rest, [field.name]: value };
            const fields = { retry: Object.keys(next).length ? (next as Retry) : undefined } as Partial<Step>;
            designer.run((doc) => editStep(doc, step.key, fields, `retry:${step.key}`));
          }}
        />
      ))}
    </Section>
  );
}

function FailurePorts({ step }: { step: Step }) {
  const designer = useDesigner();
  const { document } = designer.editor;
  const ports = failurePorts(portsOf(step, designer.kindOf(step.kind)));
  if (!ports.length) return null;
  const drawn = outgoing(document, step.key);
  return (
    <Section title="When it does not work">
      <ul className="connections">
        {ports.map((port) => {
          const names = drawn
            .filter((edge) => portOf(edge) === port)
            .map((edge) => document.steps.find((item) => item.key === edge.to)?.name ?? edge.to);
          return (
            <li key={port}>
              <span className={`port-dot port-${port}`} />
              <span>{portTitle(port)}</span>
              <small>
                {names.length
                  ? names.join(", ")
                  : port === "timeout"
                    ? "takes the error port"
                    : "the run fails"}
              </small>
              {!designer.editor.readOnly && (
                <button
                  type="button"
                  className="icon-button tiny"
                  aria-label={`Add a step ${portTitle(port)}`}
                  onClick={(event) => {
                    const box = event.currentTarget.getBoundingClientRect();
                    pickAfter(designer, step.key, port, [box.left - 308, box.top]);
                  }}
                >
                  <Icon name="plus" size={12} />
                </button>
              )}
            </li>
          );
        })}
      </ul>
    </Section>
  );
}

export function ErrorsTab({ step }: { step: Step }) {
  const designer = useDesigner();
  return (
    <>
      <FailurePorts step={step} />
      <RetryForm step={step} />
      <Section title="Limits">
        {LIMITS.map((field) => (
          <FieldRow
            key={field.name}
            field={field}
            root={{}}
            path={field.name}
            value={(field.name === "timeout" ? step.timeout : step.queue) ?? undefined}
            onChange={(value) => {
              const fields = { [field.name]: value } as Partial<Step>;
              designer.run((doc) => editStep(doc, step.key, fields, `${field.name}:${step.key}`));
            }}
          />
        ))}
      </Section>
    </>
  );
}
