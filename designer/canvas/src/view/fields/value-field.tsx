import { type ComponentType, useEffect, useId, useRef } from "react";
import { isExpression, isSecret } from "../../core/equal.ts";
import { fromPython } from "../../core/python.ts";
import { asExpression, expressionOf, firstValue, sourceOf } from "../../core/schema.ts";
import type { Json, Problem } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { Icon } from "../icon.tsx";
import { useChosen } from "../use-store.ts";
import { CodeInput } from "./code-input.tsx";
import { AssigneesControl, ListControl, MapControl, ObjectControl } from "./composite.tsx";
import { ExpressionInput } from "./expression.tsx";
import { ArgumentsControl, FunctionControl } from "./function.tsx";
import { NamesControl } from "./names.tsx";
import { useScope } from "./scope.ts";
import {
  ChoiceControl,
  DurationControl,
  JsonControl,
  LongTextControl,
  NumberControl,
  TextControl,
  ToggleControl,
} from "./simple.tsx";
import type { ControlProps, RowProps } from "./types.ts";
import { WorkflowControl } from "./workflow.tsx";

function AnyControl(props: ControlProps) {
  const simple = props.value === undefined || typeof props.value === "string";
  return simple ? <TextControl {...props} /> : <JsonControl {...props} />;
}

function CodeControl({ id, value, onChange, field }: ControlProps) {
  const text = typeof value === "string" ? value : "";
  return (
    <CodeInput
      id={id}
      value={text}
      rows={Math.max(8, Math.min(24, text.split("\n").length + 1))}
      placeholder={field.placeholder}
      onChange={(next) => onChange(next === "" && !field.required ? undefined : next)}
    />
  );
}

const CONTROLS: Record<string, ComponentType<ControlProps>> = {
  text: TextControl,
  long_text: LongTextControl,
  code: CodeControl,
  number: NumberControl,
  toggle: ToggleControl,
  choice: ChoiceControl,
  duration: DurationControl,
  map: MapControl,
  list: ListControl,
  json: JsonControl,
  any: AnyControl,
  names: NamesControl,
  cases: ListControl,
  fields: ListControl,
  outcomes: ListControl,
  assignees: AssigneesControl,
  function: FunctionControl,
  workflow: WorkflowControl,
  object: ObjectControl,
};

/** Controls that fill the row below their label; the others are small forms with fields of their own. */
const COMPOSITE = new Set(["map", "list", "cases", "fields", "outcomes", "assignees", "object", "arguments"]);

function Literal(props: ControlProps & { functionName: string | null }) {
  if (props.field.widget === "arguments") return <ArgumentsControl {...props} />;
  const Control = CONTROLS[props.field.widget] ?? JsonControl;
  return <Control {...props} />;
}

function SwitchKind({
  value,
  field,
  onChange,
  describedBy,
}: Pick<RowProps, "value" | "field" | "onChange"> & { describedBy: string }) {
  const { readOnly } = useScope();
  const formula = isExpression(value);
  const settled = field.widget === "condition" && sourceOf(value, field) !== null;
  if (!field.expression || readOnly || settled) return null;
  const toggle = (): void => {
    if (isExpression(value)) {
      const literal = fromPython(value.$);
      onChange(literal ?? (field.required ? firstValue(field.schema, field.schema) : undefined));
    } else onChange(asExpression(value, field));
  };
  const label = formula ? "Use a fixed value" : "Use an expression";
  return (
    <button
      type="button"
      className="switch-kind"
      aria-pressed={formula}
      aria-label={label}
      aria-describedby={describedBy}
      title={label}
      onClick={toggle}
    >
      <Icon name="variable" size={12} />
    </button>
  );
}

/** Only a hint that reads as an expression helps somebody who writes one. */
const expressionHint = (field: RowProps["field"]): string =>
  /^(input|steps|item|last|turn|index|join|event)\b/.test(field.placeholder) ? field.placeholder : "";

const concerns = (problem: Problem, path: string, leaf: boolean): boolean =>
  problem.field === path || (leaf && Boolean(problem.field?.startsWith(`${path}.`)));

/** A label, a control that is literal or expression, the help, and what is wrong with this very field. */
export function FieldRow(props: RowProps & { functionName?: string | null }) {
  const { field, value, path, bare = false, onChange } = props;
  const { problems } = useScope();
  const designer = useDesigner();
  const id = useId();
  const row = useRef<HTMLDivElement>(null);
  const wanted = useChosen(designer.screen, (screen) => screen.wantedField);
  const source = sourceOf(value, field);
  const formula = source !== null;
  const composite = !formula && COMPOSITE.has(field.widget);
  const mine = problems.filter((problem) => concerns(problem, path, !composite));
  useEffect(() => {
    const target = wanted?.field;
    if (!target || (target !== path && !(target.startsWith(`${path}.`) && !composite))) return;
    row.current?.scrollIntoView({ block: "center" });
    row.current?.querySelector<HTMLElement>("input, textarea, select")?.focus();
  }, [wanted, path, composite]);

  const control = formula ? (
    <ExpressionInput
      id={id}
      source={source}
      placeholder={expressionHint(field)}
      onChange={(next) => onChange(expressionOf(next, field))}
    />
  ) : isSecret(value) ? (
    <input
      id={id}
      value={value.$secret}
      aria-description="Name of a secret"
      onChange={(event) => onChange({ $secret: event.target.value } as Json)}
    />
  ) : (
    <Literal {...props} functionName={props.functionName ?? null} id={id} Row={FieldRow} />
  );
  const toggle = field.widget === "toggle" && !formula;
  return (
    <div
      ref={row}
      className={`field ${bare ? "field-bare" : ""} ${toggle ? "field-toggle" : ""} ${mine.length ? "has-problem" : ""} ${formula ? "is-formula" : ""}`}
      data-path={path}
    >
      <div className="field-top">
        {composite ? (
          <span className="field-label" id={`${id}-label`}>
            {field.label}
          </span>
        ) : (
          <label id={`${id}-label`} className={bare ? "visually-hidden" : "field-label"} htmlFor={id}>
            {field.label}
            {field.required && field.default === undefined && !bare && (
              <span className="required" title="Required" aria-hidden="true" />
            )}
          </label>
        )}
        {isSecret(value) && <span className="tag">secret</span>}
        <SwitchKind value={value} field={field} onChange={onChange} describedBy={`${id}-label`} />
      </div>
      {composite ? (
        // biome-ignore lint/a11y/useSemanticElements: a fieldset cannot be laid out as a grid everywhere
        <div role="group" aria-labelledby={`${id}-label`}>
          {control}
        </div>
      ) : (
        <div className="field-control">{control}</div>
      )}
      {field.help && !bare && <p className="field-help">{field.help}</p>}
      {mine.map((problem) => (
        <p className="field-problem" key={`${problem.code}:${problem.message}`}>
          {problem.message}
        </p>
      ))}
    </div>
  );
}
