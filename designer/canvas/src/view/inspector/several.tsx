import { PATTERN_WORDS, PATTERNS } from "../../core/regions.ts";
import { useDesigner } from "../designer.ts";
import { Icon } from "../icon.tsx";
import { markRegion, tryTakeOut, tryWrap } from "../nesting.ts";
import { Section } from "./section.tsx";

const CONTAINERS = ["scope", "for_each", "repeat"];

/** What can be done with several steps at once. */
export function Several({ keys }: { keys: readonly string[] }) {
  const designer = useDesigner();
  const { nesting } = designer.frames;
  const kinds = CONTAINERS.flatMap((kind) => designer.kindOf(kind) ?? []);
  return (
    <div className="tab-panel">
      <p className="quiet">
        {keys.length} steps selected. Move, copy, disable or delete them together; select one to edit it.
      </p>
      {!designer.editor.readOnly && (
        <>
          <Section title="Group in" help="What led to the steps leads to the container around them.">
            <div className="button-row">
              {kinds.map((kind) => (
                <button
                  key={kind.kind}
                  type="button"
                  className="button small"
                  onClick={() => tryWrap(designer, kind.kind)}
                >
                  <Icon name={kind.icon} size={12} /> {kind.name}
                </button>
              ))}
              {!kinds.length && <p className="quiet">No container kinds are registered here.</p>}
            </div>
            <div className="button-row">
              <button type="button" className="button small" onClick={() => designer.open("into")}>
                Move into…
              </button>
              {keys.some((key) => nesting.parent(key)) && (
                <button type="button" className="button small" onClick={() => tryTakeOut(designer)}>
                  Take out
                </button>
              )}
            </div>
          </Section>
          <Section title="Mark as a region" help="A region declares how its steps are meant to run.">
            <div className="button-row">
              {PATTERNS.map((pattern) => (
                <button
                  key={pattern}
                  type="button"
                  className="button small"
                  onClick={() => markRegion(designer, pattern)}
                >
                  {PATTERN_WORDS[pattern]}
                </button>
              ))}
            </div>
          </Section>
        </>
      )}
    </div>
  );
}
