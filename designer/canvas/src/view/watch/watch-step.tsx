import type { NodeProps } from "@xyflow/react";
import { memo } from "react";
import { attemptsText, lookOf, progressText, type Tally } from "../../core/run.ts";
import type { StepStatus } from "../../core/status.ts";
import { shownParts, tallyText } from "../../core/tally.ts";
import type { Step } from "../../core/types.ts";
import { Frame } from "../canvas/frame.tsx";
import type { StepFlowNode } from "../canvas/nodes.ts";
import { stateId } from "../canvas/nodes.ts";
import { FarStep, StepCard } from "../canvas/step-card.tsx";
import { Icon } from "../icon.tsx";
import { useStatus } from "./status-context.ts";

/** Over all items of a for-each: the word and number of what asks for attention, icons and numbers of the rest. */
function TallyLine({ tally }: { tally: Tally }) {
  const { parts, hidden } = shownParts(tally);
  if (!parts.length) return null;
  return (
    <span className="step-state step-tally" title={tallyText(tally)}>
      {parts.map(({ state, icon, tone, word, number }, index) => (
        <span key={state} className={`tally-part tone-${tone}`}>
          <Icon name={icon} size={12} className={state === "running" ? "is-turning" : ""} />
          {index === 0 && <span className="state-word">{word}</span>}
          <span className="tally-number">{number}</span>
        </span>
      ))}
      {hidden > 0 && <span className="tally-hidden">…</span>}
    </span>
  );
}

function StateLine({ status }: { status: StepStatus }) {
  const { shown, total, done, tally } = status;
  if (tally?.counts && Object.keys(tally.counts).length) return <TallyLine tally={tally} />;
  const look = lookOf(shown);
  const attempts = attemptsText(shown);
  const progress = progressText(shown);
  const words = shown.waiting?.text || (shown.error && look.tone === "failed" ? shown.error.message : "");
  return (
    <span className="step-state" title={words || undefined}>
      <Icon name={look.icon} size={12} className={shown.state === "running" ? "is-turning" : ""} />
      <span className="state-word">{look.word}</span>
      {attempts && <span className="state-attempts">{attempts}</span>}
      {progress && <span className="state-attempts">{progress}</span>}
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
      {status ? spoken(status) : "Not reached"}
    </span>
  );
}

function spoken({ shown, tally }: StepStatus): string {
  if (tally) return tallyText(tally);
  return [lookOf(shown).word, attemptsText(shown), progressText(shown), shown.waiting?.text]
    .filter(Boolean)
    .join(" ");
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
