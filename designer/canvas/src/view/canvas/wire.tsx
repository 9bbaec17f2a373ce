import { BaseEdge, EdgeLabelRenderer, type EdgeProps } from "@xyflow/react";
import { memo, type ReactNode, useState } from "react";
import { disconnect } from "../../core/edits.ts";
import { placeBeside, STEP_WIDTH } from "../../core/geometry.ts";
import { edgeId, portOf } from "../../core/graph.ts";
import type { Point } from "../../core/types.ts";
import { type Designer, useDesigner } from "../designer.ts";
import { Icon } from "../icon.tsx";
import { useChosen } from "../use-store.ts";
import type { WireEdge } from "./nodes.ts";
import { ARROW, wireClass, wirePath } from "./wire-path.ts";

/** Buttons in the middle of a connection, shown while the pointer is on it or it is selected. */
function WireTools({
  designer,
  x,
  y,
  children,
}: {
  designer: Designer;
  x: number;
  y: number;
  children: ReactNode;
}) {
  if (designer.editor.readOnly) return null;
  return (
    <EdgeLabelRenderer>
      <div
        className="wire-tools nodrag nopan"
        style={{ transform: `translate(-50%, -50%) translate(${x}px, ${y}px)` }}
      >
        {children}
      </div>
    </EdgeLabelRenderer>
  );
}

export const Wire = memo(function Wire(props: EdgeProps<WireEdge>) {
  const designer = useDesigner();
  const [over, setOver] = useState(false);
  const [path, x, y] = wirePath(props);
  const edge = props.data?.edge;
  const dropping = useChosen(designer.screen, (screen) => screen.dropEdge === props.id);
  if (!edge) return null;
  const insert = (screen: Point): void => {
    const target = designer.frames.boxOf(edge.to);
    const place: Point = target ? placeBeside(target, "before") : [x - STEP_WIDTH / 2, y - 28];
    const wire = { from: { key: edge.from, port: portOf(edge) }, to: edge.to, instead: edge };
    designer.screen.update({ picker: { screen, place: [x - STEP_WIDTH / 2, place[1]], wire } });
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: hovering only shows what the outline and the keys offer too
    <g onMouseEnter={() => setOver(true)} onMouseLeave={() => setOver(false)}>
      <BaseEdge
        id={props.id}
        path={path}
        interactionWidth={20}
        className={`${wireClass(portOf(edge))} ${dropping ? "is-drop" : ""}`}
        markerEnd={ARROW}
      />
      {(over || props.selected) && (
        <WireTools designer={designer} x={x} y={y}>
          <button
            type="button"
            aria-label="Insert a step here"
            title="Insert a step here"
            onClick={(event) => insert([event.clientX + 12, event.clientY])}
          >
            <Icon name="plus" size={12} />
          </button>
          <button
            type="button"
            aria-label="Remove this connection"
            title="Remove this connection"
            onClick={() => designer.run((doc) => disconnect(doc, new Set([edgeId(edge)])))}
          >
            <Icon name="x" size={12} />
          </button>
        </WireTools>
      )}
    </g>
  );
});
