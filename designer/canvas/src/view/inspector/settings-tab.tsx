import { useState } from "react";
import { editStep, rename, renameKey, toggleDisabled } from "../../core/edits.ts";
import { mayRenameKey } from "../../core/rules.ts";
import type { Step } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { useScope } from "../fields/scope.ts";
import { FieldRow } from "../fields/value-field.tsx";
import { Icon } from "../icon.tsx";
import { ConfigForm } from "./config-form.tsx";
import { Body, Inside } from "./nesting-section.tsx";
import { plainField, Section } from "./section.tsx";

/** Renames when the person is done typing, because the key may follow the name through every expression. */
function NameField({ step }: { step: Step }) {
  const designer = useDesigner();
  const [typed, setTyped] = useState<string | null>(null);
  const done = (): void => {
    if (typed?.trim()) designer.run((doc) => rename(doc, step.key, typed.trim()));
    setTyped(null);
  };
  return (
    <label className="field">
      <span className="field-label">Name</span>
      <input
        value={typed ?? step.name}
        readOnly={designer.editor.readOnly}
        onChange={(event) => setTyped(event.target.value)}
        onBlur={done}
        onKeyDown={(event) => event.key === "Enter" && done()}
      />
    </label>
  );
}

function KeyField({ step }: { step: Step }) {
  const designer = useDesigner();
  const [typed, setTyped] = useState<string | null>(null);
  const answer = typed === null ? null : mayRenameKey(designer.editor.document, step.key, typed);
  const done = (): void => {
    if (typed !== null && typed !== step.key && answer?.ok)
      designer.run((doc) => renameKey(doc, step.key, typed));
    setTyped(null);
  };
  return (
    <label className="field">
      <span className="field-label">Key</span>
      <input
        className="code"
        value={typed ?? step.key}
        spellCheck={false}
        aria-invalid={answer?.ok === false}
        readOnly={designer.editor.readOnly}
        onChange={(event) => setTyped(event.target.value)}
        onBlur={done}
        onKeyDown={(event) => event.key === "Enter" && done()}
      />
      {answer?.ok === false ? (
        <span className="field-problem">{answer.why}</span>
      ) : (
        <span className="field-help">
          Expressions read <code>steps.{step.key}</code>. A new key is put into all of them.
        </span>
      )}
    </label>
  );
}

export function SettingsTab({ step }: { step: Step }) {
  const designer = useDesigner();
  const { readOnly } = useScope();
  const kind = designer.kindOf(step.kind);
  return (
    <>
      <div className="step-title">
        <span className={`step-icon step-${kind?.group ?? "unknown"}`}>
          <Icon name={kind?.icon ?? "circle-question-mark"} />
        </span>
        <span>
          <strong>{kind?.name ?? step.kind}</strong>
          <small>{kind?.description ?? "No such step kind is registered here."}</small>
        </span>
        {!readOnly && (
          <button
            type="button"
            className="icon-button"
            aria-pressed={Boolean(step.disabled)}
            aria-label={step.disabled ? "Enable this step" : "Disable this step"}
            title={step.disabled ? "Enable (D)" : "Disable (D)"}
            onClick={() => designer.run((doc) => toggleDisabled(doc, new Set([step.key])))}
          >
            <Icon name={step.disabled ? "power-off" : "power"} size={14} />
          </button>
        )}
      </div>
      <Inside step={step} />
      <NameField step={step} />
      {kind && (
        <ConfigForm
          kind={kind}
          config={step.config}
          path="config"
          onChange={(config) =>
            designer.run((doc) => editStep(doc, step.key, { config }, `config:${step.key}`))
          }
        />
      )}
      <Body step={step} />
      <Section title="About">
        <KeyField step={step} />
        <FieldRow
          field={plainField("note", "Note", "long_text", { placeholder: "Why is this step here?" })}
          root={{}}
          path="note"
          value={step.note ?? undefined}
          onChange={(note) =>
            designer.run((doc) =>
              editStep(doc, step.key, { note: note as string } as Partial<Step>, `note:${step.key}`),
            )
          }
        />
      </Section>
    </>
  );
}
