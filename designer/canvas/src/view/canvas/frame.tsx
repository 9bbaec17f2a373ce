/** A container that shows what it holds: a head with the ports, and a frame around its steps. */
import { Handle, Position } from "@xyflow/react";
import type { ReactNode } from "react";
import { summaryOf } from "../../core/summary.ts";
import { Icon } from "../icon.tsx";
import { INPUT, type StepData } from "./nodes.ts";
import { Port } from "./step-card.tsx";

interface FrameProps extends StepData {
  className?: string;
  connectable: boolean;
  title?: ReactNode;
  line?: ReactNode;
  tools?: ReactNode;
  children?: ReactNode;
}

/** The same in the editor and on the run page. */
export function Frame(props: FrameProps) {
  const { step, kind, shape, far, className = "", connectable, title, line, tools, children } = props;
  const classes = `frame step-${kind?.group ?? "unknown"} ${className}`;
  if (far) return <div className={`${classes} frame-far`} />;
  return (
    <div className={classes}>
      <div className="frame-head">
        <span className="step-icon">
          <Icon name={kind?.icon ?? "box"} />
        </span>
        <span className="step-words">
          {title ?? <span className="step-name">{step.name || step.key}</span>}
          <span className="step-line">{line ?? summaryOf(step, kind)}</span>
        </span>
        {tools}
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
