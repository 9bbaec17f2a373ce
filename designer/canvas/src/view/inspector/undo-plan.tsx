import { useEffect, useState } from "react";
import { ApiError } from "../../api/http.ts";
import type { UndoPlan, UndoPlanStep } from "../../api/workflow.ts";
import { useDesigner } from "../designer.ts";
import { useChosen } from "../use-store.ts";
import { Section } from "./section.tsx";

type Answer = { plan: UndoPlan } | { refused: string } | null;

/** What an undo would come to if the step failed; asked again whenever the draft has been saved. */
function useUndoPlan(step: string): Answer {
  const designer = useDesigner();
  const savedAt = useChosen(designer.sync, (state) => state.savedAt);
  const [answer, setAnswer] = useState<Answer>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new save may bring another answer
  useEffect(() => {
    const asking = new AbortController();
    designer.api.undoPlan(step, asking.signal).then(
      (plan) => setAnswer(plan.why_not ? { refused: plan.why_not } : { plan }),
      (error: Error) => {
        if (error.name === "AbortError") return;
        setAnswer(error instanceof ApiError ? { refused: error.message } : null);
      },
    );
    return () => asking.abort();
  }, [designer, step, savedAt]);
  return answer;
}

function Line({ step }: { step: UndoPlanStep }) {
  return (
    <>
      {step.name}
      {step.inside && <small> in {step.inside}</small>}
      {step.certainty === "possible" && <small> if it has happened by then</small>}
    </>
  );
}

/** "If this fails": the steps that are undone, stage by stage, and those that cannot be. */
export function UndoPlanView({ step }: { step: string }) {
  const answer = useUndoPlan(step);
  if (!answer) return null;
  if ("refused" in answer) {
    return (
      <Section title="If this step fails">
        <p className="quiet">{answer.refused}</p>
      </Section>
    );
  }
  const { steps, on_failure } = answer.plan;
  const undone = steps.filter((item) => item.undo !== null);
  const stays = steps.filter((item) => item.undo === null);
  const stages = [...new Set(undone.map((item) => item.stage))];
  const asked =
    on_failure === "undo"
      ? "The workflow undoes failed runs by itself."
      : "The workflow lets failed runs just fail; an operator can undo them all the same.";
  return (
    <Section title="If this step fails" help={asked}>
      {undone.length > 0 && <p>These are undone, in this order:</p>}
      {undone.length > 0 && (
        <ol className="undo-plan" aria-label="Undone, in this order">
          {stages.map((stage) => (
            <li key={stage}>
              {undone
                .filter((item) => item.stage === stage)
                .map((item) => (
                  <div key={item.key}>
                    <Line step={item} />
                  </div>
                ))}
            </li>
          ))}
        </ol>
      )}
      {stays.length > 0 && <p>These act and have no undo, so they stay:</p>}
      {stays.length > 0 && (
        <ul className="undo-plan" aria-label="Cannot be undone">
          {stays.map((item) => (
            <li key={item.key}>
              <Line step={item} />
            </li>
          ))}
        </ul>
      )}
      {steps.length === 0 && <p className="quiet">No step before it has effects or an undo.</p>}
    </Section>
  );
}
