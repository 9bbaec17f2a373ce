import type { NodeProps } from "@xyflow/react";
import { memo } from "react";
import { attemptsText, lookOf } from "../../core/run.ts";
import type { StepStatus } from "../../core/status.ts";
import type { Step } from "../../core/types.ts";
import { Frame } from "../canvas/frame.tsx";
import type { StepFlowNode } from "../canvas/nodes.ts";
import { stateId } from "../canvas/nodes.ts";
import { FarStep, StepCard } from "../canvas/step-card.tsx";
import { Icon } from "../icon.tsx";
import { useStatus } from "./status-context.ts";

function StateLine({ status }: { status: StepStatus }) {
  const { shown, total, done } = status;
  const look = lookOf(shown);
  const attempts = attemptsText(shown);
  const words = shown.waiting?.text || (shown.error && look.tone === "failed" ? shown.error.message : "");
  return (
    <span className="step-state" title={words || undefined}>
      <Icon name={look.icon} size={12} className={shown.state === "running" ? "is-turning" : ""} />
      <span className="state-word">{look.word}</span>
      {attempts && <span className="state-attempts">{attempts}</span>}
      {total > 1 && (
        <span className="state-attempts">
          {done} of {total}
        </span>
      )}
    </span>
  );
}

const classOf = (step: Step, status: StepStatus | undefined): string => {
  const tone = status ? `has-state tone-${lookOf(status.shown).tone}` : "not-reached";
  const person = status?.shown.state === "waiting" && status.shown.waiting?.kind === "person";
  return `${tone} ${person ? "is-filled" : ""} ${step.disabled ? "is-disabled" : ""}`;
};

/** What a screen reader says of the state; the spoken name of the step itself stays the same. */
function SpokenState({ stepKey, status }: { stepKey: string; status: StepStatus | undefined }) {
  return (
    <span id={stateId(stepKey)} hidden>
      {status
        ? `${lookOf(status.shown).word} ${attemptsText(status.shown)} ${status.shown.waiting?.text ?? ""}`
        : "Not reached"}
    </span>
  );
}

/** A step on the run page: what it is, how it stands, and why it waits. */
export const WatchStep = memo(function WatchStep({ data }: NodeProps<StepFlowNode>) {
  const status = useStatus(data.step.key);
  const className = classOf(data.step, status);
  if (data.far) return <FarStep className={className} />;
  const waiting = status?.shown.waiting?.text;
  return (
    <StepCard
      {...data}
      className={className}
      connectable={false}
      line={status ? <StateLine status={status} /> : undefined}
    >
      {waiting && <span className="step-waiting">{waiting}</span>}
      <SpokenState stepKey={data.step.key} status={status} />
    </StepCard>
  );
});

/** A container on the run page: its own state in the head, its steps inside. */
export const WatchFrame = memo(function WatchFrame({ data }: NodeProps<StepFlowNode>) {
  const status = useStatus(data.step.key);
  return (
    <Frame
      {...data}
      className={classOf(data.step, status)}
      connectable={false}
      line={status ? <StateLine status={status} /> : undefined}
    >
      {!data.held && <p className="frame-empty">Nothing inside</p>}
      <SpokenState stepKey={data.step.key} status={status} />
    </Frame>
  );
});
