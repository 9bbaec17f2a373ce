import type { NodeProps } from "@xyflow/react";
import { memo, useSyncExternalStore } from "react";
import { rename } from "../../core/edits.ts";
import type { PortPlace } from "../../core/geometry.ts";
import { isContainer } from "../../core/nesting.ts";
import type { Step } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { Icon } from "../icon.tsx";
import { pickAfter } from "../steps.ts";
import { useChosen } from "../use-store.ts";
import type { StepFlowNode } from "./nodes.ts";
import { portTitle } from "./ports.tsx";
import { FarStep, StepCard } from "./step-card.tsx";

export function Renaming({ stepKey, name }: { stepKey: string; name: string }) {
  const designer = useDesigner();
  const done = (text: string | null): void => {
    if (designer.screen.get().renaming !== stepKey) return;
    designer.screen.update({ renaming: null });
    if (text?.trim()) designer.run((doc) => rename(doc, stepKey, text.trim()));
    const [now] = designer.editor.get().selected;
    requestAnimationFrame(() => now && designer.canvas?.focus(now));
  };
  return (
    <input
      className="step-rename nodrag nopan"
      defaultValue={name}
      aria-label="Name of the step"
      ref={(input) => {
        if (input && document.activeElement !== input) {
          input.focus();
          input.select();
        }
      }}
      onBlur={(event) => done(event.target.value)}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Enter") done(event.currentTarget.value);
        if (event.key === "Escape") done(null);
      }}
    />
  );
}

/** "+" on a way out: opens the picker, the new step arrives wired. */
export function AddAfter({ stepKey, place }: { stepKey: string; place: PortPlace }) {
  const designer = useDesigner();
  const right = place.side === "right";
  return (
    <button
      type="button"
      tabIndex={-1}
      className={`port-add nodrag nopan ${right ? "" : "port-add-below"}`}
      style={{ left: place.x, top: place.y }}
      aria-label={`Add a step ${portTitle(place.port)}`}
      title={`Add a step ${portTitle(place.port)}`}
      onClick={(event) => {
        event.stopPropagation();
        const box = event.currentTarget.getBoundingClientRect();
        pickAfter(designer, stepKey, place.port, [box.right + 8, box.top - 16]);
      }}
    >
      <Icon name="plus" size={12} />
    </button>
  );
}

export function useProblems(key: string) {
  const { found } = useDesigner();
  return useSyncExternalStore(found.subscribe, () => found.get().byStep.get(key));
}

export function ProblemBadge({ stepKey }: { stepKey: string }) {
  const problems = useProblems(stepKey);
  if (!problems?.length) return null;
  const wrong = problems.some((problem) => problem.severity === "error");
  return (
    <span
      className={`step-problem ${wrong ? "is-error" : "is-warning"}`}
      title={problems.map((p) => p.message).join("\n")}
    >
      <Icon name="triangle-alert" size={14} />
    </span>
  );
}

/** A closed container tells how much it holds, and opens. */
function OpenContainer({ stepKey, name, held }: { stepKey: string; name: string; held: number }) {
  const designer = useDesigner();
  return (
    <button
      type="button"
      className="held nodrag nopan"
      tabIndex={-1}
      aria-label={`Open ${name}`}
      title="Open (E)"
      onClick={(event) => {
        event.stopPropagation();
        designer.fold(stepKey);
      }}
    >
      {held} <Icon name="chevron-down" size={14} />
    </button>
  );
}

function Badges({ step, held }: { step: Step; held: number }) {
  return (
    <>
      <ProblemBadge stepKey={step.key} />
      {isContainer(step) && <OpenContainer stepKey={step.key} name={step.name || step.key} held={held} />}
    </>
  );
}

export const EditStep = memo(function EditStep({ data, selected }: NodeProps<StepFlowNode>) {
  const designer = useDesigner();
  const { step } = data;
  const renaming = useChosen(designer.screen, (screen) => screen.renaming === step.key);
  const problems = useProblems(step.key);
  const wrong = problems?.some((problem) => problem.severity === "error") ? "has-error" : "";
  const closed = isContainer(step) ? "is-closed" : "";
  const looks = `${closed} ${step.disabled ? "is-disabled" : ""} ${wrong}`;
  if (data.far) return <FarStep className={`step-${data.kind?.group ?? "unknown"} ${looks}`} />;
  return (
    <StepCard
      {...data}
      className={looks}
      connectable={!designer.editor.readOnly}
      title={renaming ? <Renaming stepKey={step.key} name={step.name} /> : undefined}
      line={step.disabled ? "Disabled" : undefined}
      badge={<Badges step={step} held={data.held} />}
    >
      {selected !== undefined &&
        !designer.editor.readOnly &&
        data.shape.ports.map((place) => <AddAfter key={place.port} stepKey={step.key} place={place} />)}
    </StepCard>
  );
});
