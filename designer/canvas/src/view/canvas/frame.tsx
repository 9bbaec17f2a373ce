/** A container that shows what it holds: a head with the ports, and a frame around its steps. */
import type { ReactNode } from "react";
import { summaryOf } from "../../core/summary.ts";
import { Icon } from "../icon.tsx";
import type { StepData } from "./nodes.ts";
import { Ports } from "./ports.tsx";

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
      <Ports shape={shape} connectable={connectable} />
      {children}
    </div>
  );
}
