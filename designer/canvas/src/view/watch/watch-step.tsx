import type { NodeProps } from "@xyflow/react";
import { memo } from "react";
import { attemptsText, lookOf } from "../../core/run.ts";
import type { StepStatus } from "../../core/status.ts";
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

/** A step on the run page: what it is, how it stands, and why it waits. */
export const WatchStep = memo(function WatchStep({ data }: NodeProps<StepFlowNode>) {
  const status = useStatus(data.step.key);
  const tone = status ? `has-state tone-${lookOf(status.shown).tone}` : "not-reached";
  const person = status?.shown.state === "waiting" && status.shown.waiting?.kind === "person";
  const className = `${tone} ${person ? "is-filled" : ""} ${data.step.disabled ? "is-disabled" : ""}`;
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
      <span id={stateId(data.step.key)} hidden>
        {status
          ? `${lookOf(status.shown).word} ${attemptsText(status.shown)} ${waiting ?? ""}`
          : "Not reached"}
      </span>
    </StepCard>
  );
});
