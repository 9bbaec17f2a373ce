import { useEffect, useState } from "react";
import { brief } from "../../core/completion.ts";
import { disconnect } from "../../core/edits.ts";
import { isJsonObject } from "../../core/equal.ts";
import { edgeId, findStep, incoming, outgoing, portOf } from "../../core/graph.ts";
import type { Edge, Json, JsonObject, Step } from "../../core/types.ts";
import { portTitle } from "../canvas/ports.tsx";
import { useDesigner } from "../designer.ts";
import { useScope } from "../fields/scope.ts";
import { Icon } from "../icon.tsx";
import { useChosen } from "../use-store.ts";
import { JoinForm } from "./join-form.tsx";
import { Section } from "./section.tsx";

/** By which way out, where it is not the usual one. */
const wayOf = (edge: Edge): string => (portOf(edge) === "out" ? "" : portTitle(portOf(edge)));

function Connection({ edge, other, words }: { edge: Edge; other: string; words: string }) {
  const designer = useDesigner();
  const { readOnly } = useScope();
  const name = findStep(designer.editor.document, other)?.name || other;
  return (
    <li>
      <button type="button" className="link" onClick={() => designer.show(other)}>
        {name}
      </button>
      {words && <small>{words}</small>}
      {!readOnly && (
        <button
          type="button"
          className="icon-button tiny"
          aria-label={`Remove the connection with ${name}`}
          onClick={() => designer.run((doc) => disconnect(doc, new Set([edgeId(edge)])))}
        >
          <Icon name="x" size={12} />
        </button>
      )}
    </li>
  );
}

function Tree({ name, value, path, depth }: { name: string; value: Json; path: string; depth: number }) {
  const designer = useDesigner();
  const copy = (): void => {
    void navigator.clipboard.writeText(path).then(() => designer.say(`Copied ${path}`));
  };
  const entries: [string, Json][] = Array.isArray(value)
    ? value.slice(0, 20).map((item, index) => [`[${index}]`, item])
    : isJsonObject(value)
      ? Object.entries(value)
      : [];
  const shown = entries.length ? (Array.isArray(value) ? `${value.length} items` : "") : brief(value, 60);
  const label = (
    <>
      <span className="tree-name">{name}</span> <small>{shown}</small>
    </>
  );
  return (
    <li>
      {!entries.length || depth > 6 ? (
        <div className="tree-leaf">{label}</div>
      ) : (
        <details open={depth < 1}>
          <summary>{label}</summary>
          <ul>
            {entries.map(([key, item]) => (
              <Tree
                key={key}
                name={key}
                value={item}
                path={key.startsWith("[") ? path + key : `${path}.${key}`}
                depth={depth + 1}
              />
            ))}
          </ul>
        </details>
      )}
      <button
        type="button"
        className="icon-button tiny"
        aria-label={`Copy ${path}`}
        title={`Copy ${path}`}
        onClick={copy}
      >
        <Icon name="copy" size={12} />
      </button>
    </li>
  );
}

/** What expressions of this step can read, with the values of the last run or the examples of the input. */
function Readable({ step }: { step: Step }) {
  const designer = useDesigner();
  const [roots, setRoots] = useState<JsonObject | null>(null);
  const revision = useChosen(designer.sync, () => designer.sync.revision);
  useEffect(() => {
    let wanted = true;
    void designer.roots(step.key, false, revision).then((found) => wanted && setRoots(found));
    return () => {
      wanted = false;
    };
  }, [designer, step.key, revision]);
  const names = Object.entries(roots ?? {});
  return (
    <Section title="What this step can read" help="The button at a line's end copies its expression.">
      {roots === null ? (
        <p className="quiet">Reading…</p>
      ) : names.length ? (
        <ul className="tree">
          {names.map(([name, value]) => (
            <Tree key={name} name={name} value={value} path={name} depth={0} />
          ))}
        </ul>
      ) : (
        <p className="quiet">Nothing yet. Declare the input of the workflow, or run it once.</p>
      )}
    </Section>
  );
}

export function InputTab({ step }: { step: Step }) {
  const designer = useDesigner();
  const { document } = designer.editor;
  const before = incoming(document, step.key);
  const after = outgoing(document, step.key);
  return (
    <>
      <Section title="Comes after">
        {before.length ? (
          <ul className="connections">
            {before.map((edge) => (
              <Connection key={edgeId(edge)} edge={edge} other={edge.from} words={wayOf(edge)} />
            ))}
          </ul>
        ) : (
          <p className="quiet">Nothing leads here: this step starts with the run.</p>
        )}
      </Section>
      {(before.length > 1 || step.join) && <JoinForm step={step} branches={before.length} />}
      <Section title="Leads to">
        {after.length ? (
          <ul className="connections">
            {after.map((edge) => (
              <Connection key={edgeId(edge)} edge={edge} other={edge.to} words={wayOf(edge)} />
            ))}
          </ul>
        ) : (
          <p className="quiet">Nothing follows.</p>
        )}
        {!designer.editor.readOnly && (
          <button type="button" className="button small" onClick={() => designer.open("connect")}>
            <Icon name="plus" size={12} /> Connect to…
          </button>
        )}
      </Section>
      <Readable step={step} />
    </>
  );
}
