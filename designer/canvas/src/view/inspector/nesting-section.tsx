import { outlined } from "../../core/graph.ts";
import { isContainer } from "../../core/nesting.ts";
import type { Step } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { Icon } from "../icon.tsx";
import { tryTakeOut, tryUnwrap } from "../nesting.ts";
import { pickInside } from "../steps.ts";
import { Section } from "./section.tsx";

/** The containers around a step, the outermost first, each one click away. */
export function Inside({ step }: { step: Step }) {
  const designer = useDesigner();
  const { nesting } = designer.frames;
  const around = nesting.around(step.key).reverse();
  if (!around.length) return null;
  return (
    <p className="inside">
      <span>Inside</span>
      {around.map((key) => (
        <button key={key} type="button" className="link" onClick={() => designer.show(key)}>
          {nesting.step(key)?.name || key}
        </button>
      ))}
      {!designer.editor.readOnly && (
        <button type="button" className="button small" onClick={() => tryTakeOut(designer)}>
          Take out
        </button>
      )}
    </p>
  );
}

/** What a container holds. */
export function Body({ step }: { step: Step }) {
  const designer = useDesigner();
  const { nesting } = designer.frames;
  if (!isContainer(step)) return null;
  const children = outlined(designer.editor.document).filter(
    (row) => nesting.parent(row.step.key) === step.key,
  );
  return (
    <Section
      title="Steps inside"
      help="Steps without a way in start the body. Its output is that of its one last step, else all last ones by key."
    >
      {children.length > 0 && (
        <ul className="connections">
          {children.map(({ step: child }) => (
            <li key={child.key}>
              <button type="button" className="link" onClick={() => designer.show(child.key)}>
                {child.name || child.key}
              </button>
            </li>
          ))}
        </ul>
      )}
      {!designer.editor.readOnly && (
        <div className="button-row">
          <button
            type="button"
            className="button small"
            onClick={(event) => {
              const box = event.currentTarget.getBoundingClientRect();
              pickInside(designer, step.key, [box.left - 320, box.top]);
            }}
          >
            <Icon name="plus" size={12} /> Add a step inside
          </button>
          {children.length > 0 && (
            <button type="button" className="button small" onClick={() => tryUnwrap(designer)}>
              Dissolve
            </button>
          )}
        </div>
      )}
    </Section>
  );
}
