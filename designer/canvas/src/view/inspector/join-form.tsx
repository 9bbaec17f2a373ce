import { editJoin } from "../../core/edits.ts";
import type { Join, Step } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { FieldRow } from "../fields/value-field.tsx";
import { plainField, Section } from "./section.tsx";

const JOIN_FIELDS = [
  plainField("mode", "Goes on when", "choice", {
    choices: ["all", "any", "quorum"],
    names: { all: "All have arrived", any: "The first has arrived", quorum: "Enough have arrived" },
    default: "all",
    required: true,
  }),
  plainField("quorum", "How many branches", "number"),
  plainField("deadline", "Waits at most", "duration", {
    help: "Counted from the first branch that arrives, fails or is skipped; steps that may hang have a time-out of their own.",
  }),
  plainField("on_deadline", "After that", "choice", {
    choices: ["proceed", "fail"],
    names: { proceed: "Go on with what arrived", fail: "Fail" },
    default: "fail",
    required: true,
  }),
  plainField("on_branch_failure", "When a branch fails", "choice", {
    choices: ["abort", "finish", "continue"],
    names: {
      abort: "Stop the others and fail",
      finish: "Let the others finish, then fail",
      continue: "Go on with what arrived",
    },
    default: "finish",
    required: true,
  }),
  plainField("tolerate", "Failures that do not count", "object", {
    help: "A number of branches, or a share of them in percent.",
    schema: {
      type: "object",
      properties: {
        count: { type: "integer", title: "Number", "x-ui": { expression: false } },
        percent: { type: "number", title: "Percent", "x-ui": { expression: false } },
      },
    },
  }),
  plainField("late", "Branches that come late", "choice", {
    choices: ["ignore", "cancel"],
    names: { ignore: "Run on, and are ignored", cancel: "Are cancelled" },
    default: "ignore",
    required: true,
  }),
];

/** Whether a setting can change anything: the others are shown only where somebody has set them. */
function matters(join: Join, name: string): boolean {
  const all = (join.mode ?? "all") === "all";
  if (name === "quorum") return join.mode === "quorum";
  if (name === "on_deadline") return Boolean(join.deadline);
  if (name === "tolerate") return all && join.on_branch_failure !== "continue";
  return name !== "late" || !all || Boolean(join.deadline);
}

/** How branches meet at a step with several incoming connections. */
export function JoinForm({ step, branches }: { step: Step; branches: number }) {
  const designer = useDesigner();
  const join: Join = step.join ?? {};
  const read = branches > 1 ? " Expressions of this step read what became of them as join." : "";
  const shown = JOIN_FIELDS.filter(({ name }) => {
    return join[name as keyof Join] !== undefined || matters(join, name);
  });
  return (
    <Section title="Where branches meet" help={`${branches} branches arrive here.${read}`}>
      {shown.map((field) => (
        <FieldRow
          key={field.name}
          field={field}
          root={{}}
          path={`join.${field.name}`}
          value={join[field.name as keyof Join]}
          onChange={(value) => {
            const { [field.name as keyof Join]: _, ...rest } = join;
            const next = value === undefined ? rest : ({ ...rest, [field.name]: value } as Join);
            designer.run((doc) => editJoin(doc, step.key, Object.keys(next).length ? next : undefined));
          }}
        />
      ))}
    </Section>
  );
}
