/** A container on the canvas of the editor. */
import type { NodeProps } from "@xyflow/react";
import { memo } from "react";
import { useDesigner } from "../designer.ts";
import { Icon } from "../icon.tsx";
import { pickInside } from "../steps.ts";
import { useChosen } from "../use-store.ts";
import { AddAfter, ProblemBadge, Renaming, useProblems } from "./edit-step.tsx";
import { Frame } from "./frame.tsx";
import type { StepFlowNode } from "./nodes.ts";

function Tools({ stepKey, name }: { stepKey: string; name: string }) {
  const designer = useDesigner();
  return (
    <span className="frame-tools nodrag">
      <ProblemBadge stepKey={stepKey} />
      {!designer.editor.readOnly && (
        <button
          type="button"
          className="icon-button tiny"
          tabIndex={-1}
          aria-label={`Add a step inside ${name}`}
          title="Add a step inside (I)"
          onClick={(event) => {
            const box = event.currentTarget.getBoundingClientRect();
            pickInside(designer, stepKey, [box.left, box.bottom + 8]);
          }}
        >
          <Icon name="plus" size={14} />
        </button>
      )}
      <button
        type="button"
        className="icon-button tiny"
        tabIndex={-1}
        aria-label={`Close ${name}`}
        title="Close (E)"
        onClick={() => designer.fold(stepKey)}
      >
        <Icon name="chevron-up" size={14} />
      </button>
    </span>
  );
}

/** What an empty container offers: it shows where steps go. */
function EmptyBody({ stepKey, name }: { stepKey: string; name: string }) {
  const designer = useDesigner();
  if (designer.editor.readOnly) return <p className="frame-empty">Nothing inside</p>;
  return (
    <button
      type="button"
      tabIndex={-1}
      className="frame-empty nodrag"
      aria-label={`Add or drop a step here, inside ${name}`}
      onClick={(event) => {
        const box = event.currentTarget.getBoundingClientRect();
        pickInside(designer, stepKey, [box.left + 24, box.top + 24]);
      }}
    >
      <Icon name="plus" size={14} /> Add or drop a step here
    </button>
  );
}

export const EditFrame = memo(function EditFrame({ data }: NodeProps<StepFlowNode>) {
  const designer = useDesigner();
  const { step } = data;
  const name = step.name || step.key;
  const renaming = useChosen(designer.screen, (screen) => screen.renaming === step.key);
  const dropping = useChosen(designer.screen, (screen) => screen.dropInto === step.key);
  const wrong = useProblems(step.key)?.some((problem) => problem.severity === "error");
  const looks = [dropping && "is-drop", step.disabled && "is-disabled", wrong && "has-error"];
  return (
    <Frame
      {...data}
      className={looks.filter(Boolean).join(" ")}
      connectable={!designer.editor.readOnly}
      title={renaming ? <Renaming stepKey={step.key} name={step.name} /> : undefined}
      line={step.disabled ? "Disabled" : undefined}
      tools={<Tools stepKey={step.key} name={name} />}
    >
      {!data.held && <EmptyBody stepKey={step.key} name={name} />}
      {!designer.editor.readOnly &&
        data.shape.ports.map((place) => <AddAfter key={place.port} stepKey={step.key} place={place} />)}
    </Frame>
  );
});
