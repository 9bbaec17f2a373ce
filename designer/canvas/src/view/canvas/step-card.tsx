import type { ReactNode } from "react";
import { summaryOf } from "../../core/summary.ts";
import { Icon } from "../icon.tsx";
import type { StepData } from "./nodes.ts";
import { Ports } from "./ports.tsx";

interface CardProps extends StepData {
  className?: string;
  connectable: boolean;
  title?: ReactNode;
  badge?: ReactNode;
  line?: ReactNode;
  children?: ReactNode;
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
      <Ports shape={shape} connectable={connectable} />
      {children}
    </div>
  );
}

/** Far out a step is a plain box: nobody can read it there, and 2,000 of them must still pan. */
export function FarStep({ className }: { className: string }) {
  return <div className={`step step-far ${className}`} />;
}
