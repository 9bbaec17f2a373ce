import { useState } from "react";
import { selectedSteps } from "../../core/editor.ts";
import { findStep, portsOf } from "../../core/graph.ts";
import { found } from "../../core/search.ts";
import type { Step } from "../../core/types.ts";
import { ACTIONS } from "../actions.ts";
import { useDesigner } from "../designer.ts";
import { Icon } from "../icon.tsx";
import { shownKeys } from "../keyboard.ts";
import { SearchList } from "../panels/listbox.tsx";
import { nextPort, tryConnect } from "../steps.ts";
import { DialogFrame } from "./frame.tsx";

interface Props {
  onClose(): void;
}

export const Keys = ({ keys }: { keys: string }) => (
  <span className="keys">
    {shownKeys(keys).map((key) => (
      <kbd key={key}>{key}</kbd>
    ))}
  </span>
);

export function CommandDialog({ onClose }: Props) {
  const designer = useDesigner();
  const offered = ACTIONS.filter((action) => !action.hidden && !(action.changes && designer.editor.readOnly));
  return (
    <DialogFrame title="Commands" bare onClose={onClose}>
      <SearchList
        label="Command"
        placeholder="What do you want to do?"
        empty="No command matches."
        items={(query) => found(offered, query, (action) => [action.label, action.group])}
        idOf={(action) => action.id}
        row={(action) => (
          <>
            <span className="row-words">
              <span>{action.label}</span>
            </span>
            <small>{action.group}</small>
            {action.keys[0] && <Keys keys={action.keys[0]} />}
          </>
        )}
        onPick={(action) => {
          onClose();
          // The dialog gives focus back first; the action may take it again.
          requestAnimationFrame(() => action.run(designer));
        }}
        onCancel={onClose}
      />
    </DialogFrame>
  );
}

export function StepRow({ step }: { step: Step }) {
  const designer = useDesigner();
  const kind = designer.kindOf(step.kind);
  return (
    <>
      <span className={`step-icon step-${kind?.group ?? "unknown"}`}>
        <Icon name={kind?.icon ?? "circle-question-mark"} size={14} />
      </span>
      <span className="row-words">
        <span>{step.name || step.key}</span>
        <small>{kind?.name ?? step.kind}</small>
      </span>
      <code>{step.key}</code>
    </>
  );
}

export const stepTexts = (step: Step): string[] => [
  step.name || step.key,
  step.key,
  step.kind,
  JSON.stringify(step.config),
];

export function FindDialog({ onClose }: Props) {
  const designer = useDesigner();
  return (
    <DialogFrame title="Find a step" bare onClose={onClose}>
      <SearchList<Step>
        label="Find a step"
        placeholder="Name, key, kind or anything in its settings"
        empty="No step matches."
        items={(query) => found(designer.editor.document.steps, query, stepTexts).slice(0, 100)}
        idOf={(step) => step.key}
        row={(step) => <StepRow step={step} />}
        onPick={(step) => {
          onClose();
          designer.show(step.key);
          requestAnimationFrame(() => designer.canvas?.focus(step.key));
        }}
        onCancel={onClose}
      />
    </DialogFrame>
  );
}

/** Connecting by keyboard: which port, to which step; refusals say why. */
export function ConnectDialog({ onClose }: Props) {
  const designer = useDesigner();
  const { document } = designer.editor;
  const [key = ""] = selectedSteps(designer.editor.get());
  const from = findStep(document, key);
  const [port, setPort] = useState(() => nextPort(designer, key));
  if (!from) return null;
  const ports = portsOf(from, designer.kindOf(from.kind));
  return (
    <DialogFrame title={`Connect “${from.name}” to…`} onClose={onClose}>
      <div className="dialog-body">
        <label className="inline-field">
          <span>By port</span>
          <select value={port} onChange={(event) => setPort(event.target.value)}>
            {ports.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
      </div>
      <SearchList<Step>
        label="To which step"
        placeholder="To which step?"
        empty="No step matches."
        items={(query) =>
          found(
            document.steps.filter((step) => step.key !== key),
            query,
            stepTexts,
          )
        }
        idOf={(step) => step.key}
        row={(step) => <StepRow step={step} />}
        onPick={(step) => {
          if (tryConnect(designer, key, port, step.key)) onClose();
        }}
        onCancel={onClose}
      />
    </DialogFrame>
  );
}

const GROUPS = ["Add", "Edit", "Select", "View", "Workflow"] as const;
const MOUSE = [
  ["Drag on the canvas", "Select by a box"],
  ["Space + drag, middle button, two fingers", "Pan"],
  ["Ctrl + wheel, pinch", "Zoom"],
  ["Drag a port into the open", "Add a step, already wired"],
  ["Drag a loose step onto a connection", "Insert it"],
  ["Drag steps onto a container", "Put them in"],
  ["Ctrl + click", "Add to the selection"],
  ["Double-click", "Open settings"],
] as const;

export function HelpDialog({ onClose }: Props) {
  return (
    <DialogFrame title="Keys" wide onClose={onClose}>
      <div className="help">
        {GROUPS.map((group) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {ACTIONS.filter((action) => action.group === group && action.keys.length).map((action) => (
                <div key={action.id}>
                  <dt>
                    {action.keys.map((keys) => (
                      <Keys key={keys} keys={keys} />
                    ))}
                  </dt>
                  <dd>{action.label}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
        <section>
          <h3>Mouse</h3>
          <dl>
            {MOUSE.map(([how, what]) => (
              <div key={how}>
                <dt>{how}</dt>
                <dd>{what}</dd>
              </div>
            ))}
          </dl>
          <p className="quiet">
            On the canvas Tab adds a step. To leave the canvas by keyboard press F6 (next panel) or Shift+F6.
          </p>
        </section>
      </div>
    </DialogFrame>
  );
}
