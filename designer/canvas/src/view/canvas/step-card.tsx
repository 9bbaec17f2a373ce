import { Handle, Position } from "@xyflow/react";
import type { ReactNode } from "react";
import type { PortPlace } from "../../core/geometry.ts";
import { summaryOf } from "../../core/summary.ts";
import { Icon } from "../icon.tsx";
import { INPUT, type StepData } from "./nodes.ts";

interface CardProps extends StepData {
  className?: string;
  connectable: boolean;
  title?: ReactNode;
  badge?: ReactNode;
  line?: ReactNode;
  children?: ReactNode;
}

const PORT_TITLES: Record<string, string> = {
  error: "when it fails",
  timeout: "when it takes too long",
  out: "then",
};
export const portTitle = (port: string): string => PORT_TITLES[port] ?? port;

/** One way out: the handle, and a label where the step has rows. */
export function Port({
  place,
  rows,
  connectable,
}: {
  place: PortPlace;
  rows: boolean;
  connectable: boolean;
}) {
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

/** The box of a step, the same on the editor's canvas and on the run page. */
export function StepCard(props: CardProps) {
  const { step, kind, shape, className = "", connectable, title, badge, line, children } = props;
  return (
    <div className={`step step-${kind?.group ?? "unknown"} ${className}`}>
      <div className="step-head">
        <span className="step-icon">
          <Icon name={kind?.icon ?? "circle-question-mark"} />
        </span>
        <span className="step-words">
          {title ?? (
            <span className="step-name" title={step.name || step.key}>
              {step.name || step.key}
            </span>
          )}
          <span className="step-line">{line ?? summaryOf(step, kind)}</span>
        </span>
        {badge}
      </div>
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
      {children}
    </div>
  );
}

/** Far out a step is a plain box: nobody can read it there, and 2,000 of them must still pan. */
export function FarStep({ className }: { className: string }) {
  return <div className={`step step-far ${className}`} />;
}
