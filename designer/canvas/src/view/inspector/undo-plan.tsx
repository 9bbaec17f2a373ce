import { useEffect, useState } from "react";
import { ApiError } from "../../api/http.ts";
import type { UndoPlan, UndoPlanStep, UndoPlanWay } from "../../api/workflow.ts";
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

/** What people call the step of a key. */
function useStepName(key: string | null): string {
  const { editor } = useDesigner();
  return editor.document.steps.find((step) => step.key === key)?.name || (key ?? "");
}

function Line({ step }: { step: UndoPlanStep }) {
  const inside = useStepName(step.inside);
  return (
    <>
      {step.name}
      {inside && <small> in {inside}</small>}
      {step.certainty === "possible" && <small> perhaps</small>}
    </>
  );
}

function Way({ way }: { way: UndoPlanWay }) {
  return (
    <p>
      {way.certainty === "certain" ? "The run goes on" : "The run may go on"}
      {way.port
        ? ` from ${way.name} by its port "${way.port}".`
        : ` with ${way.name}, which bears the failure.`}
    </p>
  );
}

/** What is undone together, stage by stage, and what stays of it: by a scope alone, or with the run. */
function Together({ steps, scope }: { steps: UndoPlanStep[]; scope: string | null }) {
  const name = useStepName(scope);
  const by = name && ` by ${name}`;
  const lead = name
    ? `The scope ${name} undoes these alone, in this order:`
    : "These are undone, in this order:";
  const undone = steps.filter((item) => item.undo !== null);
  const stays = steps.filter((item) => item.undo === null);
  const stages = [...new Set(undone.map((item) => item.stage))];
  return (
    <>
      {undone.length > 0 && <p>{lead}</p>}
      {undone.length > 0 && (
        <ol className="undo-plan" aria-label={`Undone${by}, in this order`}>
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
        <ul className="undo-plan" aria-label={`Cannot be undone${by}`}>
          {stays.map((item) => (
            <li key={item.key}>
              <Line step={item} />
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function whatTheRunDoes({ on_failure, run_fails }: UndoPlan): string {
  if (run_fails === "never") return "";
  const fails = run_fails === "certain" ? "The run fails." : "The run may fail.";
  return on_failure === "undo"
    ? `${fails} The workflow undoes failed runs by itself.`
    : `${fails} The workflow lets failed runs just fail; an operator can undo them all the same.`;
}

/** "If this fails": where the run goes on, what scopes undo alone, what is undone with the run, and what cannot be. */
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
  const { steps, goes_on, run_fails } = answer.plan;
  const scopes = [...new Set(steps.flatMap((item) => item.by ?? []))];
  const withRun = steps.filter((item) => item.by === null);
  return (
    <Section title="If this step fails" help={whatTheRunDoes(answer.plan)}>
      {goes_on.map((way) => (
        <Way key={`${way.key}.${way.port}`} way={way} />
      ))}
      {scopes.map((scope) => (
        <Together key={scope} steps={steps.filter((item) => item.by === scope)} scope={scope} />
      ))}
      <Together steps={withRun} scope={null} />
      {steps.length === 0 && (
        <p className="quiet">
          {run_fails === "never"
            ? "Nothing is undone."
            : "Neither it nor a step before it has effects or an undo."}
        </p>
      )}
    </Section>
  );
}
