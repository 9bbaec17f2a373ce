import { useEffect, useState } from "react";
import { editWorkflow } from "../../core/edits.ts";
import { ago } from "../../core/times.ts";
import { useDesigner } from "../designer.ts";
import { Icon } from "../icon.tsx";
import { tidyUp } from "../tidy.ts";
import { useChosen, useStore } from "../use-store.ts";

const LOOKS = {
  saved: ["cloud-check", ""],
  unsaved: ["pencil", "Not saved yet"],
  saving: ["loader-circle", "Saving…"],
  offline: ["cloud-off", "Offline: kept in this browser"],
  refused: ["triangle-alert", "Not saved"],
} as const;

function SavedState() {
  const { sync } = useDesigner();
  const { phase, savedAt, message } = useStore(sync);
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 5_000);
    return () => clearInterval(timer);
  }, []);
  const [icon, words] = LOOKS[phase];
  const when = savedAt ? new Date(savedAt).toLocaleString() : "";
  return (
    <span className={`saved is-${phase}`} title={message || when}>
      <Icon name={icon} size={14} />
      <span>
        {phase === "saved" ? (savedAt ? `Saved ${ago(savedAt, Math.max(now, savedAt))}` : "Saved") : words}
      </span>
      {phase === "refused" && <small>{message}</small>}
    </span>
  );
}

/** The name is edited in place, like the name of a file. */
function Name() {
  const designer = useDesigner();
  const name = useChosen(designer.editor, (state) => state.document.name);
  return (
    <input
      className="workflow-name"
      aria-label="Name of the workflow"
      value={name}
      readOnly={designer.editor.readOnly}
      size={Math.max(8, Math.min(40, name.length + 1))}
      onChange={(event) => designer.run((doc) => editWorkflow(doc, { name: event.target.value }, "name"))}
      onBlur={() => designer.editor.seal()}
      onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
    />
  );
}

function IconButton({
  icon,
  label,
  onClick,
  disabled,
}: {
  icon: string;
  label: string;
  onClick(): void;
  disabled?: boolean;
}) {
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={label}
      title={label}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

export function Header() {
  const designer = useDesigner();
  const { config, editor } = designer;
  const live = useStore(designer.live);
  const outline = useChosen(designer.screen, (screen) => screen.outline);
  const canUndo = useChosen(editor, (state) => state.undo.length > 0);
  const canRedo = useChosen(editor, (state) => state.redo.length > 0);
  const errors = useChosen(designer.found, (f) => f.problems.filter((p) => p.severity === "error").length);
  return (
    <header className="editor-header" data-panel="header">
      <Name />
      <SavedState />
      <span className="version">
        {live ? (
          config.pages.versions ? (
            <a href={config.pages.versions}>Version {live} live</a>
          ) : (
            `Version ${live} live`
          )
        ) : (
          "Never published"
        )}
      </span>
      {editor.readOnly && (
        <span className="read-only">
          <Icon name="eye" size={14} /> Read-only{config.may.edit ? " on a narrow screen" : ""}
        </span>
      )}
      <span className="spring" />
      {!editor.readOnly && (
        <span className="tool-group">
          <IconButton
            icon="undo-2"
            label="Undo (Ctrl+Z)"
            disabled={!canUndo}
            onClick={() => void editor.undo()}
          />
          <IconButton
            icon="redo-2"
            label="Redo (Ctrl+Y)"
            disabled={!canRedo}
            onClick={() => void editor.redo()}
          />
          <IconButton
            icon="wand-sparkles"
            label="Tidy up (Shift+Alt+T)"
            onClick={() => void tidyUp(designer)}
          />
        </span>
      )}
      <span className="tool-group">
        <IconButton
          icon={outline ? "workflow" : "list-tree"}
          label={outline ? "Show the canvas (O)" : "Show the outline (O)"}
          onClick={() => designer.screen.update({ outline: !outline })}
        />
        <IconButton
          icon="command"
          label="Command palette (Ctrl+K)"
          onClick={() => designer.open("commands")}
        />
        <IconButton icon="circle-question-mark" label="Keys (?)" onClick={() => designer.open("help")} />
      </span>
      {config.may.run && (
        <button type="button" className="button" onClick={() => designer.open("run")}>
          <Icon name="play" size={14} /> Run…
        </button>
      )}
      {config.may.publish && !editor.readOnly && (
        <button
          type="button"
          className="button primary"
          title={errors ? `${errors} errors keep this from being published` : undefined}
          onClick={() => designer.open("publish")}
        >
          <Icon name="rocket" size={14} /> Publish…
        </button>
      )}
    </header>
  );
}
