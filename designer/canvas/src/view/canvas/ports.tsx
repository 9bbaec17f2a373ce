/** Where wires begin and end: the way into a step or a container, and its ways out. */
import { Handle, Position } from "@xyflow/react";
import type { PortPlace, StepShape } from "../../core/geometry.ts";
import { INPUT } from "./nodes.ts";

const PORT_TITLES: Record<string, string> = {
  error: "when it fails",
  timeout: "when it takes too long",
  out: "then",
};
export const portTitle = (port: string): string => PORT_TITLES[port] ?? port;

/** One way out: the handle, and a label where the step has rows. */
function Port({ place, rows, connectable }: { place: PortPlace; rows: boolean; connectable: boolean }) {
  const right = place.side !== "bottom";
  return (
    <>
      {right && rows && (
        <span className="port-label" style={{ top: place.y }}>
          {place.port}
        </span>
      )}
      <Handle
        id={place.port}
        type="source"
        position={right ? Position.Right : Position.Bottom}
        className={right ? "port" : `port port-${place.port}`}
        style={right ? { top: place.y } : { left: place.x }}
        isConnectable={connectable}
        title={portTitle(place.port)}
      />
    </>
  );
}

/** The handles of one step, the same in the editor and on the run page. */
export function Ports({ shape, connectable }: { shape: StepShape; connectable: boolean }) {
  return (
    <>
      <Handle
        id={INPUT}
        type="target"
        position={Position.Left}
        className="port port-in"
        style={{ top: shape.input.y }}
        isConnectable={connectable}
      />
      {shape.ports.map((place) => (
        <Port key={place.port} place={place} rows={shape.rows} connectable={connectable} />
      ))}
    </>
  );
}
