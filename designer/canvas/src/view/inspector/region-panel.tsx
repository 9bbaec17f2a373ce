import { editRegion, PATTERN_WORDS, PATTERNS, removeRegion } from "../../core/regions.ts";
import type { Region } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { Icon } from "../icon.tsx";
import { Section } from "./section.tsx";

const HELP: Record<string, string> = {
  sequence: "One after the other: one step holds control, the order is the drawn line.",
  parallel: "Branches really run at once and meet in a join.",
  event: "Steps answer events, in the order events were accepted for each key.",
};

/** A region: its name, the pattern it declares, and its steps. */
export function RegionPanel({ region }: { region: Region }) {
  const designer = useDesigner();
  const { readOnly } = designer.editor;
  const nesting = designer.frames.nesting;
  return (
    <>
      <div className="panel-title">
        <h2>Region</h2>
        <small>{region.steps.length} steps</small>
      </div>
      <div className="tab-panel" role="tabpanel" aria-label="Region settings">
        <label className="field">
          <span className="field-label">Name</span>
          <input
            value={region.name ?? ""}
            placeholder={`${PATTERN_WORDS[region.pattern] ?? region.pattern} region`}
            maxLength={200}
            readOnly={readOnly}
            onChange={(event) =>
              designer.run((doc) => editRegion(doc, region.key, { name: event.target.value }))
            }
          />
        </label>
        <label className="field">
          <span className="field-label">Pattern</span>
          <select
            value={region.pattern}
            disabled={readOnly}
            onChange={(event) =>
              designer.run((doc) => editRegion(doc, region.key, { pattern: event.target.value }))
            }
          >
            {PATTERNS.map((pattern) => (
              <option key={pattern} value={pattern}>
                {PATTERN_WORDS[pattern]}
              </option>
            ))}
          </select>
          <span className="field-help">{HELP[region.pattern]}</span>
        </label>
        <Section title="Steps">
          <ul className="connections">
            {region.steps.map((key) => (
              <li key={key}>
                <button type="button" className="link" onClick={() => designer.show(key)}>
                  {nesting.step(key)?.name || key}
                </button>
                {!readOnly && region.steps.length > 1 && (
                  <button
                    type="button"
                    className="icon-button tiny"
                    aria-label={`Take ${nesting.step(key)?.name || key} out of the region`}
                    onClick={() =>
                      designer.run((doc) =>
                        editRegion(doc, region.key, { steps: region.steps.filter((item) => item !== key) }),
                      )
                    }
                  >
                    <Icon name="x" size={12} />
                  </button>
                )}
              </li>
            ))}
          </ul>
        </Section>
        {!readOnly && (
          <button
            type="button"
            className="button small"
            onClick={() => designer.run((doc) => removeRegion(doc, region.key))}
          >
            <Icon name="trash-2" size={12} /> Remove the region, keep its steps
          </button>
        )}
      </div>
    </>
  );
}
