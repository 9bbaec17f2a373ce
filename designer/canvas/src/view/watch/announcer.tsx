import { useContext, useEffect, useRef, useState } from "react";
import { lookOf, type StepState } from "../../core/run.ts";
import type { Document } from "../../core/types.ts";
import { StatusContext } from "./status-context.ts";

/** States worth interrupting a listener for; the rest can be read on the steps. */
const SPOKEN: ReadonlySet<StepState> = new Set(["failed", "timed_out", "waiting", "undo_failed"]);
const SPEAK_EVERY = 2_000;

/** Says politely what changed, at most every two seconds, so that a fast run does not flood a screen reader. */
export function Announcer({ doc, state }: { doc: Document; state: string }) {
  const status = useContext(StatusContext);
  const [text, setText] = useState("");
  const told = useRef(new Map<string, string>());
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const speak = (): void => {
      timer = undefined;
      const news: string[] = [];
      for (const step of doc.steps) {
        const view = status.get(step.key)?.shown;
        if (!view || told.current.get(step.key) === view.state) continue;
        told.current.set(step.key, view.state);
        if (SPOKEN.has(view.state))
          news.push(`${step.name} ${view.waiting?.text ?? lookOf(view).word.toLowerCase()}`);
      }
      if (news.length) setText(news.slice(0, 3).join(". "));
    };
    const stop = status.subscribeAll(() => {
      timer ??= setTimeout(speak, SPEAK_EVERY);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [doc, status]);
  return (
    <p className="visually-hidden" aria-live="polite">
      {text} {state && `Run ${state.replaceAll("_", " ")}.`}
    </p>
  );
}
