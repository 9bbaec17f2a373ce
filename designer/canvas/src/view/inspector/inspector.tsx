import { type KeyboardEvent, useMemo } from "react";
import { selectedSteps } from "../../core/editor.ts";
import { findStep } from "../../core/graph.ts";
import { findRegion } from "../../core/regions.ts";
import type { Step } from "../../core/types.ts";
import { type Tab, useDesigner } from "../designer.ts";
import { FormScope } from "../fields/scope.ts";
import { useChosen, useStore } from "../use-store.ts";
import { ErrorsTab } from "./errors-tab.tsx";
import { InputTab } from "./input-tab.tsx";
import { RegionPanel } from "./region-panel.tsx";
import { SettingsTab } from "./settings-tab.tsx";
import { Several } from "./several.tsx";
import { UndoTab } from "./undo-tab.tsx";
import { WorkflowPanel } from "./workflow-panel.tsx";

const TABS: { tab: Tab; label: string }[] = [
  { tab: "settings", label: "Settings" },
  { tab: "input", label: "Input" },
  { tab: "errors", label: "Errors & retry" },
  { tab: "undo", label: "Undo" },
];

const PANELS = { settings: SettingsTab, input: InputTab, errors: ErrorsTab, undo: UndoTab };

function TabBar({ current }: { current: Tab }) {
  const designer = useDesigner();
  const onKey = (event: KeyboardEvent): void => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const at = TABS.findIndex(({ tab }) => tab === current);
    const next = TABS[(at + by + TABS.length) % TABS.length];
    if (next) designer.screen.update({ tab: next.tab });
    document.getElementById(`tab-${next?.tab}`)?.focus();
    event.preventDefault();
  };
  return (
    <div role="tablist" aria-label="Step" className="tabs" onKeyDown={onKey} tabIndex={-1}>
      {TABS.map(({ tab, label }) => (
        <button
          key={tab}
          id={`tab-${tab}`}
          type="button"
          role="tab"
          aria-selected={tab === current}
          aria-controls="tab-panel"
          tabIndex={tab === current ? 0 : -1}
          onClick={() => designer.screen.update({ tab })}
        >
          {label}
        </button>
      ))}
    </div>
  );
}

function StepPanel({ step }: { step: Step }) {
  const designer = useDesigner();
  const tab = useChosen(designer.screen, (screen) => screen.tab);
  const found = useStore(designer.found);
  const scope = useMemo(
    () => ({
      step: step.key,
      problems: found.byStep.get(step.key) ?? [],
      readOnly: designer.editor.readOnly,
      intent: `step:${step.key}`,
    }),
    [step.key, found, designer],
  );
  const Panel = PANELS[tab];
  return (
    <FormScope.Provider value={scope}>
      <TabBar current={tab} />
      <div
        id="tab-panel"
        role="tabpanel"
        aria-labelledby={`tab-${tab}`}
        className="tab-panel"
        key={`${step.key}:${tab}`}
      >
        <Panel step={step} />
      </div>
    </FormScope.Provider>
  );
}

/** The right side: the selected step, or the workflow itself when nothing is selected. */
export function Inspector() {
  const designer = useDesigner();
  const state = useStore(designer.editor);
  const keys = selectedSteps(state);
  const [only] = state.selected.size === 1 ? state.selected : [];
  const region = only === undefined ? undefined : findRegion(state.document, only);
  const step = keys.length === 1 ? findStep(state.document, keys[0] ?? "") : undefined;
  return (
    <aside
      className="inspector"
      aria-label="Inspector"
      data-panel="inspector"
      onBlur={(event) => {
        if (event.target.matches("input, textarea, select")) {
          designer.editor.seal();
          void designer.sync.flush();
        }
      }}
    >
      {step ? (
        <StepPanel step={step} />
      ) : region ? (
        <RegionPanel region={region} />
      ) : keys.length > 1 ? (
        <Several keys={keys} />
      ) : (
        <WorkflowPanel />
      )}
    </aside>
  );
}
