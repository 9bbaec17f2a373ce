import { useEffect, useState } from "react";
import { ApiError } from "../../api/http.ts";
import { type Difference, difference, nothingDiffers } from "../../core/diff.ts";
import { emptyDocument, normalise, type Problem, type Step } from "../../core/types.ts";
import { type Designer, useDesigner } from "../designer.ts";
import { Icon } from "../icon.tsx";
import { useStore } from "../use-store.ts";
import { DialogFrame } from "./frame.tsx";

function Steps({ word, icon, steps }: { word: string; icon: string; steps: Step[] }) {
  if (!steps.length) return null;
  return (
    <li className={`diff is-${word}`}>
      <Icon name={icon} size={14} />
      <strong>
        {steps.length} {word}
      </strong>
      <span>{steps.map((step) => step.name || step.key).join(", ")}</span>
    </li>
  );
}

function Differences({ found, against }: { found: Difference; against: number | null }) {
  const { edgesAdded, edgesRemoved, workflow } = found;
  if (nothingDiffers(found)) return <p className="quiet">Nothing differs from version {against}.</p>;
  return (
    <>
      <p className="quiet">{against ? `Against version ${against}, which is live:` : "The first version:"}</p>
      <ul className="diffs">
        <Steps word="added" icon="plus" steps={found.added} />
        <Steps word="removed" icon="minus" steps={found.removed} />
        <Steps word="changed" icon="pencil" steps={found.changed} />
        <Steps word="moved" icon="waypoints" steps={found.moved} />
        {edgesAdded + edgesRemoved > 0 && (
          <li className="diff">
            <Icon name="arrow-right" size={14} />
            <strong>connections</strong>
            <span>
              {edgesAdded} added, {edgesRemoved} removed
            </span>
          </li>
        )}
        {workflow.length > 0 && (
          <li className="diff">
            <Icon name="settings-2" size={14} />
            <strong>workflow</strong>
            <span>{workflow.join(", ")}</span>
          </li>
        )}
      </ul>
    </>
  );
}

interface FoundProps {
  className: string;
  words: string;
  rest: string;
  problems: Problem[];
  onShow(problem: Problem): void;
}

function Found({ className, words, rest, problems, onShow }: FoundProps) {
  if (!problems.length) return null;
  return (
    <div className={className}>
      <p>
        {words} {rest}
      </p>
      <ul>
        {problems.slice(0, 8).map((problem) => (
          <li key={`${problem.code}:${problem.message}`}>
            <button type="button" className="link" onClick={() => onShow(problem)}>
              {problem.message}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** The live version's document, or an empty one before the first publish; null while it is being read. */
function useLive(designer: Designer, number: number | null) {
  const [live, setLive] = useState<Difference | null>(null);
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    const { document } = designer.editor;
    if (!number) {
      setLive(difference(emptyDocument(document.name), document));
      return;
    }
    designer.api.version(number).then(
      (version) => setLive(difference(normalise(version.document), document)),
      (error: Error) => setTrouble(error.message),
    );
  }, [designer, number]);
  return { live, trouble };
}

async function publish(
  designer: Designer,
  note: string,
): Promise<{ number: number } | { message: string; problems: Problem[] }> {
  if (!(await designer.sync.flush())) {
    return {
      message: designer.sync.get().message || "The draft could not be saved, so it was not published.",
      problems: [],
    };
  }
  try {
    return await designer.api.publish(note);
  } catch (error) {
    const details = error instanceof ApiError ? (error.details as { problems?: Problem[] } | null) : null;
    return { message: (error as Error).message, problems: details?.problems ?? [] };
  }
}

export function PublishDialog({ onClose }: { onClose(): void }) {
  const designer = useDesigner();
  const number = useStore(designer.live);
  const { live, trouble } = useLive(designer, number);
  const found = useStore(designer.found).problems;
  const known = found.filter((problem) => problem.severity === "error");
  const warnings = found.filter((problem) => problem.severity === "warning");
  const [note, setNote] = useState("");
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<{ message: string; problems: Problem[] } | null>(null);
  const problems = refused?.problems.length ? refused.problems : known;
  const send = async (): Promise<void> => {
    setBusy(true);
    const answer = await publish(designer, note);
    setBusy(false);
    if ("number" in answer) {
      designer.live.set(answer.number);
      designer.say(`Version ${answer.number} is live.`, "done");
      onClose();
    } else setRefused(answer);
  };
  const onShow = (problem: Problem): void => {
    onClose();
    if (problem.step) designer.show(problem.step, problem.field);
  };
  return (
    <DialogFrame title="Publish" onClose={onClose}>
      <form
        className="dialog-body"
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        {live ? (
          <Differences found={live} against={number} />
        ) : (
          <p className="quiet">{trouble || "Comparing…"}</p>
        )}
        {refused && <p className="refusal">{refused.message}</p>}
        <Found
          className="refusal"
          words={problems.length === 1 ? "One error keeps" : `${problems.length} errors keep`}
          rest="this from being published:"
          problems={problems}
          onShow={onShow}
        />
        <Found
          className="quiet"
          words={warnings.length === 1 ? "One warning does" : `${warnings.length} warnings do`}
          rest="not keep it from being published:"
          problems={warnings}
          onShow={onShow}
        />
        <label className="field">
          <span className="field-label">Note</span>
          <textarea
            rows={2}
            value={note}
            placeholder="What changes, and why"
            onChange={(event) => setNote(event.target.value)}
          />
        </label>
        <footer className="dialog-foot">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button
            type="submit"
            className="button primary"
            disabled={busy || known.length > 0}
            title={known.length ? "Mend the errors first" : undefined}
          >
            {busy ? "Publishing…" : "Publish"}
          </button>
        </footer>
      </form>
    </DialogFrame>
  );
}
