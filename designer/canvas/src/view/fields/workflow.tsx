import { useEffect, useState } from "react";
import type { Listed } from "../../api/workflow.ts";
import { useDesigner } from "../designer.ts";
import { useScope } from "./scope.ts";
import type { ControlProps } from "./types.ts";

const NONE: Listed[] = [];

function useWorkflows(): Listed[] | null {
  const designer = useDesigner();
  const [listed, setListed] = useState<Listed[] | null>(null);
  useEffect(() => {
    let wanted = true;
    void designer.workflows().then(
      (found) => wanted && setListed(found),
      () => wanted && setListed(NONE),
    );
    return () => {
      wanted = false;
    };
  }, [designer]);
  return listed;
}

const noteOf = (chosen: string, listed: Listed[], own: string): string => {
  if (chosen === own) return "A workflow that calls itself never ends. Choose another.";
  const known = listed.find((item) => item.slug === chosen);
  if (!known) return "";
  return known.live_version === null
    ? "It has no live version yet: publish it before this one runs."
    : `Its live version is ${known.live_version}.`;
};

/** A workflow of this workspace; one that is not there stays visible, so that it can be repaired. */
export function WorkflowControl({ id, value, onChange }: ControlProps) {
  const designer = useDesigner();
  const { readOnly } = useScope();
  const listed = useWorkflows();
  const chosen = typeof value === "string" ? value : "";
  const others = (listed ?? NONE).filter((item) => item.slug !== designer.config.workflow);
  const known = others.some((item) => item.slug === chosen);
  const note = listed ? noteOf(chosen, listed, designer.config.workflow) : "";
  return (
    <>
      <select
        id={id}
        value={chosen}
        disabled={readOnly}
        onChange={(event) => onChange(event.target.value || undefined)}
      >
        <option value="">Choose a workflow…</option>
        {chosen && !known && (
          <option value={chosen}>{listed ? `${chosen} (not in this workspace)` : chosen}</option>
        )}
        {others.map((item) => (
          <option key={item.slug} value={item.slug}>
            {item.name}
          </option>
        ))}
      </select>
      {note && <p className="field-help">{note}</p>}
    </>
  );
}
